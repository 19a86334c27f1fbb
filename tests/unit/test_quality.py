"""Quality levels are computed from facts, and the pages that show them are those that are committed."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from cluster.cli import app
from cluster.provider_pages import pages
from hub.api.providers import _brief
from hub.contract import Facts, InstalledProviders
from hub.quality import BEYOND, WEBHOOKS, held_against, promise, standing
from tests.contract.suite import _ALWAYS, _BY_CAPABILITY
from tests.contract.suite.everyone import Calls, Declares

ROOT = Path(__file__).parents[2]
PROVIDERS = InstalledProviders().all()


def facts(slug: str, **changed: Any) -> Facts:
    """A provider's facts, some of them changed."""
    return msgspec.structs.replace(PROVIDERS[slug].facts, **changed)


def proof(slug: str, **changed: Any) -> Facts:
    """A provider's facts with another proof."""
    return facts(slug, proof=msgspec.structs.replace(PROVIDERS[slug].facts.proof, **changed))


def test_the_committed_pages_are_those_that_the_facts_give() -> None:
    """Nobody changes a fact without its page, and no page outlives its vendor."""
    folder = ROOT / "docs" / "providers"
    committed = {path.name: path.read_text("utf-8") for path in folder.glob("*.md")}
    assert committed == pages(PROVIDERS), "run `hub providers --write docs/providers`"


def test_pages_hold_no_broken_rows() -> None:
    """Every row of a table has as many cells as its head."""
    for name, text in pages(PROVIDERS).items():
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, (name, block)


def test_every_check_that_counts_is_in_the_suite() -> None:
    """The names that levels are judged by are checks, and none that every adapter has to pass may be done without."""

    def names(checks: type) -> set[str]:
        return {name.removeprefix("test_") for name in vars(checks) if name.startswith("test_")}

    suite = set().union(*map(names, (*_ALWAYS, *_BY_CAPABILITY.values())))
    assert suite >= BEYOND | WEBHOOKS
    assert not (BEYOND | WEBHOOKS) & set().union(*map(names, (Declares, Calls)))
    for provider in PROVIDERS.values():
        assert set(provider.facts.exemptions) <= suite, provider.slug


@pytest.mark.parametrize("slug", PROVIDERS)
def test_a_claim_of_official_material_has_a_test(slug: str) -> None:
    """Who says to be held against a specification or samples has tests that read them; and the other way round."""
    used = False
    for path in (ROOT / "tests").rglob(f"*{slug}*.py"):
        used |= "vendor_spec(" in path.read_text("utf-8")
    found = PROVIDERS[slug].facts.proof
    assert bool(found.official) == bool(found.official_kind) == bool(found.checked) == used


@pytest.mark.parametrize("slug", PROVIDERS)
def test_what_is_left_out_is_not_there(slug: str) -> None:
    """A capability or an extra that was built is taken off the list of what is left out."""
    found = PROVIDERS[slug].facts
    assert not set(found.proof.left_out or {}) & {*found.capabilities, *found.extras}


def test_an_exemption_costs_a_level() -> None:
    """A core check bars bronze, a webhook check bars silver, any other bars gold; each with its reason."""
    assert standing(facts("square")).level == "gold"
    for name, level in (("yes_is_heard_once", "unproven"), ("a_repeat_is_the_same_fact", "bronze"), ("open_orders_are_listed", "silver")):
        judged = standing(facts("square", exemptions={name: "not built"}))
        assert judged.level == level
        assert judged.missing == (f"exempt from {name}: not built",)


def test_silver_wants_renewal_limits_and_webhooks() -> None:
    """What is not said is missing; a vendor that publishes no limits costs nothing when that is said."""
    auth = msgspec.structs.replace(PROVIDERS["square"].facts.auth, refresh="")
    assert standing(facts("square", auth=auth)).level == "bronze"
    assert standing(facts("square", webhook=None)).level == "bronze"
    assert standing(proof("square", limits="")).level == "bronze"


@pytest.mark.parametrize(
    "changed",
    [
        {"official_kind": "samples"},
        {"checked": ("answers",)},
        {"left_out": None},
        {"left_out": {"staff": "no list"}},
        {"lost_call": "gone"},
    ],
)
def test_gold_wants_proof(changed: dict[str, Any]) -> None:
    """Samples are no specification, answers are not requests, silence is no claim, and a lost webhook has a price."""
    judged = standing(proof("square", **changed))
    assert (judged.level, judged.following, len(judged.missing)) == ("silver", "gold", 1)


def test_a_menu_that_cannot_be_read_back_cannot_drift_unseen() -> None:
    """A platform without a read back, or without a pushed menu, is not gold."""
    assert any("Talabat does not show" in each for each in standing(facts("talabat")).missing)
    assert any("drift" in each for each in standing(facts("deliveroo", capabilities=("order_list",))).missing)


def test_nobody_is_platinum() -> None:
    """Neither a load figure nor blind payloads are claimed; who has both has nothing left to reach."""
    assert "platinum" not in {standing(provider.facts).level for provider in PROVIDERS.values()}
    best = standing(proof("square", load_figure="docs/figures.md", blind_payloads="docs/blind.md"))
    assert (best.level, best.following, best.missing) == ("platinum", "", ())


def test_how_often_an_order_has_its_effect() -> None:
    """By key or by look-up it is once; without either, or where an order may be lost unseen, it is at most once."""
    assert promise(facts("square")).times == "exactly once"
    assert "looked up" in promise(facts("toast")).how
    assert promise(facts("toast", capabilities=("order_target",))).times == "at most once"
    assert promise(facts("square", idempotency="none")).times == "at most once"
    assert promise(facts("ubereats")).times == "exactly once"
    assert promise(facts("doordash")).times == "at most once"
    assert promise(facts("ubereats", capabilities=("order_intake",))).times == "at most once"


def test_a_live_sandbox_is_another_fact_than_a_simulator() -> None:
    """`sandbox-tested` alone is our simulator; with a date it is the vendor's."""
    assert held_against(facts("square"))[-1].startswith("never")
    assert "orders (sandbox-tested on 2026-11-01)" in held_against(facts("square", evidence={"orders": "sandbox-tested on 2026-11-01"}))[-1]


def test_the_command_shows_the_table_a_page_and_writes_pages(tmp_path: Path) -> None:
    """`hub providers`, with a slug, with an unknown one, and with a folder whose old pages go."""
    run = CliRunner().invoke
    shown = run(app, ["providers"])
    assert shown.exit_code == 0
    assert "gold" in shown.output
    assert "not gold yet" in run(app, ["providers", "doordash"]).output
    assert run(app, ["providers", "nobody"]).exit_code == 2
    (tmp_path / "gone.md").write_text("an old vendor")
    assert run(app, ["providers", "--write", str(tmp_path)]).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", *(f"{slug}.md" for slug in PROVIDERS)}


def test_the_api_tells_level_and_extras() -> None:
    """A row of the list has both; so that a console need not know how levels come about."""
    row = _brief(facts("square"))
    assert (row.level, row.extras) == ("gold", PROVIDERS["square"].facts.extras)
