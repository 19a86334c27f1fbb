"""How good an adapter is, computed from its facts: a level, what the next one lacks, and what it was held against.

A level counts what is proven, not what is hoped: the contract suite runs over every adapter in each build, so a check passes
unless provider.toml excuses the adapter from it. Against documents, against samples and against a live account are different facts.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from hub.contract.provider import Facts

Level = Literal["unproven", "bronze", "silver", "gold", "platinum"]

BEYOND = frozenset({
    *("an_order_is_found_by_our_reference", "open_orders_are_listed_with_our_reference", "a_cancel_takes_the_order_back_once"),
    *("what_staff_do_is_followed", "a_cancel_by_staff_is_followed", "what_staff_sold_out_is_read"),
    *("a_product_is_taken_off_sale_and_put_back", "later_words_are_taken", "open_orders_are_listed", "a_menu_pushed_twice_is_one_menu"),
    *("items_and_options_go_off_sale_and_come_back", "a_store_pauses_and_opens", "what_is_not_possible_is_said"),
    *("a_courier_is_followed", "many_currencies_keep_their_units"),
})  # fmt: skip
"""Checks that an adapter may be excused from below gold: what it does beside menus and orders. Any other check is core."""
WEBHOOKS = frozenset({
    *("a_right_signature_is_known_and_a_wrong_one_is_not", "a_call_without_proof_is_refused", "a_repeat_is_the_same_fact"),
    *("changed_bytes_are_noticed_where_bytes_are_signed", "rubbish_is_malformed_and_news_is_noted"),
})  # fmt: skip
"""Checks of the vendor's calls to us: silver wants them."""


class Standing(msgspec.Struct, frozen=True):
    """A level, the one after it ("" after the last), and what that one still needs."""

    level: Level
    following: Literal["", "bronze", "silver", "gold", "platinum"]
    missing: tuple[str, ...]


class Promise(msgspec.Struct, frozen=True):
    """How often an order has its effect, and what makes it so. `lost_call` says what a lost webhook costs, "" when nothing."""

    times: Literal["exactly once", "at most once"]
    how: str
    lost_call: str = ""


def standing(facts: Facts) -> Standing:
    """Judge an adapter: the highest level whose demands, and those of all levels below, are met."""
    reached: Level = "unproven"
    for level, demands in _DEMANDS:
        missing = demands(facts)
        if missing:
            return Standing(reached, level, tuple(missing))
        reached = level
    return Standing(reached, "", ())


def promise(facts: Facts) -> Promise:
    """Say how an order is kept from being there twice, and what happens when that cannot be known."""
    lost = _lost_call(facts)
    if facts.kind == "delivery":
        how = "an order is taken in once under the platform's own id; a decision sets a state, and saying it twice changes nothing"
        return (
            Promise("at most once", f"{how}; an order whose webhook is lost may never be known", lost)
            if lost
            else Promise("exactly once", how)
        )
    if facts.idempotency == "key":
        return Promise("exactly once", "the vendor remembers our key, so what became unknown is sent again under it", lost)
    if facts.idempotency == "lookup" and "order_search" in facts.capabilities:
        wait = f", after {facts.visibility_lag:g} s that the vendor takes to show it" if facts.visibility_lag else ""
        return Promise("exactly once", f"what became unknown is looked up by our reference before it is sent again{wait}", lost)
    return Promise("at most once", "nothing tells whether an order whose answer was lost is there: a person decides", lost)


def held_against(facts: Facts) -> tuple[str, ...]:
    """What the adapter was verified against, the weakest first; what it was never verified against is said as well."""
    found = ["the contract suite, on a simulator of the vendor that is written from its documents and shares no code with the adapter"]
    proof = facts.proof
    if proof.official_kind == "specification":
        found.append(f"the vendor's own specification ({proof.official}): {', '.join(proof.checked)}")
    elif proof.official_kind == "samples":
        found.append(f"samples only ({proof.official}), no specification: {', '.join(proof.checked)}")
    else:
        found.append("no specification and no samples of the vendor's: documents as read by people")
    live = sorted(f"{group} ({word})" for group, word in facts.evidence.items() if " on " in word)
    found.append(f"a live sandbox: {', '.join(live)}" if live else "never against a live account or the vendor's own sandbox")
    return tuple(found)


def _lost_call(facts: Facts) -> str:
    if facts.proof.lost_call:
        return facts.proof.lost_call
    finder = "order_list" if facts.kind == "delivery" else "order_search"
    return "" if finder in facts.capabilities else "nothing finds it again: the vendor's orders cannot be listed here"


def _exempt(facts: Facts, allowed: frozenset[str] = frozenset()) -> list[str]:
    return [f"exempt from {name}: {reason}" for name, reason in sorted(facts.exemptions.items()) if name not in allowed]


def _bronze(facts: Facts) -> list[str]:
    return _exempt(facts, BEYOND | WEBHOOKS)


def _silver(facts: Facts) -> list[str]:
    missing = _exempt(facts, BEYOND)
    if facts.auth.mode not in ("static", "hmac") and not facts.auth.refresh:
        missing.append("how its token is renewed is not said (auth.refresh)")
    if not facts.limits and not facts.proof.limits:
        missing.append("no limits are declared, and nothing says that the vendor publishes none")
    if facts.webhook is None:
        missing.append("the vendor's calls are not taken, so nothing of them is verified")
    return missing


def _gold(facts: Facts) -> list[str]:
    missing = _exempt(facts)
    if lost := _lost_call(facts):
        missing.append(f"a lost webhook: {lost}")
    if facts.kind == "pos" and "menu_source" not in facts.capabilities:
        missing.append("no drift detection: the menu cannot be read")
    if facts.kind == "delivery" and "menu_sink" not in facts.capabilities:
        missing.append("no drift detection: no menu is pushed and read back")
    if facts.proof.menu_unread:
        missing.append(f"no drift detection: {facts.proof.menu_unread}")
    if facts.proof.official_kind != "specification" or "requests" not in facts.proof.checked:
        held = "samples only" if facts.proof.official_kind == "samples" else "documents only"
        missing.append(f"requests are not checked against a specification of the vendor's ({held})")
    if facts.proof.left_out is None:
        missing.append("nobody has said what is left out (proof.left_out)")
    missing += [f"not built: {name}, {words}" for name, words in (facts.proof.left_out or {}).items()]
    return missing


def _platinum(facts: Facts) -> list[str]:
    missing = [] if facts.proof.load_figure else ["no load figure of its own"]
    return missing if facts.proof.blind_payloads else [*missing, "no payloads that nobody had seen before were read"]


_DEMANDS: tuple[tuple[Literal["bronze", "silver", "gold", "platinum"], Callable[[Facts], list[str]]], ...] = (
    ("bronze", _bronze),
    ("silver", _silver),
    ("gold", _gold),
    ("platinum", _platinum),
)
