"""`hub providers`: how good each vendor's adapter is, what it can do, and what it was checked against."""

import typer
from rich.console import Group
from rich.panel import Panel
from rich.table import Table

from hub.contract import Facts, InstalledProviders
from hub.quality import held_against, promise, standing


def table() -> Table:
    """All providers, a row each."""
    shown = Table("provider", "kind", "level", "capabilities", "orders", "exempt from", title="hub providers SLUG says why")
    for slug, provider in InstalledProviders().all().items():
        facts = provider.facts
        found = promise(facts)
        by = f" ({facts.idempotency})" if facts.kind == "pos" else ""
        orders = f"{found.times}{by}" + ("; a lost webhook costs" if found.lost_call else "")
        shown.add_row(slug, facts.kind, standing(facts).level, ", ".join(facts.capabilities), orders, str(len(facts.exemptions)))
    return shown


def page(slug: str) -> Group:
    """One provider's page."""
    provider = InstalledProviders().get(slug)
    if provider is None:
        raise typer.BadParameter(f"{slug!r} is not installed: `hub providers` lists what is")
    facts = provider.facts
    judged = standing(facts)
    parts: list[Table | Panel] = [Panel(f"{facts.summary}\n{facts.docs}", title=f"{facts.name} ({facts.kind}): {judged.level}")]
    if judged.following:
        parts.append(_list(f"not {judged.following} yet", judged.missing))
    parts.append(_list("verified against", held_against(facts)))
    parts.append(_credentials(facts))
    parts.append(_rows("facts", plain(facts)))
    parts.append(_rows("limits", dict(limits_of(facts))))
    parts.append(_rows("evidence", facts.evidence))
    parts.append(_rows("exemptions", facts.exemptions or {"none": "every check of the contract suite that fits its capabilities"}))
    if facts.notes:
        parts.append(_list("notes", facts.notes))
    return Group(*parts)


def plain(facts: Facts) -> dict[str, str]:
    """Facts in a line each, those that are empty left out."""
    found = promise(facts)
    webhook = facts.webhook
    renewed = f"; {facts.auth.refresh}" if facts.auth.refresh else ""
    rows = {
        "regions": ", ".join(facts.regions),
        "environments": ", ".join(facts.environments),
        "capabilities": ", ".join(sorted(facts.capabilities)),
        "extras": ", ".join(facts.extras),
        "orders": f"{found.times}: {found.how}",
        "a lost webhook": found.lost_call or "is found again by listing the vendor's orders",
        "authentication": f"{facts.auth.mode} (owned by the {facts.auth.owner}){renewed}",
        "webhooks": f"{webhook.scheme}; {webhook.header}, {webhook.encoding}; an address for each {webhook.level}" if webhook else "none",
        "accept deadline": f"{facts.accept_deadline:.0f} s" if facts.accept_deadline else "",
        "order states": ", ".join(facts.order_states),
        "money unit": facts.money_unit,
        "reject reasons": ", ".join(facts.reject_reasons),
        "sold out until": facts.availability_reset,
    }
    return {name: value for name, value in rows.items() if value}


def limits_of(facts: Facts) -> list[tuple[str, str]]:
    """Each limit in words: what it counts, and how many calls it lets through."""
    rows = []
    for number, limit in enumerate(facts.limits, 1):
        what = ", ".join(limit.operations) or "all calls"
        at_once = f", {limit.concurrent} at once" if limit.concurrent else ""
        words = f"{limit.requests} in {limit.per:g} s by {limit.scope}{at_once}: {what} ({limit.evidence})"
        rows.append((str(number), words))
    if facts.proof.limits or not rows:
        rows.append(("-", facts.proof.limits or "none declared"))
    return rows


def _credentials(facts: Facts) -> Table:
    shown = Table("credential", "held by", "secret", "required", "where to find it", title="credentials")
    for name, field in facts.credentials.items():
        shown.add_row(name, field.of, "yes" if field.secret else "no", "yes" if field.required else "no", field.where)
    return shown


def _list(title: str, lines: tuple[str, ...]) -> Table:
    return _rows(title, {str(number): line for number, line in enumerate(lines, 1)})


def _rows(title: str, rows: dict[str, str]) -> Table:
    shown = Table("", "", title=title, show_header=False)
    for name, value in rows.items():
        shown.add_row(name, value)
    return shown
