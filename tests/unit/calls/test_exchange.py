"""The code of a consent becomes the stored token, also when somebody stores another at that moment."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.calls import StaticCredentials, VendorClient, open_session
from hub.contract import AuthorizationCode, AuthRevoked, Request, RetryLater, Token

APP = {"client_id": "c", "client_secret": "s"}


class Busy(StaticCredentials):
    """Credentials whose token is stored by somebody else a number of times, just before our own store."""

    def __init__(self, credentials: Mapping[str, str], others: int) -> None:
        super().__init__(credentials)
        self.others = others

    async def store(self, version: int, token: Token) -> bool:
        if self.others:
            self.others -= 1
            await super().store(self._stored.version, Token("refreshed by another"))
        return await super().store(version, token)


class Vendor:
    """A token endpoint."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200

    async def token(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        body = {"access_token": "consented", "refresh_token": "again", "expires_at": "2031-01-01T00:00:00Z"}
        return web.json_response(body if self.status == 200 else {"message": "no"}, status=self.status)


@pytest.fixture
async def vendor() -> AsyncIterator[tuple[Vendor, str]]:
    """A vendor and its address."""
    made = Vendor()
    app = web.Application()
    app.router.add_post("/token", made.token)
    async with TestServer(app) as server:
        yield made, str(server.make_url("/")).rstrip("/")


async def exchange(url: str, tokens: StaticCredentials) -> None:
    """Exchange a code."""
    session = open_session()
    try:
        auth = AuthorizationCode("/token", "/consent", ("A", "B"))
        client = VendorClient(slug="v", session=session, bases={"api": url, "auth": url}, auth=auth, tokens=tokens)
        await client.exchange("the code", "https://hub.example/oauth/v/callback")
    finally:
        await session.close()


@pytest.mark.parametrize("others", [0, 2])
async def test_the_code_is_exchanged_once_and_its_token_wins(vendor: tuple[Vendor, str], others: int) -> None:
    """A refresh of the old token that ends in between does not undo the consent."""
    made, url = vendor
    tokens = Busy(APP, others)
    await exchange(url, tokens)
    stored = await tokens.read()
    assert stored.token is not None
    assert (stored.token.access, stored.token.refresh) == ("consented", "again")
    assert made.asked == [
        {**APP, "grant_type": "authorization_code", "code": "the code", "redirect_uri": "https://hub.example/oauth/v/callback"}
    ]


async def test_a_token_that_changes_for_ever_is_given_up(vendor: tuple[Vendor, str]) -> None:
    """Rather than wait for ever."""
    with pytest.raises(RetryLater, match="too often"):
        await exchange(vendor[1], Busy(APP, 1000))


@pytest.mark.parametrize(("status", "error"), [(400, AuthRevoked), (401, AuthRevoked), (500, RetryLater)])
async def test_a_refused_code_stores_nothing(vendor: tuple[Vendor, str], status: int, error: type[Exception]) -> None:
    """The vendor's no is AuthRevoked, its absence is worth another try."""
    made, url = vendor
    made.status = status
    tokens = StaticCredentials(APP)
    with pytest.raises(error):
        await exchange(url, tokens)
    assert (await tokens.read()).token is None


async def test_a_connection_without_a_token_says_how_to_connect_it(vendor: tuple[Vendor, str]) -> None:
    """And not that access was withdrawn."""
    session = open_session()
    try:
        auth = AuthorizationCode("/token", "/consent", ("A",))
        client = VendorClient(slug="v", session=session, bases={"api": vendor[1]}, auth=auth, tokens=StaticCredentials(APP))
        with pytest.raises(AuthRevoked, match="/authorize"):
            await client.read(Request("GET", "/x", "x"))
    finally:
        await session.close()
