"""The hub's front door in a town: its API and the page that consents come back to, and somebody who is signed in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx

from actors.connectivity import Connectivity
from hub.api.app import build_api
from hub.api.consent import consent_context
from hub.api.context import ApiContext
from hub.consent import PREFIX, Callback
from hub.ids import new_id
from hub.settings import Settings
from hub.tenancy import create_user
from tests.integration.flow.town import Town

PASSWORD = "correct horse battery"
PUBLIC = "http://hub.test"


class Front:
    """Calls to the hub as a person of the town's tenant."""

    def __init__(self, town: Town, client: httpx.AsyncClient) -> None:
        self.town, self.client = town, client
        self.user = self.token = ""

    async def sign_in(self, role: Any = "manager") -> "Front":
        """Become a new person of this role."""
        email = f"{new_id('usr')[4:]}@example.test"
        self.user = (await create_user(self.town.database, email, tenant=self.town.tenant, role=role, password=PASSWORD)).id
        answer = await self.client.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
        self.token = answer.json()["access_token"]
        return self

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Call /api/v1."""
        return await self.client.request(method, f"/api/v1{path}", json=body, headers={"Authorization": f"Bearer {self.token}"})

    async def consent(self, connection: str) -> str:
        """Ask for a consent and give it at the vendor's page; the address that the vendor sends the browser back to."""
        asked = await self.call("POST", f"/connections/{connection}/authorize")
        assert asked.status_code == 200, asked.text
        async with aiohttp.ClientSession() as http, http.get(asked.json()["url"], allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            back = answer.headers["Location"]
        assert back.startswith(f"{PUBLIC}/oauth/")
        return back

    async def come_back(self, address: str) -> httpx.Response:
        """Follow the vendor's redirect, without a token: it is the browser's."""
        parts = urlsplit(address)
        return await self.client.get(f"{parts.path}?{parts.query}")


@asynccontextmanager
async def front(town: Town) -> AsyncIterator[Front]:
    """The front door of a town whose tenant is made, with a manager."""
    settings = Settings(public_url=PUBLIC, sandbox_url=town.root)
    context = ApiContext(
        database=town.database,
        master=town.master,
        owners=town.owners,
        providers=town.providers,
        settings=settings,
        tester=Connectivity(settings, town.database, town.master, town.providers).test,
    )
    api: Any = build_api(context)
    consents = Callback(consent_context(context))

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        await (consents if scope["path"].startswith(PREFIX) else api)(scope, receive, send)

    transport = httpx.ASGITransport(app=dispatch, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        yield await Front(town, client).sign_in()
