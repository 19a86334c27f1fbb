"""What an order is worth at the POS: lines with their options, discounts and taxes, as a check (an "account") adds them up."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from adapters._sandbox.calls import Json

from ._sandbox_checks import minor, stamp, written
from ._sandbox_menu import DISCOUNTS, FIXED, LOWERS, Catalog, Group, Item, tax_of

STAFF_ID, POS_ID = 61700, 61701


class Failed(Exception):
    """The POS does not take an order or a payment; `type` is the account error of a payment."""

    def __init__(self, reason: str, type_: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.type = type_


@dataclass
class Store:
    """A business location. `posed` is the state of its POS: open, closed, paused or offline."""

    id: str
    name: str
    currency: str
    timezone: str
    tax_included: bool = True
    posed: str = "open"
    changed_at: float = field(default_factory=time.time)


@dataclass
class Line:
    """An item or an option; `quantity` of an option is for one of its parent. Amounts in the smallest unit."""

    id: int
    item: Item
    unit: int
    quantity: int
    name: str
    discount: int = 0
    discount_code: str = ""
    tax: int = 0
    instructions: dict[int, str] = field(default_factory=dict)
    options: list["Line"] = field(default_factory=list)

    def gross(self) -> int:
        """All of them with their options, before the discount."""
        return self.quantity * (self.unit + sum(option.gross() for option in self.options))


@dataclass
class Account:
    """A check on the POS."""

    identifier: str
    id: int
    uuid: str
    store: Store
    name: str
    table: str | None = None
    clients: int = 1
    profile: str = ""
    opened_at: float = field(default_factory=time.time)
    closed_at: float | None = None
    state: str = "SUCCESS"
    receipt: str = ""
    lines: list[Line] = field(default_factory=list)
    payments: list[Json] = field(default_factory=list)
    references: list[str] = field(default_factory=list)

    @property
    def paid(self) -> int:
        """What has been paid, tips not included."""
        return sum(each["amount"] for each in self.payments)

    @property
    def total(self) -> int:
        """What its lines come to, tax included."""
        return total_of(self.lines, self.store)


def everything(lines: list[Line], times: int = 1, parent: Line | None = None) -> Iterator[tuple[Line, int, Line | None]]:
    """Lines and all options inside them, each with how many there are in all and its parent."""
    for line in lines:
        count = line.quantity * times
        yield line, count, parent
        yield from everything(line.options, count, line)


def net(line: Line, count: int) -> int:
    """A line by itself, without its options and after its discount, tax as the price has it."""
    return line.unit * count - line.discount


def total_of(lines: list[Line], store: Store) -> int:
    """What lines come to, tax included."""
    on_top = 0 if store.tax_included else 1
    return sum(net(line, count) + on_top * line.tax for line, count, _ in everything(lines))


class Pricing:
    """Turns the items of an order into priced lines, or says why the POS would not take them."""

    def __init__(self, catalog: Catalog, stock: dict[tuple[str, str], Json]) -> None:
        self._catalog = catalog
        self._stock = stock
        self._count = 0

    def lines(self, wanted: list[Json], store: Store) -> list[Line]:
        """The priced lines; raises Failed for unknown, unfit or sold-out items, unknown discounts, and a total below zero."""
        lines = [self._line(each, store, None) for each in wanted]
        if total_of(lines, store) < 0:
            raise Failed("the discounts are greater than the order")
        needed: dict[str, int] = {}
        for line, count, _ in everything(lines):
            needed[line.item.sku] = needed.get(line.item.sku, 0) + count
        for sku, count in needed.items():
            left = self._stock.get((store.id, sku))
            if left is not None and left["count"] < count:
                raise Failed(f"item is not available: {sku}")
        return lines

    def _line(self, wanted: Json, store: Store, group: Group | None) -> Line:
        item = self._catalog.items.get(wanted["sku"])
        if item is None or (group is None and item.option):
            raise Failed(f"item not found: {wanted['sku']}", "ITEM_NOT_FOUND")
        deal = group is not None and not item.option
        self._count += 1
        line = Line(61700453000000 + self._count, item, item.extra if deal else item.price, wanted["quantity"], item.name)
        if wanted.get("customItemPrice") is not None:
            line.unit = self._custom(item, minor(wanted["customItemPrice"], store.currency), line.unit)
        if wanted.get("customItemName") and item.named:
            line.name = wanted["customItemName"]
        line.instructions = self._instructions(item, wanted.get("modifiers") or [])
        line.options = self._choices(item, wanted.get("subItems") or [], store)
        self._discount(line, wanted, store)
        _tax(line, store)
        return line

    @staticmethod
    def _custom(item: Item, price: int, listed: int) -> int:
        if item.strategy == FIXED and price != listed:
            raise Failed(f"the price of {item.sku} cannot be customized")
        return -price if item.strategy == LOWERS else price

    def _instructions(self, item: Item, wanted: list[Json]) -> dict[int, str]:
        chosen: dict[int, str] = {}
        for identifier in (each["modifierId"] for each in wanted):
            offered = (self._catalog.instructions[each] for each in item.instructions)
            group = next((each for each in offered if identifier in map(str, each.texts)), None)
            if group is None:
                raise Failed(f"modifier not found: {identifier} on {item.sku}")
            if not group.several and chosen.keys() & group.texts.keys():
                raise Failed(f"only one of {group.name} is permitted on {item.sku}")
            chosen[int(identifier)] = group.texts[int(identifier)]
        return chosen

    def _choices(self, item: Item, wanted: list[Json], store: Store) -> list[Line]:
        groups = [self._catalog.groups[each] for each in (*item.choices, *item.groups)]
        chosen = dict.fromkeys((group.sku for group in groups), 0)
        lines = []
        for each in wanted:
            group = next((group for group in groups if each["sku"] in group.options), None)
            if group is None:
                raise Failed(f"item not found: {each['sku']} is no choice of {item.sku}", "ITEM_NOT_FOUND")
            chosen[group.sku] += each["quantity"]
            lines.append(self._line(each, store, group))
        for group in groups:
            if not group.least <= chosen[group.sku] <= group.most:
                raise Failed(f"{group.name} of {item.sku} takes {group.least} to {group.most}, not {chosen[group.sku]}")
        return lines

    @staticmethod
    def _discount(line: Line, wanted: Json, store: Store) -> None:
        code, amount, percent = (wanted.get(name) for name in ("discountCode", "discountAmountOverride", "discountPercentOverride"))
        if code is None and amount is None and percent is None:
            return
        known = next((each for each in DISCOUNTS if each["code"] == code), None)
        if known is None:
            raise Failed(f"discount not found: {code}")
        if amount is None:
            percent = known["discountPercentage"] if percent is None else percent
            share = Decimal(repr(percent)) / 100
            line.discount = int((line.gross() * share).quantize(Decimal(1), ROUND_HALF_UP))
        else:
            line.discount = minor(amount, store.currency)
        line.discount_code = known["code"]
        if not 0 <= line.discount <= max(line.gross(), 0):
            raise Failed(f"the discount is greater than {line.item.sku}")


def _tax(line: Line, store: Store) -> None:
    """Tax a line and its options, which were taxed for one parent before, for all that are ordered."""
    for each, count, _ in everything([line]):
        each.tax = tax_of(net(each, count), each.item.tax, included=store.tax_included)


def snapshot(account: Account, *, as_text: bool, lines: bool = True, payments: bool = True) -> Json:
    """The check as the API shows it: amounts as numbers, in webhooks `as_text`."""
    currency, on_top = account.store.currency, not account.store.tax_included

    def amount(value: int) -> str | float:
        text = written(value, currency)
        return text if as_text else float(text)

    def entry(line: Line, times: int) -> Json:
        count = line.quantity * times
        value = net(line, count) + (line.tax if on_top else 0)
        return {
            "id": line.id,
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, str(line.id))),
            "itemName": line.name,
            "itemSku": line.item.sku,
            "unitAmount": amount(line.unit),
            "quantity": count,
            "modifiers": [{"name": name, "quantity": 1} for name in line.instructions.values()],
            "amountWithTax": amount(value),
            "amountLessTax": amount(value - line.tax),
            "discountedAmount": amount(line.discount),
            "grossUnitAmount": amount(line.unit),
            "timeOfTransactionUtc": stamp(account.opened_at),
            "active": True,
            "subLineItems": [entry(option, count) for option in line.options],
            "taxIncluded": not on_top,
        }

    def paid(each: Json) -> Json:
        return {
            "paymentMethodDescription": each["description"],
            "externalReference": each["reference"],
            "paymentMethodCode": each["method"],
            "amountPaid": amount(each["amount"]),
            "paymentDate": stamp(each["at"]),
            "active": True,
        }

    table = {"tableNumber": int(account.table)} if account.table and account.table.isdigit() else {}
    return {
        "clientCount": account.clients,
        "uuid": account.uuid,
        "openDate": stamp(account.opened_at),
        **({"closeDate": stamp(account.closed_at)} if account.closed_at else {}),
        "paidAmount": amount(account.paid),
        "serviceCharge": amount(0),
        "name": account.name,
        "currentAmount": amount(account.total),
        "staffName": "Online Order",
        "staffId": STAFF_ID,
        **({"salesEntries": [entry(line, 1) for line in account.lines]} if lines else {}),
        **({"paymentEntries": [paid(each) for each in account.payments]} if payments else {}),
        "ikaccountId": account.identifier,
        **table,
        "posId": POS_ID,
    }
