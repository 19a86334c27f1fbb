"""The contract suite: one class of checks for each capability, put together for an adapter by what its provider.toml says.

An adapter's test file is `TestX = conformance("x")`. A check that an adapter is exempt from, with a reason, is listed under `exemptions`
in its provider.toml by the check's name, and shows as a skip with that reason. A new check is one more function in one of the classes.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
import pytest_asyncio

from hub.contract import Facts, InstalledProviders
from tests.contract.suite.bench import bench_of
from tests.contract.suite.everyone import Calls, Declares
from tests.contract.suite.hostile import HostileChecks
from tests.contract.suite.ingress import IngressChecks
from tests.contract.suite.intake import IntakeChecks
from tests.contract.suite.pos import CancelChecks, MenuChecks, SearchChecks, StockChecks, StockWriteChecks, SubmitChecks
from tests.contract.suite.shelves import AvailabilityChecks, CourierChecks, HostedMenuChecks, MenuPushChecks, StoreControlChecks

_ALWAYS: tuple[type, ...] = (Declares, Calls, HostileChecks)
_BY_CAPABILITY: dict[str, type] = {
    "menu_source": MenuChecks,
    "order_target": SubmitChecks,
    "order_search": SearchChecks,
    "order_cancel": CancelChecks,
    "stock": StockChecks,
    "stock_write": StockWriteChecks,
    "ingress": IngressChecks,
    "order_intake": IntakeChecks,
    "menu_sink": MenuPushChecks,
    "menu_host": HostedMenuChecks,
    "item_availability": AvailabilityChecks,
    "store_control": StoreControlChecks,
    "courier_tracking": CourierChecks,
}


def checks_of(facts: Facts) -> list[tuple[str, Callable[..., Any]]]:
    """Every check that an adapter with these facts has to pass, by name."""
    chosen = [*_ALWAYS, *(checks for name, checks in _BY_CAPABILITY.items() if name in facts.capabilities)]
    return [(name, check) for checks in chosen for name, check in vars(checks).items() if name.startswith("test_")]


def conformance(slug: str) -> type:
    """The test class of one adapter."""
    provider = InstalledProviders().get(slug)
    if provider is None:
        raise LookupError(f"no provider {slug!r} is installed")
    found: dict[str, Any] = {"__doc__": f"{provider.facts.name} against the contract."}
    for name, check in checks_of(provider.facts):
        reason = provider.facts.exemptions.get(name.removeprefix("test_"))
        found[name] = check if reason is None else pytest.mark.skip(reason=f"exempt: {reason}")(_copy(check))

    async def bench(self: Any) -> Any:
        """The adapter on its simulated vendor."""
        async with bench_of(provider) as made:
            yield made

    found["bench"] = pytest_asyncio.fixture(bench)
    found["pytestmark"] = [pytest.mark.timeout(60)]
    return type(f"Test_{slug.replace('-', '_')}", (), found)


def _copy(check: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(check)
    async def copied(self: Any, bench: Any) -> None:
        await check(self, bench)

    return copied
