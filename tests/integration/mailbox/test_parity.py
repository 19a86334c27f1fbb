"""The mailbox in memory and the one in PostgreSQL decide alike, over random histories."""

import random

import pytest

from hub.contract import Lane
from hub.database.pool import Database
from hub.mailbox.changes import Changes, Dead, End, Finished, Later
from hub.mailbox.memory import MemoryMailbox
from hub.mailbox.messages import NewMessage
from hub.mailbox.store import Item, PostgresMailbox
from tests.integration.mailbox.desk import Bench

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("seed", range(12))
async def test_both_mailboxes_claim_the_same(database: Database, database_url: str, seed: int) -> None:
    """Messages, ends, deaths, clean releases and activations in any order: the same claims at every step."""
    dice = random.Random(seed)
    bench = await Bench(database, database_url).open()
    real, memory = PostgresMailbox(database_url), MemoryMailbox()
    epoch = 0
    held: dict[str, tuple[int, int]] = {}
    numbers = 0

    async def activate(*, survivor: bool) -> None:
        nonlocal epoch
        ours = await real.activate(bench.tenant, bench.pos, bench.pos, "1", survivor=survivor)
        theirs = await memory.activate(bench.tenant, bench.pos, bench.pos, "1", survivor=survivor)
        assert ours is not None
        assert theirs is not None
        assert (ours.epoch, len(ours.dead)) == (theirs.epoch, len(theirs.dead))
        epoch = ours.epoch
        held.clear()

    await activate(survivor=False)
    for step in range(45):
        action = dice.choice(["put", "put", "turn", "turn", "turn", "die", "survive", "release"])
        if action == "put":
            new = []
            for _ in range(dice.randint(1, 3)):
                numbers += 1
                subject, lane = f"thing/{dice.randint(1, 3)}", dice.choice([Lane.CANCEL, Lane.ORDER, Lane.ORDER, Lane.BULK])
                key = f"k{dice.randint(1, numbers)}"
                new.append(NewMessage(connection=bench.pos, kind="noted", subject=subject, dedupe_key=key, lane=lane))
            await bench.put(*new)
            memory.stored.put(*new)
        elif action in ("die", "survive"):
            await activate(survivor=action == "survive")
        elif action == "release":
            await real.release(bench.tenant, bench.pos, epoch)
            await memory.release(bench.tenant, bench.pos, epoch)
            held.clear()
        else:
            ended = [key for key in sorted(held) if dice.random() < 0.6]
            ends: list[End] = [dice.choice([Finished(), Finished(), Later(0.0), Later(0.0, fresh=True), Dead("error", "x")]) for _ in ended]
            room = dice.randint(0, 4)
            sides = []
            for side, store in enumerate((real, memory)):
                items = [Item(held[key][side], Changes(end=end)) for key, end in zip(ended, ends, strict=True)]
                left = [held[key][side] for key in sorted(held) if key not in ended]
                sides.append(await store.turn(bench.tenant, bench.pos, epoch, items, room, left))
            for key in ended:
                del held[key]
            claims = [[(c.dedupe_key, c.subject, c.alone, c.tries) for c in turn.claims] for turn in sides]
            assert sorted(claims[0]) == sorted(claims[1]), f"step {step}"
            for ours, theirs in zip(
                sorted(sides[0].claims, key=lambda c: c.dedupe_key), sorted(sides[1].claims, key=lambda c: c.dedupe_key), strict=True
            ):
                held[ours.dedupe_key] = (ours.message, theirs.message)
    dead = await bench.rows("select 1 from hub.dead_letters where resolved_at is null")
    due = await bench.rows("select 1 from hub.due")
    assert (len(dead), len(due)) == (len(memory.stored.dead()), len(memory.stored.due()))
    await real.close()
