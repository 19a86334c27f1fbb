"""Commands that screens send over the stream: the same decisions as the HTTP routes, with the same rights and audit."""

from collections.abc import Mapping
from typing import Any

import msgspec

from hub.api import order_actions
from hub.api.orders import SQL
from hub.api.problems import Problem
from hub.audit import record
from hub.database.pool import Database
from hub.events.stream import Command, CommandRefused
from hub.identity.principal import Principal, at_least
from hub.ids import new_id
from hub.ownership.owners import Owners
from hub.vault import BodyVault


def order_commands(database: Database, bodies: BodyVault, owners: Owners) -> Command:
    """Make the function that carries out `order.accept`, `.reject`, `.ready` and `.cancel`; it raises CommandRefused."""

    async def command(who: Principal, name: str, order: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        action = name.removeprefix("order.")
        if not at_least(who.role, "staff"):
            raise CommandRefused(f"a {who.role} may look; {name} needs staff")
        reason = _reason(action, arguments)
        correlation = new_id("cor")
        day_key = await bodies.key(who.tenant)
        async with database.tenant(who.tenant) as transaction:
            row = await SQL.lock_order(transaction, id=order)
            if row is None:
                raise CommandRefused(f"there is no order {order!r}")
            try:
                woken = await order_actions.perform(transaction, SQL, row, action, reason, day_key=day_key, actor=who.user)
            except Problem as problem:
                raise CommandRefused(problem.detail) from problem
            await record(transaction, who.tenant, who.user, name, order, correlation=correlation)
        owners.wake(woken)
        return {"order": order, "state": row["state"], "correlation_id": correlation}

    return command


def _reason(action: str, arguments: Mapping[str, Any]) -> order_actions.Reason | None:
    if action not in ("reject", "cancel"):
        return None
    try:
        found = msgspec.convert(dict(arguments), order_actions.Reason)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"arguments: {error}") from error
    if len(found.reason) > 100 or len(found.detail) > 500:
        raise CommandRefused("a reason has at most 100 and its detail at most 500 characters")
    return found
