"""Orders as channels sell them, by hand and by hypothesis; and an HTTP seam that answers from a list."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from hub.contract import Request, Response
from hub.model import Address, Charge, Customer, Discount, Fulfilment, Line, Modifier, Money, Order, Tax, Tip

PLACED = datetime(2026, 1, 10, 18, 0, tzinfo=UTC)


class FakeHttp:
    """Answers each read from a function or, in turn, from a list of bodies; keeps the requests."""

    def __init__(self, *answers: Any, by: Callable[[Request], Any] | None = None) -> None:
        self.answers, self.by = list(answers), by
        self.requests: list[Request] = []

    async def read(self, request: Request) -> Response:
        """The next answer; an exception is raised."""
        self.requests.append(request)
        answer = self.by(request) if self.by else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else Response(200, {}, msgspec.json.encode(answer))


def answered(status: int, body: Any = None, **headers: str) -> Response:
    """An answer with this body as JSON; bytes stay as they are."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def usd(amount: int) -> Money:
    """Cents."""
    return Money(amount, "USD")


def sold(**more: Any) -> Order:
    """Two burgers with bacon for 25.00."""
    bacon = Modifier("bacon", "Bacon", 1, usd(250))
    line = Line("burger", "Cheeseburger", 2, usd(1000), usd(2500), plu="SKU-100", modifiers=(bacon,))
    given: dict[str, Any] = {
        "platform": "ubereats",
        "platform_order_id": "0b7a2a54",
        "store_ref": "store-1",
        "currency": "USD",
        "lines": (line,),
        "total": usd(2700),
        "placed_at": PLACED,
        "fulfilment": Fulfilment("delivery_by_platform", ready_at=PLACED, courier="Uber", include_cutlery=False),
        "display_id": "B2AB1",
        "customer": Customer("Larry L.", "+1 555-555-5555", "555 55 555"),
    }
    return Order(**{**given, **more})


def _modifiers(currency: str, depth: int) -> st.SearchStrategy[tuple[Modifier, ...]]:
    nested = _modifiers(currency, depth - 1) if depth else st.just(())
    one = st.builds(
        Modifier,
        id=st.sampled_from(["m1", "m2", "m3", "m4"]),
        name=st.text(min_size=1, max_size=300),
        quantity=st.integers(1, 4),
        unit_price=st.builds(Money, st.integers(0, 5000), st.just(currency)),
        plu=st.sampled_from(["", "p1", "p2"]),
        modifiers=nested,
        removed=st.sampled_from([False, False, False, True]),
    )
    return st.lists(one, max_size=3).map(tuple)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Any order: odd line totals, charges, taxes, discounts, tips, long texts, any way of leaving."""
    currency = draw(st.sampled_from(["USD", "KWD", "JPY"]))
    money = st.builds(Money, st.integers(0, 20_000), st.just(currency))
    text = st.text(max_size=600)
    lines = st.builds(
        Line,
        id=st.sampled_from(["i1", "i2", "i3"]),
        name=st.text(min_size=1, max_size=600),
        quantity=st.integers(1, 9),
        unit_price=money,
        total=money,
        plu=st.sampled_from(["", "p1", "p9"]),
        modifiers=_modifiers(currency, 2),
        note=text,
    )
    payer, owner = st.sampled_from(["merchant", "platform"]), st.sampled_from(["merchant", "platform"])
    kinds = st.sampled_from(["delivery", "bag", "service", "small_order", "other"])
    ways = st.sampled_from(["delivery_by_platform", "delivery_by_merchant", "pickup", "dine_in"])
    return Order(
        platform="ubereats",
        platform_order_id=draw(st.text(min_size=1, max_size=300)),
        store_ref="s",
        currency=currency,
        lines=tuple(draw(st.lists(lines, min_size=1, max_size=4))),
        total=draw(money),
        placed_at=PLACED,
        fulfilment=draw(
            st.builds(
                Fulfilment, kind=ways, ready_at=st.sampled_from([None, PLACED]), scheduled_for=st.sampled_from([None, PLACED]), note=text
            )
        ),
        display_id=draw(st.text(max_size=40)),
        customer=draw(st.builds(Customer, name=text, phone=st.text(max_size=30), phone_code=st.text(max_size=15), address=_addresses())),
        charges=tuple(draw(st.lists(st.builds(Charge, kind=kinds, name=text, amount=money, to=owner), max_size=3))),
        tips=tuple(draw(st.lists(st.builds(Tip, amount=money, to=st.sampled_from(["merchant", "courier"])), max_size=2))),
        discounts=tuple(draw(st.lists(st.builds(Discount, name=text, amount=money, funded_by=payer), max_size=3))),
        taxes=tuple(
            draw(st.lists(st.builds(Tax, name=st.just("Tax"), amount=money, remitted_by=owner, inclusive=st.booleans()), max_size=2))
        ),
        note=draw(text),
    )


def _addresses() -> st.SearchStrategy[Address | None]:
    some = st.builds(Address, line1=st.text(max_size=50), city=st.text(max_size=20), country=st.sampled_from(["", "US", "Utopia"]))
    return st.none() | some
