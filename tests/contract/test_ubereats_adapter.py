"""Uber Eats beside orders, on its simulated side: promotions are made, listed and ended; a pause ends by itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from adapters.ubereats import PROVIDER
from adapters.ubereats.extras import NewPromotion, PromotionRef, PromotionsParams
from hub.contract import Misconfigured, Rejected
from hub.model import Money, StoreChange
from tests.contract.suite.bench import Bench, bench_of


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    """A fresh platform."""
    async with bench_of(PROVIDER) as made:
        yield made


def offer(bench: Bench, **more: Any) -> NewPromotion:
    """Five off twenty, for the next day."""
    now = datetime.now(UTC).replace(microsecond=0)
    five, twenty = Money(500, bench.currency), Money(2000, bench.currency)
    made = NewPromotion(ref=bench.ref, name="lunch", off=five, minimum=twenty, starts_at=now, ends_at=now + timedelta(days=1))
    return msgspec.structs.replace(made, **more)


async def test_a_promotion_is_made_listed_read_and_ended(bench: Bench) -> None:
    """With its value, window and name; after it was ended it is listed among the revoked."""
    client = bench.client()
    adapter = bench.adapter(client)
    extras = adapter.extras()
    create, revoke = extras["promotion_create"], extras["promotion_revoke"]
    wanted = offer(bench)
    made = create.done(await bench.perform(client, adapter, await create.step(wanted)))
    (listed,) = await extras["promotions"].read(PromotionsParams(bench.ref))
    assert listed == await extras["promotion"].read(PromotionRef(made.id))
    assert (listed.id, listed.kind, listed.name, listed.value) == (made.id, "FLATOFF", "lunch", f"5.00 {bench.currency}")
    assert (listed.state, listed.starts_at, listed.ends_at) == ("active", wanted.starts_at, wanted.ends_at)
    for _ in range(2):
        assert revoke.done(await bench.perform(client, adapter, await revoke.step(PromotionRef(made.id)))) is True
    assert await extras["promotions"].read(PromotionsParams(bench.ref)) == []
    assert [each.id for each in await extras["promotions"].read(PromotionsParams(bench.ref, "revoked"))] == [made.id]


@pytest.mark.parametrize("field", ["off", "minimum", "ends_at", "name"])
async def test_what_makes_no_sense_is_not_sent(bench: Bench, field: str) -> None:
    """More off than the minimum, two currencies, an end before the beginning, a name that Uber cuts."""
    wrong = {
        "off": Money(2001, bench.currency),
        "minimum": Money(2000, "XXX"),
        "ends_at": datetime(2020, 1, 1, tzinfo=UTC),
        "name": "x" * 101,
    }
    with pytest.raises(Rejected):
        await bench.adapter().extras()["promotion_create"].step(offer(bench, **{field: wrong[field]}))


async def test_an_app_without_the_scope_is_told_so(bench: Bench) -> None:
    """Access is not taken for revoked: the operator adds the scope once Uber grants it."""
    adapter = bench.adapter(bench.client({**bench.credentials, "more_scopes": ""}))
    with pytest.raises(Misconfigured, match="scope"):
        await adapter.extras()["promotions"].read(PromotionsParams(bench.ref))
    assert await adapter.test()


async def test_a_pause_ends_by_itself(bench: Bench) -> None:
    """Until then the store is paused, with its end; then it is open."""
    client = bench.client()
    adapter = bench.adapter(client)
    until = datetime.now(UTC) + timedelta(minutes=20)
    await bench.perform(client, adapter, await adapter.store_step(bench.ref, StoreChange("pause", until=until)))
    status = await adapter.store_status(bench.ref)
    assert (status.status, status.until) == ("paused", until)
    await bench.perform(client, adapter, await adapter.store_step(bench.ref, StoreChange("prep_time", prep_seconds=1200)))
    assert (await adapter.store_status(bench.ref)).prep_seconds == 1200
