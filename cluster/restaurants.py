"""Two invented restaurants for the demo and the benchmarks: tenants, people, connections and links, made through the hub's own doors."""

import asyncio
import secrets
import time
import urllib.error
from typing import Any

import msgspec

from cluster.pairs import ZONES, Pair, every_pair, make_store, own_secret, register_app, register_connection
from cluster.sandbox_process import call
from hub.contract import Facts, InstalledProviders
from hub.database.pool import Database
from hub.settings import Settings
from hub.tenancy import create_provider_app, create_tenant, create_user

NAMES = ("Demo Saffron Kitchen", "Demo Harbour Grill")


def _name(number: int) -> str:
    return NAMES[number] if number < len(NAMES) else f"Demo Kitchen {number + 1}"


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


async def _people(settings: Settings, vendors: dict[str, Any], run: str, count: int) -> tuple[tuple[Login, ...], Login, dict[str, str]]:
    database = await Database(settings.database_url, application="hub demo").open()
    try:
        logins, apps = [], {}
        operator = Login("", f"operator-{run}@demo.invalid", secrets.token_urlsafe(12), "operator")
        for number in range(count):
            name = _name(number)
            tenant = await create_tenant(database, name, demo=True)
            email = f"owner{number + 1}-{run}@demo.invalid"
            found = Login(tenant, email, secrets.token_urlsafe(12), "owner")
            await create_user(database, email, tenant=tenant, role="owner", password=found.password)
            logins.append(found)
        await create_user(database, operator.email, tenant=logins[0].tenant, role="owner", password=operator.password, operator=True)
        providers = InstalledProviders()
        for slug, vendor in vendors.items():
            provider = providers.get(slug)
            if provider is None:
                continue
            held = {name for name, field in provider.facts.credentials.items() if field.of == "app"}
            if not held:
                continue
            fields = {name: value for name, value in vendor["credentials"].items() if name in held}
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


def open_restaurants(settings: Settings, sandbox: str, dealt: list[list[Pair]] | None = None, *, apart: bool = False) -> Restaurants:
    """Make restaurants with the pairs dealt to each, publish menus, and wait for them; None: two with every POS and platform.

    A POS has one account, which its locations share; `apart`, each restaurant hears of its own orders only.
    """
    root = f"http://{settings.host}:{settings.port}"
    vendors = call(sandbox, "GET", "/_control")
    run = secrets.token_hex(3)
    dealt = dealt or every_pair(vendors, len(NAMES))
    logins, operator, apps = asyncio.run(_people(settings, vendors, run, len(dealt)))
    tokens = {found.tenant: login(root, found) for found in logins}
    operator_door = Door(root, login(root, operator))
    links: list[DemoLink] = []
    for number, (found, pairs) in enumerate(zip(logins, dealt, strict=True)):
        opening = _Opening(Door(root, tokens[found.tenant]), operator_door, found.tenant, number, vendors, apps, sandbox, apart=apart)
        links += [opening.link(pos, platform) for pos, platform in pairs]
    for slug in vendors:
        register_app(sandbox, _facts(slug), f"{settings.registered_url}/webhooks/{slug}", vendors[slug]["credentials"])
    for tenant, token in tokens.items():
        _publish(Door(root, token), [link for link in links if link.tenant == tenant])
    people = (*logins, msgspec.structs.replace(operator, tenant=logins[0].tenant))
    return Restaurants(people, tuple(links), tokens)


def _facts(slug: str) -> Facts:
    provider = InstalledProviders().get(slug)
    if provider is None:
        raise RuntimeError(f"the simulated vendor {slug} has no installed adapter")
    return provider.facts


class _Opening:
    """One tenant's connections, made when first needed, and its links."""

    def __init__(
        self,
        door: Door,
        operator: Door,
        tenant: str,
        number: int,
        vendors: dict[str, Any],
        apps: dict[str, str],
        sandbox: str,
        *,
        apart: bool,
    ) -> None:
        self._door, self._operator, self._tenant, self._number = door, operator, tenant, number
        self._vendors, self._apps, self._sandbox, self._apart = vendors, apps, sandbox, apart
        self._made: dict[str, str] = {}
        self._claimed: set[tuple[str, str]] = set()

    def link(self, pos: str, platform: str) -> DemoLink:
        """Link the POS's own location of this tenant with a new store of the platform that sells in its currency."""
        place = self._place(pos)
        currency = place["currency"]
        name = f"{_name(self._number)}, {place['name']}"
        key = f"{pos}-{self._number + 1}"
        store = make_store(self._sandbox, platform, self._vendors[platform], name=name, key=key, currency=currency)
        ends = (self._connection(pos, place["ref"]), self._connection(platform))
        where = {"name": f"{name} ({pos}, {platform})", "timezone": ZONES.get(currency, "UTC"), "currency": currency}
        location = self._door("POST", "/locations", where)
        sides = {"pos": {"connection": ends[0], "location_ref": place["ref"]}, "delivery": {"connection": ends[1], "store_ref": store}}
        link = self._door("POST", "/links", {"location": location["id"], **sides})
        self._claim(pos, ends[0], place["ref"])
        self._claim(platform, ends[1], store)
        return DemoLink(link["id"], self._tenant, pos, ends[0], place["ref"], platform, ends[1], store)

    def _place(self, pos: str) -> dict[str, Any]:
        """The POS's location of this restaurant, made where it has too few."""
        places = self._vendors[pos]["stores"]
        if self._number < len(places):
            return dict(places[self._number])
        ref = f"{places[0]['ref']}{self._number + 1}"
        made = {"create": True, "name": f"Counter {self._number + 1}", "currency": places[0]["currency"]}
        return dict(call(self._sandbox, "POST", f"/_control/{pos}/stores/{ref}", made))

    def _connection(self, slug: str, place: str = "") -> str:
        if slug in self._made:
            return self._made[slug]
        facts, known = _facts(slug), self._vendors[slug]["credentials"]
        own = {name: known[name] for name, field in facts.credentials.items() if field.of == "connection" and known.get(name)} | own_secret(
            facts
        )
        body: dict[str, Any] = {"provider": slug, "name": f"{facts.name} demo", "credentials": own, "environment": "simulator"}
        body["settings"] = facts.environments["simulator"].settings
        if slug in self._apps:
            body["provider_app"] = self._apps[slug]
        made = self._door("POST", "/connections", body)
        stores = (place,) if place and self._apart else ()
        more = register_connection(self._sandbox, facts, made["webhook_url"], own, stores) if made["webhook_url"] else {}
        if more:
            self._door("PATCH", f"/connections/{made['id']}", {"credentials": {**own, **more}})
        self._made[slug] = str(made["id"])
        return self._made[slug]

    def _claim(self, slug: str, connection: str, ref: str) -> None:
        webhook = _facts(slug).webhook
        if webhook is None or webhook.level != "app" or (connection, ref) in self._claimed:
            return
        claim = self._door("POST", "/store-claims", {"connection": connection, "store_ref": ref})
        self._operator("POST", f"/store-claims/{claim['id']}/approve")
        self._claimed.add((connection, ref))


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
