"""Which POS sells on which platform in the demo, and how the simulated vendors are told about the hub."""

import secrets
import uuid
from typing import Any

from cluster.sandbox_process import call
from hub.contract import Facts

ZONES = {"USD": "America/New_York", "EUR": "Europe/Brussels", "GBP": "Europe/London", "SAR": "Asia/Riyadh", "AED": "Asia/Dubai"}
"""Where a simulated store of a currency stands."""

Pair = tuple[str, str]
"""A POS's slug and a platform's."""


def every_pair(vendors: dict[str, Any], tenants: int) -> list[list[Pair]]:
    """Each POS with each platform, the POS systems dealt out over so many tenants."""
    dealt: list[list[Pair]] = [[] for _ in range(tenants)]
    platforms = [slug for slug, vendor in vendors.items() if vendor["kind"] == "delivery"]
    for number, pos in enumerate(slug for slug, vendor in vendors.items() if vendor["kind"] == "pos"):
        dealt[number % tenants] += [(pos, platform) for platform in platforms]
    return dealt


def make_store(sandbox: str, platform: str, vendor: dict[str, Any], *, name: str, key: str, currency: str) -> str:
    """Have a simulated platform open a store in a currency; its reference."""
    shaped = vendor["stores"][0]["ref"]
    ref = str(uuid.uuid5(uuid.NAMESPACE_URL, key)) if _is_uuid(shaped) else f"demo-{key}"
    body = {"create": True, "name": name, "currency": currency, "timezone": ZONES.get(currency, "UTC"), "status": "open"}
    call(sandbox, "POST", f"/_control/{platform}/stores/{ref}", body)
    return ref


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def register_app(sandbox: str, facts: Facts, address: str, known: dict[str, str]) -> None:
    """Tell a simulated vendor the address of a partner app (whose credentials are `known`), once or for each kind of call."""
    webhook = facts.webhook
    if webhook is None or webhook.level != "app":
        return
    path = f"/_control/{facts.slug}/webhooks"
    if not webhook.suffixes:
        call(sandbox, "POST", path, {"url": address} | ({"events": list(webhook.events)} if webhook.events else {}))
    for event, suffix in webhook.suffixes.items():
        call(sandbox, "POST", path, {"url": f"{address}/{suffix.format_map(known)}", "events": [event]})


def own_secret(facts: Facts) -> dict[str, str]:
    """The secret that the tenant chooses, where a vendor signs nothing and the registered address ends in it."""
    webhook = facts.webhook
    return {webhook.secret: secrets.token_urlsafe(24)} if webhook is not None and webhook.secret_in_address else {}


def register_connection(sandbox: str, facts: Facts, address: str, own: dict[str, str], stores: tuple[str, ...] = ()) -> dict[str, str]:
    """Tell a simulated vendor the address of one connection with these credentials; what more the connection must know.

    With `stores` it hears of these only, where the simulated vendor narrows: as if the connection had an account of its own.
    """
    webhook = facts.webhook
    if webhook is None or webhook.level != "connection":
        return {}
    wanted: dict[str, Any] = {"events": list(webhook.events)} if webhook.events else {}
    if stores and call(sandbox, "GET", "/_control")[facts.slug]["narrows"]:
        wanted["stores"] = list(stores)
    address = f"{address}/{own[webhook.secret]}" if webhook.secret_in_address else address
    made = call(sandbox, "POST", f"/_control/{facts.slug}/webhooks", {"url": address, **wanted})
    if webhook.secret_in_address:
        return {}
    known = {"endpoint_id": made.get("id"), "webhook_username": made.get("username"), webhook.secret: made.get("secret")}
    return {name: str(value) for name, value in known.items() if value and name in facts.credentials}
