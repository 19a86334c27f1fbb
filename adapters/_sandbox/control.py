"""The control API: see what the sandboxes hold, order as a consumer, move orders as staff, and switch faults."""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from adapters._sandbox.calls import Answer, ControlError, Json
from adapters._sandbox.http import Asked
from adapters._sandbox.vendor import Sandbox, word

CONTROL = "_control"
"""The first segment of the control API's paths."""

_Act = Callable[[Sandbox, Json, str], Any]
"""Does what a control call asks of a sandbox, with its body and the id in its path ("" where it names none)."""


def _body(raw: bytes) -> Json:
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise ControlError(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ControlError(400, "the body is not a JSON object")
    return body


def _faults(sandbox: Sandbox, body: Json, _: str) -> Any:
    switches = dict(body)
    if switches.get("expire_tokens") is True:
        sandbox.expire_all_tokens()
        del switches["expire_tokens"]
    sandbox.faults.set(switches)
    return msgspec.to_builtins(sandbox.faults.switches)


def _clear_faults(sandbox: Sandbox, _: Json, __: str) -> Any:
    sandbox.faults.clear()
    return msgspec.to_builtins(sandbox.faults.switches)


def _webhooks(sandbox: Sandbox, body: Json, _: str) -> Any:
    url = word(body, "url")
    if not url.startswith(("http://", "https://")):
        raise ControlError(400, "url is an http or https address")
    events = body.get("events")
    if events is not None and not (isinstance(events, list) and events and all(isinstance(each, str) for each in events)):
        raise ControlError(400, "events is a list of event types")
    made = sandbox.add_webhook(url, word(body, "secret") if "secret" in body else None, events)
    if body.get("stores") is not None:
        stores = body["stores"]
        if not isinstance(stores, list) or not stores or not all(isinstance(each, str) for each in stores):
            raise ControlError(400, "stores is a list of store references")
        sandbox.narrow_webhook(made["id"], stores)
    return made


def _reset(sandbox: Sandbox, _: Json, __: str) -> Any:
    sandbox.reset()
    return {"reset": True}


_ACTS: dict[tuple[str, str], _Act] = {
    ("GET", "state"): lambda sandbox, _, __: sandbox.state(),
    ("GET", "calls"): lambda sandbox, _, __: dict(sandbox.calls),
    ("POST", "orders"): lambda sandbox, body, _: {"orders": sandbox.place_orders(body)},
    ("POST", "orders/{id}/cancel"): lambda sandbox, body, id_: sandbox.cancel_order(id_, body),
    ("POST", "orders/{id}/courier"): lambda sandbox, body, id_: sandbox.move_courier(id_, body),
    ("POST", "orders/{id}/pos-status"): lambda sandbox, body, id_: sandbox.move_order(id_, body),
    ("POST", "menu"): lambda sandbox, body, _: sandbox.edit_menu(body),
    ("POST", "stock"): lambda sandbox, body, _: sandbox.set_stock(body),
    ("POST", "stores/{id}"): lambda sandbox, body, id_: sandbox.set_store(id_, body),
    ("GET", "faults"): lambda sandbox, _, __: msgspec.to_builtins(sandbox.faults.switches),
    ("POST", "faults"): _faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "webhooks"): _webhooks,
    ("POST", "settings"): lambda sandbox, body, _: sandbox.set_settings(body),
    ("POST", "reset"): _reset,
}


_ROUTES = [(method, re.compile(path.replace("{id}", "([^/]+)")), act) for (method, path), act in _ACTS.items()]


class Control:
    """The control API of these sandboxes."""

    def __init__(self, sandboxes: dict[str, Sandbox]) -> None:
        self._sandboxes = sandboxes

    def answer(self, asked: Asked, path: str) -> Answer:
        """Answer a call; `path` is what follows the control API's own segment."""
        try:
            return Answer(200, self._value(asked, path))
        except ControlError as error:
            problem = {"type": "about:blank", "title": "Refused", "status": error.status, "detail": error.detail}
            return Answer(error.status, problem, {"Content-Type": "application/problem+json"})

    def _value(self, asked: Asked, path: str) -> Any:
        slug, _, rest = path.partition("/")
        if not slug and asked.method == "GET":
            return {slug: _about(sandbox, f"{asked.origin}/{slug}") for slug, sandbox in self._sandboxes.items()}
        for method, pattern, act in _ROUTES:
            match = pattern.fullmatch(rest) if method == asked.method else None
            if match is not None:
                sandbox = self._sandboxes.get(slug)
                if sandbox is None:
                    raise ControlError(404, f"no sandbox {slug!r}; there are: {', '.join(self._sandboxes)}")
                sandbox.base_url = f"{asked.origin}/{slug}"
                return act(sandbox, _body(asked.body), match[1] if match.groups() else "")
        raise ControlError(404, f"no control call {asked.method} /{CONTROL}/{path}")


def _about(sandbox: Sandbox, base_url: str) -> Json:
    app, connection = sandbox.app_credentials(), sandbox.connection_credentials()
    return {
        "kind": sandbox.kind,
        "narrows": sandbox.narrows,
        "base_url": base_url,
        "credentials": {**app, **connection},
        "app": app,
        "connection": connection,
        "stores": [{name: store[name] for name in ("ref", "name", "currency")} for store in sandbox.stores()],
        "webhooks": sandbox.webhooks(),
    }
