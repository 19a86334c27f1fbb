"""The provider pages under docs/providers: the same facts as `hub providers`, written down so that a change of them is seen."""

from collections.abc import Mapping
from pathlib import Path

from cluster.providers import limits_of, plain
from hub.contract import Facts, Provider
from hub.contract.capabilities import COMMON, DELIVERY, POS
from hub.quality import held_against, promise, standing

_HEAD = "Generated from `adapters/*/provider.toml` by `hub providers --write docs/providers`; a test compares them."
_LEVELS = (
    ("unproven", "excused from a check of calls, menus or orders"),
    ("bronze", "the contract suite passes, without exemptions where calls, menus and orders are concerned; this page"),
    ("silver", "its token is renewed, limits are declared, the vendor's calls are verified, failures are named"),
    (
        "gold",
        "no exemption; lost webhooks are found, drifted menus are noticed; requests fit the vendor's specification; nothing is left out",
    ),
    ("platinum", "a load figure of its own; payloads that nobody had seen before were read"),
)
_NOBODY = "Nobody is platinum yet. A level counts what is proven and is no word about a vendor; gold on a simulator is not a live account."


def pages(providers: Mapping[str, Provider]) -> dict[str, str]:
    """Every page by its file name."""
    facts = {slug: provider.facts for slug, provider in sorted(providers.items())}
    return {"README.md": _matrix(list(facts.values()))} | {f"{slug}.md": _page(each) for slug, each in facts.items()}


def write(providers: Mapping[str, Provider], folder: Path) -> list[Path]:
    """Write the pages into a folder and take those of vendors that are gone away; what was written."""
    made = pages(providers)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, "utf-8")
    return [folder / name for name in made]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _grid(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _capabilities(title: str, chosen: list[Facts], names: list[str]) -> str:
    head = [title, "level", *(name.replace("_", " ") for name in names)]
    rows = [
        [f"[{facts.name}]({facts.slug}.md)", standing(facts).level, *("●" if name in facts.capabilities else "" for name in names)]
        for facts in chosen
    ]
    return _grid(head, rows)


def _matrix(found: list[Facts]) -> str:
    pos = [facts for facts in found if facts.kind == "pos"]
    delivery = [facts for facts in found if facts.kind == "delivery"]
    orders = []
    for facts in found:
        promised = promise(facts)
        exempt = str(len(facts.exemptions) or "none")
        orders.append([f"[{facts.name}]({facts.slug}.md)", promised.times, promised.how, promised.lost_call or "found again", exempt])
    official = [[f"[{facts.name}]({facts.slug}.md)", held_against(facts)[1], held_against(facts)[2]] for facts in found]
    parts = [
        "# Providers",
        _HEAD,
        _grid(["level", "means"], [list(row) for row in _LEVELS]),
        _NOBODY,
        "## POS systems",
        _capabilities("POS", pos, ["ingress", *sorted(COMMON | POS)]),
        "## Delivery platforms",
        _capabilities("platform", delivery, ["ingress", "menu_host", *sorted(COMMON | DELIVERY)]),
        "## How often an order has its effect",
        _grid(["vendor", "orders", "by what", "a lost webhook", "exemptions"], orders),
        "## What each was held against, beside the contract suite on its simulator",
        _grid(["vendor", "official material", "live"], official),
    ]
    return "\n\n".join(parts) + "\n"


def _bullets(lines: tuple[str, ...] | list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(rows: Mapping[str, str]) -> str:
    return _grid(["what", "which"], [[name, value] for name, value in rows.items()])


def _page(facts: Facts) -> str:
    judged = standing(facts)
    kind = "POS" if facts.kind == "pos" else "delivery platform"
    parts = [
        f"# {facts.name}",
        f"{facts.summary} A {kind}; [the vendor's documentation]({facts.docs}). {_HEAD}",
        f"## Level: {judged.level}",
    ]
    if judged.following:
        parts += [f"What {judged.following} still needs:", _bullets(judged.missing)]
    parts += ["## Verified against", _bullets(held_against(facts)), "## Facts", _table(plain(facts))]
    parts += ["## Limits", _bullets([words for _, words in limits_of(facts)]), "## Credentials"]
    credentials = [
        [f"`{name}`", field.title, field.of, "yes" if field.secret else "no", "yes" if field.required else "no", field.where]
        for name, field in facts.credentials.items()
    ]
    parts.append(_grid(["name", "title", "held by", "secret", "required", "where to find it"], credentials))
    if facts.settings:
        settings = [[f"`{name}`", field.title, f"`{field.default}`", ", ".join(field.choices)] for name, field in facts.settings.items()]
        parts += ["## Settings", _grid(["name", "title", "default", "choices"], settings)]
    parts += ["## Evidence", _table(facts.evidence), "`simulator = sandbox-tested` means our simulator, not the vendor's sandbox."]
    checks = [f"`{name}`: {reason}" for name, reason in facts.exemptions.items()]
    parts += ["## Exemptions", _bullets(checks) if checks else "None: every check of the contract suite that fits its capabilities."]
    if facts.notes:
        parts += ["## Notes", _bullets(facts.notes)]
    return "\n\n".join(parts) + "\n"
