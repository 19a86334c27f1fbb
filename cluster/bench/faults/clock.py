"""The database's clock set an hour ahead or behind, by `hub.clock()`: everything due and every lease goes by it."""

import asyncio
import time

import asyncpg

HOUR = 3600
PATIENCE_SECONDS = 60.0


def set_clock(admin_url: str, seconds: int) -> None:
    """Have `hub.clock()` be so many seconds ahead of the time (0: right again); a database that is on its way is waited for."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return asyncio.run(_replace(admin_url, seconds))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if time.monotonic() > limit:
                raise
            time.sleep(0.3)


async def _replace(admin_url: str, seconds: int) -> None:
    connection = await asyncpg.connect(admin_url, timeout=15)
    try:
        await connection.execute(
            "create or replace function hub.clock() returns timestamptz language sql volatile parallel safe"
            f" return clock_timestamp() + make_interval(secs => {seconds})"
        )
    finally:
        await connection.close()
