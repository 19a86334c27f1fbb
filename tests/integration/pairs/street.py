"""Any POS linked with any platform on real parts: PostgreSQL, simulated vendors over HTTP, the ingress, owners in this process."""

import asyncio
from typing import Any

from adapters._sandbox.vendor import Sandbox
from cluster.pairs import ZONES, make_store, own_secret, register_app, register_connection
from cluster.sandbox_process import call
from hub.contract import Facts
from hub.ids import new_id
from hub.tenancy import approve_claim, claim_store, create_connection, create_link, create_location, create_provider_app, create_tenant
from hub.tenancy.connections import change_connection
from tests.integration.flow.town import Town


class Street(Town):
    """One tenant, one pair."""

    pos_slug = platform_slug = ""

    @property
    def counter(self) -> Sandbox:
        """The POS."""
        return self.vendors[self.pos_slug]

    @property
    def delivery(self) -> Sandbox:
        """The platform."""
        return self.vendors[self.platform_slug]

    def facts(self, slug: str) -> Facts:
        """A provider's facts."""
        found = self.providers.get(slug)
        assert found is not None, slug
        return found.facts

    async def pair(self, pos: str, platform: str, **wanted: Any) -> "Street":
        """Make tenant, connections, store and link of a pair; keyword arguments go to the link."""
        self.pos_slug, self.platform_slug = pos, platform
        self.tenant = await create_tenant(self.database, f"Test restaurant {new_id('cor')}")
        vendors = await asyncio.to_thread(call, self.root, "GET", "/_control")
        place = vendors[pos]["stores"][0]
        currency, self.location_ref = place["currency"], place["ref"]
        self.store = await asyncio.to_thread(
            make_store, self.root, platform, vendors[platform], name="Here", key=new_id("cor")[4:16], currency=currency
        )
        apps = {slug: await self._app(slug, vendors[slug]["credentials"]) for slug in (pos, platform)}
        self.pos = await self._connect(pos, vendors[pos]["credentials"], apps[pos])
        self.platform = await self._connect(platform, vendors[platform]["credentials"], apps[platform])
        async with self.database.tenant(self.tenant) as t:
            where = await create_location(t, tenant=self.tenant, name="Here", timezone=ZONES[currency], currency=currency)
            linked = await create_link(
                t, self.providers, tenant=self.tenant, location=where, pos_connection=self.pos, pos_location_ref=self.location_ref,
                delivery_connection=self.platform, delivery_store_ref=self.store, **wanted,
            )  # fmt: skip
            self.link = linked.id
        for slug, connection, ref in ((pos, self.pos, self.location_ref), (platform, self.platform, self.store)):
            webhook = self.facts(slug).webhook
            if webhook is not None and webhook.level == "app":
                async with self.database.tenant(self.tenant) as t:
                    claim = await claim_store(t, tenant=self.tenant, connection=connection, store_ref=ref)
                    await approve_claim(t, claim, actor="test")
                await asyncio.to_thread(
                    register_app, self.root, self.facts(slug), f"{self.public_url}/webhooks/{slug}", vendors[slug]["credentials"]
                )
        async with self.database.tenant(self.tenant) as t:
            await t.execute("update hub.leases set host = connection")
        return self

    async def _app(self, slug: str, known: dict[str, str]) -> str | None:
        held = {name for name, field in self.facts(slug).credentials.items() if field.of == "app"}
        if not held:
            return None
        return await create_provider_app(
            self.database, self.master, self.providers, provider=slug, environment="simulator", name=f"app {new_id('cor')}",
            credentials={name: value for name, value in known.items() if name in held},
        )  # fmt: skip

    async def _connect(self, slug: str, known: dict[str, str], app: str | None) -> str:
        facts = self.facts(slug)
        own = {name: known[name] for name, field in facts.credentials.items() if field.of == "connection" and known.get(name)}
        own |= own_secret(facts)
        async with self.database.tenant(self.tenant) as t:
            made = await create_connection(
                t, self.master, self.providers, tenant=self.tenant, provider=slug, name=slug, credentials=own,
                settings=facts.environments["simulator"].settings, environment="simulator", simulator=True, provider_app=app,
            )  # fmt: skip
        more = await asyncio.to_thread(register_connection, self.root, facts, f"{self.public_url}/webhooks/{slug}/{made.id}", own)
        if more:
            async with self.database.tenant(self.tenant) as t:
                await change_connection(
                    t, self.master, self.providers, tenant=self.tenant, connection=made.id, credentials={**own, **more},
                    name=None, settings=None, actor="test",
                )  # fmt: skip
        return made.id

    def buy(self, **wanted: Any) -> str:
        """A consumer orders; the platform's order id."""
        return str(self.delivery.place_orders({"store": self.store, **wanted})[0])

    def at_counter(self, reference: str) -> list[dict[str, Any]]:
        """The POS's orders of one reference."""
        return [order for order in self.counter.state()["orders"] if reference in str(order["reference"] or "")]

    def at_platform(self, platform_order_id: str) -> dict[str, Any]:
        """The platform's order."""
        return next(order for order in self.delivery.state()["orders"] if order["id"] == platform_order_id)
