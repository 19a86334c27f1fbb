"""A 2xx means stored: a server that may forget what it committed is refused."""

import asyncpg

REQUIRED = ("fsync", "full_page_writes", "synchronous_commit")


class NotDurable(RuntimeError):
    """The PostgreSQL server may lose committed transactions; the message says which setting to turn on."""


async def check_durability(url: str) -> None:
    """Check the server's settings; raises NotDurable, or the driver's error when it cannot be reached."""
    connection = await asyncpg.connect(url, timeout=15)
    try:
        off = [name for name in REQUIRED if await connection.fetchval(f"show {name}") == "off"]
    finally:
        await connection.close()
    if off:
        raise NotDurable(f"{', '.join(off)} is off: a committed order could be lost. Turn it on in postgresql.conf and reload")
