"""`hub providers`: what each vendor's adapter can do and what it was checked against."""

import typer
from rich.console import Group
from rich.panel import Panel
from rich.table import Table

from hub.contract import Facts, InstalledProviders


def table() -> Table:
    """All providers, a row each."""
    shown = Table("provider", "kind", "regions", "capabilities", "exactly once by", "evidence")
    for slug, provider in InstalledProviders().all().items():
        facts = provider.facts
        evidence = ", ".join(sorted(set(facts.evidence.values())))
        shown.add_row(slug, facts.kind, " ".join(facts.regions), ", ".join(facts.capabilities), facts.idempotency, evidence)
    return shown


def page(slug: str) -> Group:
    """One provider's page."""
    provider = InstalledProviders().get(slug)
    if provider is None:
        raise typer.BadParameter(f"{slug!r} is not installed: `hub providers` lists what is")
    facts = provider.facts
    parts: list[Table | Panel] = [Panel(f"{facts.summary}\n{facts.docs}", title=f"{facts.name} ({facts.kind})")]
    parts.append(_credentials(facts))
    parts.append(_rows("facts", _plain(facts)))
    parts.append(_rows("evidence", facts.evidence))
    if facts.exemptions:
        parts.append(_rows("exemptions", facts.exemptions))
    if facts.notes:
        parts.append(_rows("notes", {str(number): note for number, note in enumerate(facts.notes, 1)}))
    return Group(*parts)


def _credentials(facts: Facts) -> Table:
    shown = Table("credential", "held by", "secret", "required", "where to find it", title="credentials")
    for name, field in facts.credentials.items():
        shown.add_row(name, field.of, "yes" if field.secret else "no", "yes" if field.required else "no", field.where)
    return shown


def _plain(facts: Facts) -> dict[str, str]:
    return {
        "environments": ", ".join(facts.environments),
        "authentication": f"{facts.auth.mode} (owned by the {facts.auth.owner})",
        "accept deadline": f"{facts.accept_deadline:.0f} s" if facts.accept_deadline else "none",
        "exactly once by": facts.idempotency,
        "order states": ", ".join(facts.order_states),
        "money unit": facts.money_unit,
        "reject reasons": ", ".join(facts.reject_reasons),
    }


def _rows(title: str, rows: dict[str, str]) -> Table:
    shown = Table("", "", title=title, show_header=False)
    for name, value in rows.items():
        shown.add_row(name, value)
    return shown
