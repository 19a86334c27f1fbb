"""The control API: see what the sandboxes hold, order as a consumer, move orders as staff, and switch faults."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from adapters._sandbox.calls import ControlError, Json
from adapters._sandbox.vendor import Sandbox, word

_Act = Callable[[Sandbox, Json, web.Request], Any]


def _answer(value: Any, status: int = 200) -> web.Response:
    kind = "application/json" if status < 400 else "application/problem+json"
    return web.Response(status=status, body=msgspec.json.encode(value), headers={"Content-Type": kind})


async def _body(request: web.Request) -> Json:
    raw = await request.read()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise ControlError(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ControlError(400, "the body is not a JSON object")
    return body


def _faults(sandbox: Sandbox, body: Json, _: web.Request) -> Any:
    switches = dict(body)
    if switches.get("expire_tokens") is True:
        sandbox.expire_all_tokens()
        del switches["expire_tokens"]
    sandbox.faults.set(switches)
    return msgspec.to_builtins(sandbox.faults.switches)


def _clear_faults(sandbox: Sandbox, _: Json, __: web.Request) -> Any:
    sandbox.faults.clear()
    return msgspec.to_builtins(sandbox.faults.switches)


def _webhooks(sandbox: Sandbox, body: Json, _: web.Request) -> Any:
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


def _reset(sandbox: Sandbox, _: Json, __: web.Request) -> Any:
    sandbox.reset()
    return {"reset": True}


_ACTS: dict[tuple[str, str], _Act] = {
    ("GET", "state"): lambda sandbox, _, __: sandbox.state(),
    ("GET", "calls"): lambda sandbox, _, __: dict(sandbox.calls),
    ("POST", "orders"): lambda sandbox, body, _: {"orders": sandbox.place_orders(body)},
    ("POST", "orders/{id}/cancel"): lambda sandbox, body, request: sandbox.cancel_order(request.match_info["id"], body),
    ("POST", "orders/{id}/courier"): lambda sandbox, body, request: sandbox.move_courier(request.match_info["id"], body),
    ("POST", "orders/{id}/pos-status"): lambda sandbox, body, request: sandbox.move_order(request.match_info["id"], body),
    ("POST", "menu"): lambda sandbox, body, _: sandbox.edit_menu(body),
    ("POST", "stock"): lambda sandbox, body, _: sandbox.set_stock(body),
    ("POST", "stores/{id}"): lambda sandbox, body, request: sandbox.set_store(request.match_info["id"], body),
    ("GET", "faults"): lambda sandbox, _, __: msgspec.to_builtins(sandbox.faults.switches),
    ("POST", "faults"): _faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "webhooks"): _webhooks,
    ("POST", "settings"): lambda sandbox, body, _: sandbox.set_settings(body),
    ("POST", "reset"): _reset,
}


def add_control(app: web.Application, sandboxes: dict[str, Sandbox]) -> None:
    """Add the control routes of these sandboxes to an application."""

    async def overview(request: web.Request) -> web.Response:
        return _answer({slug: _about(sandbox, f"{request.scheme}://{request.host}/{slug}") for slug, sandbox in sandboxes.items()})

    def act(action: _Act) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def run(request: web.Request) -> web.Response:
            try:
                if (sandbox := sandboxes.get(request.match_info["slug"])) is None:
                    raise ControlError(404, f"no sandbox {request.match_info['slug']!r}; there are: {', '.join(sandboxes)}")
                sandbox.base_url = f"{request.scheme}://{request.host}/{sandbox.slug}"
                return _answer(action(sandbox, await _body(request), request))
            except ControlError as error:
                return _answer({"type": "about:blank", "title": "Refused", "status": error.status, "detail": error.detail}, error.status)

        return run

    app.router.add_get("/_control", overview)
    for (method, path), action in _ACTS.items():
        app.router.add_route(method, "/_control/{slug}/" + path, act(action))


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
