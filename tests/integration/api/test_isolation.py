"""Nothing crosses tenants: not through a route, not through a table, not through a function nobody reviewed."""

import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.api.app import build_litestar
from hub.ids import message_id
from tests.integration.api.api_world import World

pytestmark = pytest.mark.postgres

BODIES: dict[str, Any] = {
    "POST /links": lambda w: {
        "location": w.b.location,
        "pos": {"connection": w.b.pos, "location_ref": "L1"},
        "delivery": {"connection": w.b.delivery, "store_ref": "other"},
    },
    "POST /store-claims": lambda w: {"connection": w.b.delivery, "store_ref": "s"},
    "POST /mappings": lambda w: {"link": w.b.link, "channel_key": "k", "pos_product": "p"},
    "PATCH /connections/{connection_id}": lambda _: {"name": "taken"},
    "POST /connections/{connection_id}/sync": lambda _: {"resource": "menu"},
    "PATCH /locations/{location_id}": lambda _: {"name": "taken"},
    "PATCH /links/{link_id}": lambda _: {"accept": "auto"},
    "POST /messages/{message}/skip": lambda _: {"reason": "not mine"},
    "POST /orders/{order_id}/reject": lambda _: {"reason": "other"},
    "POST /orders/{order_id}/cancel": lambda _: {"reason": "other"},
    "POST /orders/{order_id}/delay": lambda _: {"minutes": 5},
    "POST /orders/{order_id}/amend": lambda _: {"quantities": {"l1": 1}},
    "POST /stock": lambda w: {"location": w.b.location, "items": [{"id": "i1", "available": False}]},
}
"""Bodies that are valid but for the other tenant's ids."""

NAMES: dict[str, Any] = {
    "connection_id": lambda w: w.b.pos,
    "location_id": lambda w: w.b.location,
    "link_id": lambda w: w.b.link,
    "claim_id": lambda w: w.b.claim,
    "order_id": lambda w: w.b.order,
    "alert_id": lambda w: w.b.alert,
    "session_id": lambda w: w.b.session,
    "message": lambda w: message_id(w.b.dead),
    "key_id": lambda w: w.key,
    "extra": lambda _: "counts",
}
"""The other tenant's id for each path parameter; a new parameter needs its line here."""

WITHOUT_TENANT = {"slug"}

QUERIES = {"GET /mappings": "?link={link}", "DELETE /mappings": "?link={link}&channel_key=k"}


def routes(world: World) -> list[tuple[str, str]]:
    """Every method and path of the application that names something of a tenant's."""
    found = []
    for route in build_litestar(world.context).routes:
        path = route.path_format.removeprefix("/api/v1")
        parameters = set(re.findall(r"\{(\w+)", path))
        if parameters & WITHOUT_TENANT:
            continue
        for method in sorted(route.methods - {"OPTIONS", "HEAD"}):
            if parameters or f"{method} {path}" in BODIES or f"{method} {path}" in QUERIES:
                found.append((method, re.sub(r"\{(\w+)[^}]*\}", r"{\1}", path)))
    return found


async def test_every_route_answers_404_for_another_tenants_ids(world: World) -> None:
    """Whatever a route is asked with somebody else's ids, the answer is the 404 of a thing that is not there."""
    made = await world.call(world.b, "POST", "/api-keys", {"name": "b"})
    world.key = made.json()["id"]  # type: ignore[attr-defined]
    walked = routes(world)
    assert len(walked) > 25
    wrong = []
    for method, path in walked:
        filled = re.sub(r"\{(\w+)\}", lambda m: NAMES[m[1]](world), path)
        filled += QUERIES.get(f"{method} {path}", "").format(link=world.b.link)
        body = BODIES.get(f"{method} {path}", lambda _: None)(world)
        answer = await world.call(world.a, method, filled, body)
        if answer.status_code != 404 or answer.headers["content-type"] != "application/problem+json":
            wrong.append((method, path, answer.status_code, answer.text))
    assert wrong == []


async def test_lists_show_nothing_of_another_tenant(world: World) -> None:
    """No list of one tenant holds an id of another's."""
    theirs = {world.b.tenant, world.b.pos, world.b.delivery, world.b.location, world.b.link, world.b.claim, world.b.order}
    theirs |= {world.b.alert, world.b.session, world.b.user}
    walked = 0
    for route in build_litestar(world.context).routes:
        path = route.path_format.removeprefix("/api/v1")
        if "GET" in route.methods and "{" not in path and path not in ("", "/", "/docs", "/openapi.json", "/mappings"):
            answer = await world.call(world.a, "GET", f"{path}?limit=200")
            assert not any(identifier in answer.text for identifier in theirs), path
            walked += 1
    assert walked > 12


async def test_what_operators_do_is_refused_to_others(world: World) -> None:
    """A tenant's owner who is no operator makes no tenants, people or provider apps, and approves no claim, not even an own one."""
    for path in ("/tenants", "/provider-apps"):
        assert (await world.call(world.a, "GET", path)).status_code == 403
    assert (await world.call(world.a, "POST", "/users", {"email": "x@example.test", "role": "owner"})).status_code == 403
    assert (await world.call(world.a, "GET", "/store-claims?scope=all")).status_code == 403
    assert (await world.call(world.a, "POST", f"/store-claims/{world.a.claim}/approve")).status_code == 404


TABLES = """
select c.oid::regclass::text as name, c.relrowsecurity and c.relforcerowsecurity as forced,
  (select attname from pg_attribute a where a.attrelid = c.oid and attname = 'tenant_id') as tenant,
  (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
     and not a.attisdropped and a.attgenerated = '') as columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'hub' and c.relkind in ('r', 'p') order by 1
"""


async def _refused(connection: asyncpg.Connection, tenant: str | None, statement: str, *args: Any) -> bool:
    """Tell whether a statement touches no row, or is refused."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        if tenant is not None:
            await connection.execute("select set_config('hub.tenant', $1, true)", tenant)
        done = await connection.execute(statement, *args)
        return done.split()[-1] == "0"
    except asyncpg.InsufficientPrivilegeError:
        return True
    except asyncpg.PostgresError:
        return False
    finally:
        await transaction.rollback()


async def _fill(world: World, owner: asyncpg.Connection) -> None:
    """Give the other tenant a row in each table that the fixtures leave empty."""
    b = world.b
    await world.call(b, "POST", "/api-keys", {"name": "b"}, Idempotency_Key="fill")
    await world.call(b, "POST", "/mappings", {"link": b.link, "channel_key": "k", "pos_product": "p"})
    await owner.execute(
        f"""
        insert into hub.menu_versions (tenant_id, connection, location_ref, number, digest, body)
          values ('{b.tenant}', '{b.pos}', 'L1', 1, 'x', '{{}}');
        insert into hub.tombstones (tenant_id, connection, platform_order_id) values ('{b.tenant}', '{b.delivery}', 'gone');
        insert into hub.attempts (tenant_id, connection, subject, step, generation, repeat, idempotency_key, request, sealed_with,
          timeout_seconds, epoch, started_at, first_started_at)
          values ('{b.tenant}', '{b.pos}', 'order/x', 'order', 1, 'key', 'k', 'x', 'd', 10, 1, hub.clock(), hub.clock());
        insert into hub.oauth_states (tenant_id, state_hash, connection, user_id, redirect_uri, expires_at)
          values ('{b.tenant}', 'x', '{b.pos}', '{b.user}', 'https://hub.example', hub.clock());
        insert into hub.stock (tenant_id, connection, place_ref, item, available, told_at)
          values ('{b.tenant}', '{b.pos}', 'L1', 'tea', false, hub.clock());
        insert into hub.event_floors (tenant_id, xid, id) values ('{b.tenant}', '1', 1);
        insert into hub.vendor_stores (tenant_id, connection, ref, seen_at) values ('{b.tenant}', '{b.pos}', 'L1', hub.clock());
        """
    )


async def test_no_table_lets_a_tenant_at_another_tenants_rows(world: World, owner_url: str, database_url: str) -> None:
    """For every table in the catalogue, as tenant A or as nobody, B's rows are not read, changed, deleted or added to."""
    owner, service = await asyncpg.connect(owner_url), await asyncpg.connect(database_url)
    try:
        await _fill(world, owner)
        await owner.execute("set row_security = off")
        tables = await owner.fetch(TABLES)
        assert len(tables) > 25
        leaks = []
        for table in tables:
            name, key = table["name"], table["tenant"] or ("id" if table["name"] == "hub.tenants" else None)
            partition = re.fullmatch(r"hub\.messages_(default|\d{8})", name) is not None
            if not table["forced"]:
                leaks.append((name, "row security is not forced"))
            if key is None or partition:
                leaks += [
                    (name, verb)
                    for verb in ("select", "insert", "update", "delete")
                    if await service.fetchval("select has_table_privilege(current_user, $1, $2)", name, verb)
                ]
                continue
            if not await owner.fetchval(f"select exists (select from {name} where {key} = $1)", world.b.tenant):
                leaks.append((name, "the test has no row there to try with"))
            for tenant in (world.a.tenant, None):
                statements = {
                    "read": f"select 1 from {name} where {key} = $1",
                    "update": f"update {name} set {key} = {key} where {key} = $1",
                    "steal": f"update {name} set {key} = '{world.a.tenant}' where {key} = $1",
                    "delete": f"delete from {name} where {key} = $1",
                }
                for what, statement in statements.items():
                    if not await _refused(service, tenant, statement, world.b.tenant):
                        leaks.append((name, f"{what} as {tenant}"))
                columns = table["columns"]
                row = await owner.fetchval(f"select to_jsonb(t)::text from {name} t where {key} = $1 limit 1", world.b.tenant)
                insert = (
                    f"insert into {name} ({columns}) overriding system value select {columns} from jsonb_populate_record(null::{name}, $1)"
                )
                if not await _refused(service, tenant, insert, row):
                    leaks.append((name, f"insert as {tenant}"))
        assert leaks == []
    finally:
        await owner.close()
        await service.close()


REVIEWED = {
    "app_credential", "app_credential_lease", "app_credential_store", "app_credential_unlease", "app_sharers", "append_dead",
    "append_messages", "assign_host", "assign_hosts", "claim_approve", "claims_list", "connections_of_host", "connections_to_place",
    "day_key_of", "drop_old_messages", "due_connections", "find_api_key", "find_login", "host_connections", "host_loads", "host_take",
    "hosts_of", "late_connections", "members_list", "mend_clock", "oauth_state_take", "operator_alert", "operator_alerts_open",
    "operator_figures", "prepare_partitions", "prove_claim", "provider_app_create", "provider_app_keys", "release_singleton", "retain",
    "retain_blocks", "retain_day_keys", "retain_events", "route_connection", "route_ingress", "route_order", "session_alive",
    "session_create", "session_revoke", "session_rotate", "store_unrouted", "take_singleton", "tenant_create", "tenants_list",
    "undecided_orders", "unplaced_connections", "unrouted_list", "user_create", "user_find", "user_totp_store",
}  # fmt: skip
"""Functions that cross tenants. Add one here only after asking what it gives to somebody who may call it."""


async def test_every_function_that_crosses_tenants_was_reviewed(owner_url: str) -> None:
    """SECURITY DEFINER functions are those of the list, pin their search_path, and are not for everybody."""
    owner = await asyncpg.connect(owner_url)
    try:
        rows = await owner.fetch(
            "select p.proname, p.proconfig, has_function_privilege('public', p.oid, 'execute') as open from pg_proc p"
            " join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'hub' and p.prosecdef"
        )
    finally:
        await owner.close()
    assert {row["proname"] for row in rows} == REVIEWED
    assert [r["proname"] for r in rows if not any(c == "search_path=pg_catalog" for c in r["proconfig"] or ())] == []
    assert [r["proname"] for r in rows if r["open"]] == []


async def test_a_service_cannot_bypass_row_security(database_url: str) -> None:
    """The role that services use is no superuser and has no BYPASSRLS, nor have the roles it belongs to."""
    service = await asyncpg.connect(database_url)
    try:
        rows = await service.fetch(
            "select rolname from pg_roles where (rolsuper or rolbypassrls) and pg_has_role(current_user, oid, 'member')"
        )
        assert rows == []
    finally:
        await service.close()


def test_sql_asks_no_clock_but_the_hubs() -> None:
    """No SQL calls now() or current_timestamp: tests could not replace that clock."""
    root = Path(__file__).parents[3]
    clock = re.compile(r"\b(now|statement_timestamp|transaction_timestamp|clock_timestamp|localtimestamp)\s*\(|\bcurrent_timestamp\b", re.I)
    found = []
    for folder in ("hub", "actors", "cluster"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix == ".sql":
                lines = [line.partition("--")[0] for line in path.read_text("utf-8").splitlines()]
            elif path.suffix == ".py":
                # Only lines that hold SQL: Python's own datetime.now() is another matter.
                lines = [x for x in path.read_text("utf-8").splitlines() if re.search(r"\b(select|update|insert|default|where)\b", x)]
            else:
                continue
            for line in lines:
                if clock.search(line) and "datetime.now" not in line:
                    found.append(f"{path.relative_to(root)}: {line.strip()}")
    allowed = {
        # The clock itself, and the table that is there before it.
        "hub/database/migrations/0001_foundation.sql: return clock_timestamp();",
        'hub/database/migrate.py: " (number integer primary key, name text not null, at timestamptz not null default clock_timestamp());"',
    }
    assert set(found) == allowed
