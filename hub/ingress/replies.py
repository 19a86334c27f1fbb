"""Answers of the bare ASGI apps, without a framework in between."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class BodyTooLarge(Exception):
    """The caller sends more than the limit."""


class CallerLeft(Exception):
    """The caller hung up before its body was here: nobody waits for an answer."""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read the whole body, at most `limit` bytes; raises BodyTooLarge and CallerLeft."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise BodyTooLarge
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLarge
        return body
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise CallerLeft
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def headers_of(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are joined with a comma."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def reply(
    send: Send,
    status: int,
    body: bytes,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a whole answer."""
    lines = [(b"content-length", str(len(body)).encode())]
    if body:
        lines.append((b"content-type", content_type.encode()))
    if headers:
        lines += [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def problem(send: Send, status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
    """Send a problem document (RFC 9457)."""
    body = msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": detail})
    await reply(send, status, body, "application/problem+json", headers)
