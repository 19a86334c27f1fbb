"""Bring the schema up to date: numbered, forward-only files, each in a transaction of its own, one migrator at a time."""

import importlib.resources
import re

import asyncpg

LOCK = 7_204_519
"""Advisory lock of the migrator: concurrent starts wait for the first."""


class SchemaTooNew(RuntimeError):
    """The database was migrated by a newer release: run that release, or restore a backup."""


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and SQL of each migration, in order."""
    folder = importlib.resources.files("hub.database").joinpath("migrations")
    found = []
    for entry in folder.iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name)
        if match:
            found.append((int(match[1]), match[2], entry.read_text("utf-8")))
    return sorted(found)


async def migrate(admin_url: str) -> list[str]:
    """Apply what is missing and return the names of what was applied; raises SchemaTooNew.

    The role needs CREATEROLE (or the roles hub_service and hub_definer present) and CREATE on the database.
    """
    connection = await asyncpg.connect(admin_url, command_timeout=120)
    try:
        await connection.execute("set lock_timeout = 0; set statement_timeout = 0")
        await connection.fetchval("select pg_advisory_lock($1)", LOCK)
        return await _apply(connection)
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection) -> list[str]:
    await connection.execute(
        "create table if not exists public.hub_migrations"
        " (number integer primary key, name text not null, at timestamptz not null default clock_timestamp());"
        " grant select on public.hub_migrations to public"
    )
    done = {row["number"] for row in await connection.fetch("select number from public.hub_migrations")}
    known = migrations()
    newest = max(number for number, _, _ in known)
    if done and max(done) > newest:
        raise SchemaTooNew(f"the schema is at {max(done)}, this release knows {newest}: run the newer release")
    applied = []
    for number, name, sql in known:
        if number in done:
            continue
        async with connection.transaction():
            await connection.execute(sql)
            await connection.execute("insert into public.hub_migrations (number, name) values ($1, $2)", number, name)
        applied.append(f"{number:04}_{name}")
    return applied


async def pending(url: str) -> list[str]:
    """Names of migrations that the database lacks, readable by any role."""
    connection = await asyncpg.connect(url, command_timeout=15)
    try:
        exists = await connection.fetchval("select to_regclass('public.hub_migrations') is not null")
        rows = await connection.fetch("select number from public.hub_migrations") if exists else []
        done = {row["number"] for row in rows}
        return [f"{number:04}_{name}" for number, name, _ in migrations() if number not in done]
    finally:
        await connection.close()
