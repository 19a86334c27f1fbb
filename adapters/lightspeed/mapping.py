"""The hub's order into K-Series', and K-Series' states back. Pure functions.

The channel's totals are law, but the POS prices what it sells itself: only items whose price is free take another one. So the order
is priced as the POS will price it, the merchant's charges become lines of the free item, discounts lines of the lowering item, and
what is then left over is one named adjustment of either. Where the menu's prices come without tax the POS adds its own.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from adapters.lightspeed import models
from adapters.lightspeed.menu import INSTRUCTION, LOWERING, Priced, Shelf, instructs
from hub.contract import PosRejected, SubmitTask
from hub.model import Line, Modifier, Money, NotCarried, Order, OrderState

FIRST_NAME, ITEM_NAME, COLLECTION_CODE = 128, 255, 8
ADJUSTMENT = "Channel adjustment"
PATIENCE = timedelta(minutes=5)
"""How long K-Series tries to reach the POS, unless the channel's deadline comes first; and how far ahead a time must be to be sent."""
LEAST_PATIENCE, SPARE = timedelta(seconds=60), timedelta(seconds=60)

_STATES = {
    "SUCCESS": OrderState.ACCEPTED,
    "CHECK_WAS_UPDATED": OrderState.ACCEPTED,
    "READY_FOR_PICKUP": OrderState.READY,
    "IN_DELIVERY": OrderState.PICKED_UP,
    "CLOSED": OrderState.COMPLETED,
    "CANCELLED": OrderState.CANCELLED,
    "ABANDONED": OrderState.CANCELLED,
    "FAILURE": OrderState.FAILED,
}


def state_of(status: str | None) -> OrderState:
    """The hub's state; an unknown one is read as still on its way."""
    return _STATES.get(status or "", OrderState.RECEIVED)


def reference_of(task: SubmitTask) -> str:
    """Our reference; a later generation gets its own, for K-Series takes each once, and a failed one stays used."""
    return task.reference if task.generation == 1 else f"{task.reference}-{task.generation}"


def patience(order: Order, now: datetime) -> timedelta:
    """How long the POS may be tried."""
    if order.deadline_at is None:
        return PATIENCE
    return max(LEAST_PATIENCE, min(PATIENCE, order.deadline_at - now - SPARE))


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the tenant chose: the webhook endpoint, the order profiles, the payment method, the SKUs with a free and a lowering price."""

    endpoint: str
    delivery_profile: str = ""
    takeaway_profile: str = ""
    payment_method: str = "OOPAYMENT"
    open_item: str = ""
    discount_item: str = ""


class Draft(msgspec.Struct, frozen=True):
    """An order to send, what the POS will show for it, what K-Series cannot hold, and the adjustment in words ("" when there is none)."""

    body: models.NewOrder
    total: Money
    not_carried: tuple[NotCarried, ...]
    adjustment: str


def _product(task: SubmitTask, plu: str, identifier: str) -> str:
    return task.products.get(plu or identifier) or task.products.get(identifier) or ""


def _removed(modifiers: tuple[Modifier, ...]) -> list[str]:
    return [f"NO {m.name}" for m in modifiers if m.removed] + [t for m in modifiers for t in _removed(m.modifiers)]


def _spelled(modifiers: tuple[Modifier, ...]) -> list[str]:
    """Options in words, nested ones after their parent."""
    words = []
    for each in (m for m in modifiers if not m.removed):
        inner = f" ({', '.join(nested)})" if (nested := _spelled(each.modifiers)) else ""
        words.append(f"+ {each.quantity}x {each.name}{inner}" if each.quantity > 1 else f"+ {each.name}{inner}")
    return words


class _Basket:
    """The items of an order and what the POS will make of them."""

    def __init__(self, task: SubmitTask, shelf: Shelf, terms: Terms) -> None:
        self._task, self._shelf = task, shelf
        opened, lowering = shelf.product(terms.open_item), shelf.product(terms.discount_item)
        self._open = opened if opened is not None and opened.free else None
        self._lowering = lowering if lowering is not None and lowering.entry.pricing_strategy == LOWERING else None
        self.items: list[models.OrderItem] = []
        self.notes: list[str] = []
        self.lost: list[NotCarried] = []
        self.unmapped: list[str] = []
        self.on_top = False
        self.total = 0

    def line(self, line: Line) -> None:
        """Add a line with its options."""
        product = self._shelf.product(_product(self._task, line.plu, line.id))
        words = [*_removed(line.modifiers), *([line.note] if line.note else [])]
        if product is None or not product.sold:
            each = line.unit_price.amount + sum(m.price().amount for m in line.modifiers if not m.removed)
            self._unlisted(line.name, each, line.quantity)
            words = [*_spelled(line.modifiers), *words]
        else:
            loose: list[tuple[Modifier, int]] = []
            priced = self._priced(product, line.unit_price.amount, line.quantity)
            instructions, choices = self._options(product, line.modifiers, line.quantity, loose)
            item = models.OrderItem(quantity=line.quantity, sku=product.sku, custom_item_price=priced)
            self.items.append(msgspec.structs.replace(item, modifiers=instructions, sub_items=choices))
            words = [*_spelled(tuple(modifier for modifier, _ in loose)), *words]
            for modifier, times in loose:
                if price := modifier.price().amount:
                    self._unlisted(f"{line.name}: {modifier.name}", price, times)
        if words:
            self.notes.append(f"{line.quantity}x {line.name}: {', '.join(words)}")

    def _options(
        self, parent: Priced, modifiers: tuple[Modifier, ...], times: int, loose: list[tuple[Modifier, int]]
    ) -> tuple[tuple[models.Instruction, ...], tuple[models.OrderItem, ...]]:
        """Instructions and choices of a product of which there are so many in all; what it does not have goes to `loose`."""
        instructions: list[models.Instruction] = []
        choices: list[models.OrderItem] = []
        for modifier in (m for m in modifiers if not m.removed):
            product = _product(self._task, modifier.plu, modifier.id)
            if product.startswith(INSTRUCTION) and instructs(parent, product.removeprefix(INSTRUCTION)):
                instructions.append(models.Instruction(modifier_id=product.removeprefix(INSTRUCTION)))
                continue
            choice = self._shelf.choice(parent, product) if product else None
            if choice is None:
                loose.append((modifier, times))
                continue
            count = times * modifier.quantity
            price = self._priced(choice, modifier.unit_price.amount, count)
            inner, below = self._options(choice, modifier.modifiers, count, loose)
            item = models.OrderItem(quantity=modifier.quantity, sku=choice.sku, custom_item_price=price)
            choices.append(msgspec.structs.replace(item, modifiers=inner, sub_items=below))
        return tuple(instructions), tuple(choices)

    def _priced(self, product: Priced, wanted: int, count: int) -> Decimal | None:
        """Count a product in; the price to name where it may be named."""
        named = product.free and wanted >= 0
        self._count(product, (wanted if named else product.unit) * count)
        return self._decimal(wanted) if named else None

    def _count(self, product: Priced, value: int) -> None:
        self.on_top |= product.rate > 0
        self.total += product.gross(value)

    def _decimal(self, amount: int) -> Decimal:
        return Money(amount, self._shelf.currency).decimal()

    def _unlisted(self, name: str, price: int, quantity: int) -> None:
        """A line that the menu does not have, as the open item with its name and price."""
        if self._open is None or price < 0:
            self.unmapped.append(name)
            return
        self._extra(self._open, name, price, quantity)

    def _extra(self, product: Priced, name: str, price: int, quantity: int = 1) -> None:
        named = bool(product.entry.custom_item_name_enabled)
        if len(name) > ITEM_NAME:
            self.lost.append(NotCarried(f"{name[:30]}…", f"K-Series holds {ITEM_NAME} characters of a name"))
        if not named:
            self.notes.append(f"{quantity}x {product.entry.product_name or product.sku} is: {name}")
        self.items.append(
            models.OrderItem(
                quantity=quantity,
                sku=product.sku,
                custom_item_name=name[:ITEM_NAME] if named else None,
                custom_item_price=self._decimal(price),
            )
        )
        self._count(product, (-price if not product.sold else price) * quantity)

    def charge(self, name: str, amount: int) -> None:
        """Add a charge as a line of its name."""
        if self._open is None:
            self.lost.append(NotCarried(name, "the setting open_item names no item of the menu whose price is free"))
        else:
            self._extra(self._open, name, amount)

    def discount(self, name: str, amount: int) -> None:
        """Take a discount off as a line of its name."""
        if self._lowering is None:
            self.lost.append(NotCarried(name, "the setting discount_item names no item of the menu whose free price lowers the total"))
        else:
            self._extra(self._lowering, name, amount)

    def settle(self, owed: int) -> str:
        """Bring the POS's total to what the merchant is owed, as far as the settings allow; the adjustment in words."""
        left = owed - self.total
        product = self._open if left > 0 else self._lowering
        if left and product is not None and (value := product.net(abs(left))):
            self._extra(product, ADJUSTMENT, value)
        if owed != self.total:
            shown, wanted = self._decimal(self.total), self._decimal(owed)
            setting = "open_item" if left > 0 else "discount_item"
            reason = f"the POS shows {shown} instead of {wanted}: name a SKU in the setting {setting}" if product is None else "rounded"
            self.lost.append(NotCarried("total", reason))
        return f"{ADJUSTMENT}: {self._decimal(left)} {self._shelf.currency}" if left and product is not None else ""


def _customer(order: Order, parts: list[str], lost: list[NotCarried]) -> models.CustomerInfo:
    customer = order.customer
    first, _, last = (customer.name or f"{order.platform} {order.display_id}").strip().partition(" ")
    if len(first) > FIRST_NAME or len(last) > FIRST_NAME:
        lost.append(NotCarried("customer.name", f"K-Series holds {FIRST_NAME} characters of each part"))
    phone = re.sub(r"[\s().-]", "", customer.phone)
    if customer.phone_code or not re.fullmatch(r"\+[1-9]\d{6,14}", phone):
        if customer.phone:
            parts.append(f"phone {customer.phone}" + (f" code {customer.phone_code}" if customer.phone_code else ""))
        phone = phone if re.fullmatch(r"\+[1-9]\d{6,14}", phone) else ""
    if customer.email:
        lost.append(NotCarried("customer.email", "an address that K-Series knows under another reference fails the whole order"))
    return models.CustomerInfo(first_name=first[:FIRST_NAME], last_name=last[:FIRST_NAME], contact_number_as_e164=phone)


def _address(order: Order, parts: list[str], lost: list[NotCarried]) -> models.DeliveryAddress | None:
    address = order.customer.address
    if address is None:
        return None
    parts.append(address.notes)
    if address.country or address.latitude or address.longitude:
        lost.append(NotCarried("customer.address country and position", "K-Series holds lines, postal code and city"))
    return models.DeliveryAddress(address_line1=address.line1, address_line2=address.line2, zip=address.postal_code, city=address.city)


def _collection(order: Order, now: datetime, lost: list[NotCarried]) -> str:
    """When the food is wanted. A time that may be over when the same bytes are sent again would be refused: it is left out."""
    at = order.fulfilment.scheduled_for or order.fulfilment.ready_at
    if at is None:
        return ""
    if at <= now + PATIENCE:
        lost.append(NotCarried("ready time", "K-Series takes only times that are still to come: this one is too near"))
        return ""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _payment(order: Order, total: int, terms: Terms, lost: list[NotCarried]) -> models.OrderPayment | None:
    """What the platform holds, never more than the POS asks: a higher payment fails the whole order."""
    tip = order.merchant_tip()
    if any(payment.kind == "cash" for payment in order.payments):
        lost.append(NotCarried("payment", "cash is taken at the till: the check stays open"))
        if tip:
            lost.append(NotCarried("tip", "an order without a payment carries no tip"))
        return None
    amount = Money(max(0, min(total, order.merchant_total().amount)), order.currency) + tip
    if not amount:
        return None
    paid = models.OrderPayment(payment_method=terms.payment_method, payment_amount=amount.decimal())
    return msgspec.structs.replace(paid, tip_amount=tip.decimal()) if tip else paid


def _platforms_own(order: Order) -> list[NotCarried]:
    found = {
        "discounts funded by the platform": any(d.funded_by == "platform" for d in order.discounts),
        "charges owed to the platform": any(c.to == "platform" for c in order.charges),
        "courier's tip": any(t.to == "courier" for t in order.tips),
        "taxes remitted by the platform": any(t.remitted_by == "platform" for t in order.taxes),
    }
    return [NotCarried(name, "recorded in the hub only: not the merchant's") for name, there in found.items() if there]


def _note(order: Order, lines: list[str], parts: list[str]) -> str:
    food = order.fulfilment
    said = [order.platform, order.display_id, f"courier: {food.courier}" if food.courier else ""]
    if food.include_cutlery is not None:
        said.append("cutlery: yes" if food.include_cutlery else "NO cutlery")
    return " · ".join(part for part in (*said, *parts, order.note, food.note, *lines) if part)


def _filled(task: SubmitTask, shelf: Shelf, terms: Terms) -> tuple[_Basket, str]:
    """Lines, the merchant's charges, taxes and discounts, and the adjustment in words."""
    order, basket = task.order, _Basket(task, shelf, terms)
    for line in order.lines:
        basket.line(line)
    for charge in order.charges:
        if charge.to == "merchant" and charge.amount.amount > 0:
            basket.charge(charge.name or charge.kind, charge.amount.amount)
    for tax in order.taxes:
        # Where prices come without tax the POS adds its own.
        if tax.remitted_by == "merchant" and not tax.inclusive and tax.amount.amount > 0 and not basket.on_top:
            basket.charge(tax.name or "Tax", tax.amount.amount)
    for discount in order.discounts:
        if discount.funded_by == "merchant" and discount.amount.amount > 0:
            basket.discount(discount.name or "Discount", discount.amount.amount)
    return basket, basket.settle(order.merchant_total().amount)


def draft(task: SubmitTask, shelf: Shelf, terms: Terms, now: datetime) -> Draft | PosRejected:
    """The order to send, or why it cannot be."""
    order = task.order
    if order.currency != shelf.currency:
        return PosRejected(f"the order is in {order.currency}, the location sells in {shelf.currency}", "currency")
    basket, words = _filled(task, shelf, terms)
    if basket.unmapped:
        names = ", ".join(basket.unmapped)[:300]
        return PosRejected(f"not on the menu: {names}; map them, or name an item with a free price in the setting open_item", "unmapped")
    parts: list[str] = []
    lost = [*basket.lost, *_platforms_own(order)]
    local = order.fulfilment.kind == "dine_in"
    leaves = order.fulfilment.kind in ("delivery_by_platform", "delivery_by_merchant")
    profile = "" if local else terms.delivery_profile if leaves else terms.takeaway_profile
    customer = _customer(order, parts, lost)
    address = None if local else _address(order, parts, lost)
    body = models.NewOrder(
        business_location_id=int(task.location_ref),
        third_party_reference=reference_of(task),
        endpoint_id=terms.endpoint,
        customer_info=customer,
        items=tuple(basket.items),
        order_note=_note(order, basket.notes, parts),
        max_time_to_attempt_order_deliver_to_pos=int(patience(order, now).total_seconds() * 1000),
        account_profile_code=profile,
        collection_code=order.display_id if len(order.display_id) <= COLLECTION_CODE else "",
        order_collection_time_as_iso8601=_collection(order, now, lost),
        payment=_payment(order, basket.total, terms, lost),
        delivery_address=address,
    )
    return Draft(body, Money(basket.total, order.currency), tuple(lost), words)
