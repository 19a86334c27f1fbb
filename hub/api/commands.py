"""Commands that screens send over the stream: the same decisions as the HTTP routes, with the same rights and audit."""

from collections.abc import Mapping
from typing import Any

from hub.api import order_actions, order_words
from hub.api.orders import SQL
from hub.api.problems import Problem
from hub.audit import record
from hub.contract import Providers
from hub.database.pool import Database
from hub.events.stream import Command, CommandRefused
from hub.identity.principal import Principal, at_least
from hub.ids import new_id
from hub.ownership.owners import Owners
from hub.tenancy.errors import Invalid
from hub.vault import BodyVault, MasterKeys


def order_commands(database: Database, master: MasterKeys, bodies: BodyVault, owners: Owners, providers: Providers) -> Command:
    """Make the function that carries out `order.<action>` for the stream's commands; it raises CommandRefused."""

    async def command(who: Principal, name: str, order: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        action = name.removeprefix("order.")
        if not at_least(who.role, "staff"):
            raise CommandRefused(f"a {who.role} may look; {name} needs staff")
        try:
            said = order_words.read(action, arguments)
        except Invalid as error:
            raise CommandRefused(f"arguments: {error}") from error
        correlation = new_id("cor")
        day_key = await bodies.key(who.tenant)
        async with database.tenant(who.tenant) as transaction:
            row = await SQL.lock_order(transaction, id=order)
            if row is None:
                raise CommandRefused(f"there is no order {order!r}")
            doing = order_actions.Doing(transaction, SQL, providers, master, day_key, who.user)
            try:
                woken = await order_actions.perform(doing, row, action, said)
            except Problem as problem:
                raise CommandRefused(problem.detail) from problem
            except Invalid as error:
                raise CommandRefused(f"arguments: {error}") from error
            await record(transaction, who.tenant, who.user, name, order, correlation=correlation)
        owners.wake(woken)
        return {"order": order, "state": row["state"], "correlation_id": correlation}

    return command
