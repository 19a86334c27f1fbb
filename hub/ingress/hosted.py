"""Menus that platforms fetch from us: the newest menu of the POS location that serves the store."""

import msgspec

from hub.contract import Answer, IngressRequest, MenuHost
from hub.database.pool import Database
from hub.ingress.routes import StoreRoute
from hub.model import Menu

_MENU = """
select v.body from hub.links l
join hub.menu_versions v on v.connection = l.pos_connection and v.location_ref = l.pos_location_ref
where l.active and l.delivery_connection = $1 and l.delivery_store_ref = $2
order by v.number desc limit 1
"""


async def hosted_menu(database: Database, host: MenuHost, home: StoreRoute, store_ref: str, request: IngressRequest) -> Answer | None:
    """The answer that carries the store's menu; None when there is no link or its POS's menu was not read yet."""
    async with database.tenant(home.tenant) as transaction:
        body = await transaction.fetchval(_MENU, home.connection, store_ref)
    if body is None:
        return None
    return host.document(store_ref, msgspec.convert(body, Menu), request)
