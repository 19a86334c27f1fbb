"""Fixtures of the API's tests: a hub with two tenants in the module's database."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hub.api.app import build_api
from hub.api.context import ApiContext
from hub.database.pool import Database
from hub.ids import new_id
from hub.ownership.owners import MemoryOwners
from hub.settings import Settings
from hub.tenancy import create_provider_app, create_user
from hub.vault import MasterKeys
from tests.integration.api.api_world import PASSWORD, Side, World, add_side, login, providers


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """A new pair of tenants in the module's database."""
    owners, tried = MemoryOwners(), []
    master = MasterKeys({"k1": bytes(range(32))})

    async def tester(tenant: str, connection: str) -> dict[str, Any]:
        tried.append((tenant, connection))
        return {"ok": True, "detail": "2 locations"}

    context = ApiContext(
        database=database,
        master=master,
        owners=owners,
        providers=providers(),
        settings=Settings(public_url="https://hub.example", sandbox_url="http://127.0.0.1:1", max_body_bytes=65_536),
        tester=tester,
    )
    app = await create_provider_app(
        database,
        master,
        context.providers,
        provider="courier",
        environment="simulator",
        name=new_id("app"),
        credentials={"client_secret": "s3cret-of-the-app"},
    )
    # Connections of the sides are in production unless they say otherwise: give them an app there.
    production = await create_provider_app(
        database,
        master,
        context.providers,
        provider="courier",
        environment="production",
        name=new_id("app"),
        credentials={"client_secret": "s3cret-of-the-app"},
    )
    transport = httpx.ASGITransport(app=build_api(context), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test") as client:
        a, b = await add_side(context, "Aleph", production), await add_side(context, "Beth", production)
        operator = Side(a.tenant, f"op-{new_id('usr')[4:]}@example.test", "")
        await create_user(database, operator.email, tenant=a.tenant, role="owner", password=PASSWORD, operator=True)
        for side in (a, b, operator):
            await login(client, side)
        yield World(context, owners, client, app, a, b, operator, tried)
