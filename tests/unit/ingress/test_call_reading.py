"""Reading a call without a framework: bodies, paths, cursors."""

from typing import Any

import pytest

from hub.events.reader import BadCursor, decode_cursor, encode_cursor, event_id
from hub.ingress.handler import _parts
from hub.ingress.replies import BodyTooLarge, CallerLeft, headers_of, read_body


def _receive(*messages: dict[str, Any]) -> Any:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


def _part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


NO_HEADERS: dict[str, Any] = {"headers": []}


async def test_a_body_is_read_whole_up_to_the_limit() -> None:
    """Parts are joined; exactly the limit is allowed, one byte more is not, announced or not."""
    assert await read_body(NO_HEADERS, _receive(_part(b"abcd")), 4) == b"abcd"
    assert await read_body(NO_HEADERS, _receive(_part(b"ab", more=True), _part(b"", more=True), _part(b"cd")), 4) == b"abcd"
    with pytest.raises(BodyTooLarge):
        await read_body(NO_HEADERS, _receive(_part(b"abcde")), 4)
    with pytest.raises(BodyTooLarge):
        await read_body(NO_HEADERS, _receive(_part(b"abc", more=True), _part(b"de", more=True)), 4)
    with pytest.raises(BodyTooLarge):
        await read_body({"headers": [(b"content-length", b"5")]}, _receive(), 4)


async def test_a_caller_that_hangs_up_is_no_body() -> None:
    """Half a body is never taken for a whole one."""
    with pytest.raises(CallerLeft):
        await read_body(NO_HEADERS, _receive(_part(b"ab", more=True), {"type": "http.disconnect"}), 4)


def test_header_names_are_lower_case_and_repeats_joined() -> None:
    """An adapter finds a header whatever its case, and sees that it came twice."""
    scope = {"headers": [(b"X-Sig", b"one"), (b"x-sig", b"two"), (b"Accept", b"\xe9")]}
    assert headers_of(scope) == {"x-sig": "one, two", "accept": "é"}


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/webhooks/square", ("square", "", "")),
        ("/webhooks/square/", ("square", "", "")),
        ("/webhooks/square/con_1", ("square", "con_1", "")),
        ("/webhooks/square/con_1/orders/v2", ("square", "con_1", "orders/v2")),
        ("/webhooks/ubereats/app_1/x", ("ubereats", "app_1", "x")),
        ("/webhooks/ubereats/connect/x", ("ubereats", "", "connect/x")),
        ("/webhooks/", ("", "", "")),
    ],
)
def test_the_second_segment_names_a_connection_or_an_app_by_its_prefix(path: str, parts: tuple[str, str, str]) -> None:
    """Anything else belongs to the vendor's suffix."""
    assert _parts(path) == parts


@pytest.mark.parametrize("place", [(0, 0), (1, 2), ((1 << 63) - 1, (1 << 63) - 1)])
def test_a_cursor_is_read_as_it_was_written(place: tuple[int, int]) -> None:
    """A cursor carries its place through an address unharmed."""
    cursor = encode_cursor(*place)
    assert decode_cursor(cursor) == place
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("cursor", ["x", "é", "AAAA", "////////////////////AA", "_" * 22, "A" * 200, "AAAAAAAAAAAAAAAAAAAA!A"])
def test_a_cursor_of_others_is_refused(cursor: str) -> None:
    """Nonsense, other lengths and numbers that the database could not hold are refused before it is asked."""
    with pytest.raises(BadCursor):
        decode_cursor(cursor)


def test_event_ids_sort_as_they_were_written() -> None:
    """Later events have greater ids, of one length."""
    ids = [event_id(number) for number in (1, 9, 10, 1 << 40)]
    assert ids == sorted(ids)
    assert {len(identifier) for identifier in ids} == {30}
