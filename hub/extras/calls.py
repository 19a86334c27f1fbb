"""An adapter's extras as the hub makes them: found by name, their params checked, reads answered, runs done once by their message."""

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec
import structlog

from hub.attempts.effects import Unresolvable
from hub.contract import Extra, Extras, Misconfigured, Rejected, Step, VendorError
from hub.contract.capabilities import Adapter
from hub.extras.answers import BAD_PARAMS, EXTRA_SECONDS, UNKNOWN, Answer, failed, given, refused, too_slow
from hub.ids import message_id, new_id
from hub.mailbox.changes import Changes, NewAlert, NewEvent
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace
from hub.vault.seal import key_id_of

MOST_ROWS = 200
"""Rows of a run's result that its event holds."""

log = structlog.get_logger("hub.extras")


class Run(msgspec.Struct, frozen=True):
    """The sealed body of a run: what is asked for, and with what."""

    name: str
    params: msgspec.Raw


def extras_of(adapter: Adapter) -> Mapping[str, Extra]:
    """The extras by name; none where the adapter has none."""
    return adapter.extras() if isinstance(adapter, Extras) else {}


async def read(place: Workplace, name: str, params: bytes) -> Answer:
    """Answer a read, within its time; every failure is an answer too."""
    extra = extras_of(place.adapter).get(name)
    if extra is None or extra.read is None:
        return refused(UNKNOWN, f"{place.facts.slug} has no read {name!r}")
    try:
        fitting = msgspec.json.decode(params, type=extra.params)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return refused(BAD_PARAMS, str(error))
    try:
        async with asyncio.timeout(EXTRA_SECONDS):
            return given(await extra.read(fitting))
    except TimeoutError:
        return too_slow()
    except Exception as error:
        if not isinstance(error, VendorError):
            log.exception("an extra failed", provider=place.facts.slug, extra=name)
        return failed(error)


async def run(place: Workplace, desk: Desk) -> Changes:
    """Do what an extra.run message asks for, once; an event tells what came of it.

    A run that the vendor refuses is over. The params may hold secrets: they stay in the sealed body and the sealed request.
    """
    claim = desk.claim
    wanted = msgspec.json.decode(
        await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key), type=Run
    )
    extra = extras_of(place.adapter).get(wanted.name)
    if extra is None or extra.step is None or extra.done is None:
        return _ended(place, desk, wanted.name, "extra_failed", error=UNKNOWN, detail="this release has no such run")
    try:
        params = msgspec.json.decode(wanted.params, type=extra.params)
    except msgspec.DecodeError:
        return _ended(place, desk, wanted.name, "extra_failed", error=BAD_PARAMS, detail="the params do not fit this release")
    # The attempt is sealed like the body, so that it opens on a later day too.
    key = await place.bodies.key(place.tenant, date.fromisoformat(key_id_of(claim.body)))
    try:
        done = await place.effects(desk, key, subject=claim.subject).perform(await _step(extra, wanted.name, params))
    except (Rejected, Misconfigured) as error:
        told = failed(error)
        return _ended(place, desk, wanted.name, "extra_failed", error=told.error, detail=told.detail, code=told.code)
    except Unresolvable as error:
        alert = NewAlert(
            id=new_id("alr"),
            dedupe_key=f"extra/{claim.message}",
            kind="extra.unknown",
            severity="warning",
            subject=place.connection,
            detail=f"{wanted.name} may have been done, look at the vendor: {error}"[:500],
        )
        return _ended(place, desk, wanted.name, "extra_unknown", alerts=(alert,), error="OutcomeUnknown")
    result = msgspec.to_builtins(extra.done(done))
    if isinstance(result, list) and len(result) > MOST_ROWS:
        return _ended(place, desk, wanted.name, "extra_done", result=result[:MOST_ROWS], rows=len(result))
    return _ended(place, desk, wanted.name, "extra_done", result=result)


async def _step(extra: Extra, name: str, params: Any) -> Step:
    assert extra.step is not None
    try:
        return await extra.step(params)
    except VendorError:
        raise
    except Exception as error:
        # Its words may hold a param: they go into no log, no dead letter and no alert.
        raise RuntimeError(f"the adapter could not build {name}: {type(error).__name__}") from None


def _ended(place: Workplace, desk: Desk, name: str, step: str, *, alerts: tuple[NewAlert, ...] = (), **more: Any) -> Changes:
    data = {"step": step, "name": name, "message": message_id(desk.claim.message), **{k: v for k, v in more.items() if v not in (None, "")}}
    event = NewEvent(type="connection.changed", subject=place.connection, data=data, correlation=desk.claim.correlation)
    return Changes(events=(event,), alerts=alerts)
