"""Two invented restaurants for the demo and the benchmarks: tenants, people, connections and links, made through the hub's own doors."""

import asyncio
import secrets
import time
import urllib.error
from typing import Any

import msgspec

from cluster.sandbox_process import call
from hub.contract import InstalledProviders
from hub.database.pool import Database
from hub.settings import Settings
from hub.tenancy import create_provider_app, create_tenant, create_user

NAMES = ("Demo Saffron Kitchen", "Demo Harbour Grill")


class Login(msgspec.Struct, frozen=True):
    """A login of the demo; the password is random in each run."""

    tenant: str
    email: str
    password: str
    role: str


class DemoLink(msgspec.Struct, frozen=True):
    """A POS location and a store that it serves."""

    id: str
    tenant: str
    pos: str
    pos_connection: str
    pos_location_ref: str
    platform: str
    delivery_connection: str
    delivery_store_ref: str


class Restaurants(msgspec.Struct, frozen=True):
    """What was made: logins, links, and a bearer token of each tenant."""

    logins: tuple[Login, ...]
    links: tuple[DemoLink, ...]
    tokens: dict[str, str]


class Door:
    """The HTTP API as one tenant."""

    def __init__(self, root: str, token: str = "") -> None:
        self.root, self.token = root, token

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API; an error answer becomes a RuntimeError with its detail."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            return call(self.root, method, f"/api/v1{path}", body, headers)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:600]}") from error


def login(root: str, found: Login) -> str:
    """Log in and return the access token."""
    answer = Door(root)("POST", "/auth/login", {"email": found.email, "password": found.password})
    return str(answer["access_token"])


async def _people(settings: Settings, vendors: dict[str, Any], run: str) -> tuple[tuple[Login, ...], Login, dict[str, str]]:
    database = await Database(settings.database_url, application="hub demo").open()
    try:
        logins, apps = [], {}
        operator = Login("", f"operator-{run}@demo.invalid", secrets.token_urlsafe(12), "operator")
        for number, name in enumerate(NAMES):
            tenant = await create_tenant(database, name, demo=True)
            email = f"owner{number + 1}-{run}@demo.invalid"
            found = Login(tenant, email, secrets.token_urlsafe(12), "owner")
            await create_user(database, email, tenant=tenant, role="owner", password=found.password)
            logins.append(found)
        await create_user(database, operator.email, tenant=logins[0].tenant, role="owner", password=operator.password, operator=True)
        providers = InstalledProviders()
        for slug, vendor in vendors.items():
            provider = providers.get(slug)
            if provider is None or provider.facts.auth.owner != "app":
                continue
            fields = {name: value for name, value in vendor["credentials"].items() if name in provider.facts.credentials}
            apps[slug] = await create_provider_app(
                database,
                settings.open_master_keys(),
                providers,
                provider=slug,
                environment="simulator",
                name=f"demo {run}",
                credentials=fields,
            )
        return tuple(logins), operator, apps
    finally:
        await database.close()


def open_restaurants(settings: Settings, sandbox: str) -> Restaurants:
    """Make both restaurants, link every POS of the sandbox with every platform, publish menus, and wait until orders can come."""
    root = f"http://{settings.host}:{settings.port}"
    vendors = call(sandbox, "GET", "/_control")
    run = secrets.token_hex(3)
    logins, operator, apps = asyncio.run(_people(settings, vendors, run))
    tokens = {found.tenant: login(root, found) for found in logins}
    operator_door = Door(root, login(root, operator))
    links: list[DemoLink] = []
    for number, found in enumerate(logins):
        links += _restaurant(Door(root, tokens[found.tenant]), operator_door, found.tenant, number, vendors, apps, sandbox)
    for slug, vendor in vendors.items():
        if vendor["kind"] == "delivery":
            call(sandbox, "POST", f"/_control/{slug}/webhooks", {"url": f"{settings.registered_url}/webhooks/{slug}"})
    for tenant, token in tokens.items():
        _publish(Door(root, token), [link for link in links if link.tenant == tenant])
    people = (*logins, msgspec.structs.replace(operator, tenant=logins[0].tenant))
    return Restaurants(people, tuple(links), tokens)


def _connection(door: Door, slug: str, vendor: dict[str, Any], apps: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    provider = InstalledProviders().get(slug)
    assert provider is not None
    facts = provider.facts
    own = {
        name: vendor["credentials"][name]
        for name, field in facts.credentials.items()
        if field.of == "connection" and name in vendor["credentials"]
    }
    body: dict[str, Any] = {"provider": slug, "name": f"{facts.name} demo", "credentials": own, "environment": "simulator"}
    if slug in apps:
        body["provider_app"] = apps[slug]
    made: dict[str, Any] = door("POST", "/connections", {**body, **settings})
    return made


def _restaurant(
    door: Door,
    operator: Door,
    tenant: str,
    number: int,
    vendors: dict[str, Any],
    apps: dict[str, str],
    sandbox: str,
) -> list[DemoLink]:
    poses = {slug: vendor for slug, vendor in vendors.items() if vendor["kind"] == "pos"}
    platforms = {slug: vendor for slug, vendor in vendors.items() if vendor["kind"] == "delivery"}
    made: dict[str, dict[str, Any]] = {}
    links = []
    for pos, pos_vendor in poses.items():
        for platform, platform_vendor in platforms.items():
            place, store = pos_vendor["stores"][number], platform_vendor["stores"][number]
            for slug, vendor in ((pos, pos_vendor), (platform, platform_vendor)):
                if slug not in made:
                    made[slug] = _connection(door, slug, vendor, apps, {})
                    if vendor["kind"] == "pos":
                        _pos_webhooks(door, sandbox, slug, made[slug])
            location = door(
                "POST",
                "/locations",
                {
                    "name": f"{NAMES[number]} {place['name']}",
                    "timezone": place.get("timezone", "America/New_York"),
                    "currency": place.get("currency", "USD"),
                },
            )
            link = door(
                "POST",
                "/links",
                {
                    "location": location["id"],
                    "pos": {"connection": made[pos]["id"], "location_ref": place["ref"]},
                    "delivery": {"connection": made[platform]["id"], "store_ref": store["ref"]},
                },
            )
            claim = door("POST", "/store-claims", {"connection": made[platform]["id"], "store_ref": store["ref"]})
            operator("POST", f"/store-claims/{claim['id']}/approve")
            ends = (made[pos]["id"], place["ref"], platform, made[platform]["id"], store["ref"])
            links.append(DemoLink(link["id"], tenant, pos, *ends))
    return links


def _pos_webhooks(door: Door, sandbox: str, slug: str, connection: dict[str, Any]) -> None:
    provider = InstalledProviders().get(slug)
    if provider is None or provider.facts.webhook is None or not connection.get("webhook_url"):
        return
    wanted = {"url": connection["webhook_url"], "events": list(provider.facts.webhook.events) or None}
    secret = call(sandbox, "POST", f"/_control/{slug}/webhooks", {k: v for k, v in wanted.items() if v})["secret"]
    known = call(sandbox, "GET", "/_control")[slug]["credentials"]
    own = {name: known[name] for name, field in provider.facts.credentials.items() if field.of == "connection" and name in known}
    door("PATCH", f"/connections/{connection['id']}", {"credentials": {**own, provider.facts.webhook.secret: secret}})


def _publish(door: Door, links: list[DemoLink], seconds: float = 40) -> None:
    for connection in sorted({link.pos_connection for link in links}):
        door("POST", f"/connections/{connection}/sync", {"resource": "menu"})
    for connection in sorted({link.delivery_connection for link in links}):
        door("POST", f"/connections/{connection}/sync", {"resource": "menu"})
    wanted = {link.id for link in links}
    limit = time.monotonic() + seconds
    cursor: str | None = None
    while wanted and time.monotonic() < limit:
        answer = door("GET", f"/events?limit=200&cursor={cursor}" if cursor else "/events?limit=200")
        wanted -= {event["subject"] for event in answer["items"] if event["type"] == "menu.published"}
        cursor = answer["next_cursor"] or cursor
        time.sleep(0.15)
    if wanted:
        raise RuntimeError(f"menus of {len(wanted)} links were not published within {seconds:.0f} s: look at /api/v1/alerts")
