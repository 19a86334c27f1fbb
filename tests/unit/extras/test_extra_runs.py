"""What becomes of a run in its handler, and of a read that goes wrong, with an adapter that does as it is told."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from hub.attempts.effects import Unresolvable
from hub.contract import Done, Extra, Misconfigured, Rejected, Repeat, Request, RetryLater, Step
from hub.extras.calls import MOST_ROWS, Run, read, run
from hub.mailbox.changes import Changes, Finished
from hub.vault import new_data_key

KEY = new_data_key("2026-01-02")


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret."""

    code: str


class Place:
    """A workplace with one extra of each kind; `effect` is what becomes of the write."""

    tenant, connection = "ten_x", "con_x"
    facts = SimpleNamespace(slug="till")

    def __init__(self, effect: Callable[[Step], Awaitable[Done]], *, step: Any = None, result: Any = None) -> None:
        self.effect, self.days, self.made = effect, [], []
        self.adapter = SimpleNamespace(extras=self._extras)
        self.bodies = SimpleNamespace(open=self._open, key=self._key)
        self._step, self._result = step or self._plain, result

    @staticmethod
    async def _plain(params: Params) -> Step:
        return Step("lock", Request("PUT", "/x", "lock"), Repeat.NATURAL)

    def _extras(self) -> dict[str, Extra]:
        async def break_down(params: Params) -> Any:
            raise ValueError(f"cannot do {params.code}")

        done = lambda done: self._result if self._result is not None else {"ref": done.vendor_ref}  # noqa: E731
        return {
            "lock": Extra(title="Lock", params=Params, result=dict, step=self._step, done=done),
            "ask": Extra(title="Ask", params=Params, result=dict, read=break_down),
        }

    async def _open(self, tenant: str, sealed: bytes, *parts: str) -> bytes:
        return KEY.open(sealed, tenant, *parts)

    async def _key(self, tenant: str, day: Any = None) -> Any:
        self.days.append(day)
        return KEY

    def effects(self, desk: Any, key: Any, *, subject: str) -> Any:
        self.made.append((key, subject))
        return SimpleNamespace(perform=self.effect)


async def handled(place: Place, name: str = "lock", params: bytes = b'{"code":"hush"}') -> Changes:
    """Handle a run."""
    subject = f"extra/{name}/1"
    body = KEY.seal(msgspec.json.encode(Run(name, msgspec.Raw(params))), "ten_x", "messages", "con_x", subject)
    claim = SimpleNamespace(message=7, body=body, dedupe_key=subject, subject=subject, correlation="cor", at=datetime.now(UTC))
    return await run(place, SimpleNamespace(claim=claim))  # type: ignore[arg-type]


def failing(error: Exception) -> Callable[[Step], Awaitable[Done]]:
    """A write that fails so."""

    async def effect(step: Step) -> Done:
        raise error

    return effect


async def well(step: Step) -> Done:
    """A write that is done."""
    return Done("v1")


async def test_a_run_tells_its_result_and_its_attempt_is_sealed_under_the_bodys_day() -> None:
    """So that a retry after midnight can still open it."""
    place = Place(well)
    changes = await handled(place)
    [event] = changes.events
    assert (event.type, event.subject, event.data["step"], event.data["result"]) == (
        "connection.changed",
        "con_x",
        "extra_done",
        {"ref": "v1"},
    )
    assert [day.isoformat() for day in place.days] == ["2026-01-02"]
    assert place.made == [(KEY, "extra/lock/1")]
    assert changes.end == Finished()


async def test_a_long_result_is_cut() -> None:
    """An event stays small; the number of rows is told."""
    data = (await handled(Place(well, result=[{"ref": str(n)} for n in range(MOST_ROWS + 5)]))).events[0].data
    assert (len(data["result"]), data["rows"]) == (MOST_ROWS, MOST_ROWS + 5)


@pytest.mark.parametrize("error", [Rejected("no", code="E1"), Misconfigured("set it up")])
async def test_a_refused_run_is_over(error: Exception) -> None:
    """Finished, with the class and the words."""
    changes = await handled(Place(failing(error)))
    data = changes.events[0].data
    assert (data["step"], data["error"], changes.end, changes.alerts) == ("extra_failed", type(error).__name__, Finished(), ())


async def test_a_run_of_which_nobody_knows_wants_a_person() -> None:
    """Not repeated; an alert says where to look."""
    changes = await handled(Place(failing(Unresolvable("lock may have happened"))))
    assert (changes.events[0].data["step"], [alert.kind for alert in changes.alerts]) == ("extra_unknown", ["extra.unknown"])


async def test_a_run_that_may_be_tried_again_is_the_mailboxs() -> None:
    """The retry is a decision about the message."""
    with pytest.raises(RetryLater):
        await handled(Place(failing(RetryLater("busy"))))


async def test_a_defect_of_the_adapter_does_not_tell_the_params() -> None:
    """A dead letter and an alert hold the error's words: so these are of the hub's own."""

    async def stumble(params: Params) -> Step:
        raise ValueError(f"cannot lock with {params.code}")

    with pytest.raises(RuntimeError) as caught:
        await handled(Place(well, step=stumble))
    assert ("hush" in str(caught.value), caught.value.__suppress_context__) == (False, True)
    answer = await read(Place(well), "ask", b'{"code":"hush"}')  # type: ignore[arg-type]
    assert (answer.error, "hush" in answer.detail) == ("ValueError", False)


@pytest.mark.parametrize(
    ("name", "params", "error"), [("gone", b"{}", "UnknownExtra"), ("lock", b'{"other":1}', "BadParams"), ("ask", b"{}", "UnknownExtra")]
)
async def test_a_run_that_this_release_does_not_know_is_over(name: str, params: bytes, error: str) -> None:
    """It was asked of another release; nothing is sent."""
    changes = await handled(Place(failing(AssertionError("sent"))), name, params)
    assert (changes.events[0].data["step"], changes.events[0].data["error"]) == ("extra_failed", error)


async def test_a_read_takes_reads_and_fitting_params_only() -> None:
    """Both are answers, not errors."""
    place: Any = Place(well)
    assert (await read(place, "lock", b'{"code":"x"}')).error == "UnknownExtra"
    assert (await read(place, "ask", b"{}")).error == "BadParams"
