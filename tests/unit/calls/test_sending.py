"""What a request that cannot be sent is, and what one is whose outcome nobody knows."""

from collections.abc import Mapping

import pytest

from hub.calls import StaticCredentials, VendorClient
from hub.calls.session import open_session
from hub.clock import monotonic
from hub.contract import OutcomeUnknown, Rejected, Request, StaticKey


async def _send(headers: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None) -> None:
    async with open_session() as session:
        if fails is not None:

            def fail(*_: object, **__: object) -> None:
                raise fails

            monkeypatch.setattr(session, "_request", fail)
        client = VendorClient(
            slug="x",
            session=session,
            bases={"api": "http://127.0.0.1:9"},
            auth=StaticKey("key", "X-Key", owner="connection"),
            tokens=StaticCredentials({"key": "k"}),
        )
        await client.send(Request("POST", "/orders", "create", headers=dict(headers)), not_after=monotonic() + 5)


async def test_a_header_that_would_smuggle_another_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definite: nothing reached the vendor."""
    for value in ("a\r\nX-Evil: 1", "a\x00b", "a\nb"):
        with pytest.raises(Rejected):
            await _send({"X-Store": value}, monkeypatch)


async def test_an_odd_failure_of_a_write_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ValueError may come from the answer as well: whether the write happened is then unknown, never a refusal."""
    with pytest.raises(OutcomeUnknown):
        await _send({}, monkeypatch, ValueError("an answer that cannot be read"))
