"""A real PostgreSQL for every integration test: yours by HUB_TEST_ADMIN_DATABASE_URL, else an embedded one of this run's own."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from hub.database.migrate import migrate
from hub.database.pool import Database


def _with(url: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    who = parts.netloc.rpartition("@")[0] if user is None else f"{user}:{password}"
    return urlunsplit((parts.scheme, f"{who}@{where}" if who else where, f"/{database}", parts.query, ""))


@pytest.fixture(scope="session")
def admin_url() -> Iterator[str]:
    """URL of a role that may create databases and roles."""
    given = os.environ.get("HUB_TEST_ADMIN_DATABASE_URL")
    if given:
        yield given
        return
    from cluster.embedded import start_postgres, stop

    home = Path(tempfile.mkdtemp(prefix="hub-test-"))
    try:
        yield start_postgres(home).admin_url
    finally:
        stop(home)
        from cluster.embedded import remove_data

        remove_data(home)
        shutil.rmtree(home, ignore_errors=True)


async def _admin(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url, timeout=15)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def owner_url(admin_url: str) -> Iterator[str]:
    """URL of a fresh, migrated database, as the owner of its schema."""
    name = f"hub_test_{secrets.token_hex(6)}"
    asyncio.run(_admin(admin_url, f"create database {name}"))
    url = _with(admin_url, database=name)
    try:
        asyncio.run(migrate(url))
        yield url
    finally:
        asyncio.run(_admin(admin_url, f"drop database if exists {name} with (force)"))


@pytest.fixture(scope="module")
def database_url(owner_url: str) -> Iterator[str]:
    """URL of the same database as a service: a member of hub_service, without the right to bypass row security."""
    role, password = f"hub_test_{secrets.token_hex(6)}", secrets.token_hex(12)
    asyncio.run(_admin(owner_url, f"create role {role} login nobypassrls password '{password}' in role hub_service"))
    try:
        yield _with(owner_url, database=urlsplit(owner_url).path[1:], user=role, password=password)
    finally:
        ends = f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'"
        asyncio.run(_admin(owner_url, ends, f"drop role {role}"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open pool of the service."""
    opened = await Database(database_url, most=6).open()
    yield opened
    await opened.close()
