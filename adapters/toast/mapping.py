"""The hub's order into Toast's. Pure functions.

Toast prices what it sells and taxes it by itself; an order names only the amounts of open service charges, of one open discount and of
open items. So an order is made of what Toast sells, its total is asked for, and what is then left over is settled in `pricing`.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

import msgspec

from adapters.toast import models
from adapters.toast.menu import parts
from adapters.toast.models import Configured, Ref, Selection
from adapters.toast.states import external_id
from adapters.toast.terms import Terms
from hub.contract import Misconfigured, PosRejected, SubmitTask
from hub.model import Line, Modifier, Money, NotCarried, Order

TEXT = 255
SOON = timedelta(minutes=10)
"""A promised time that is nearer is left out: the same bytes may be sent again, and Toast refuses times that are over."""
_EMAIL = re.compile(r"[A-Za-z0-9_]+@[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)+")
_PHONE = re.compile(r"\+?[0-9()\-. ]{7,30}")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An order without its amounts. `charges` and `discount` are the merchant's own, in minor units; `owed` is what Toast should show."""

    order: models.OrderSent
    charges: tuple[tuple[Configured, int], ...]
    discount: int
    owed: int
    currency: str
    raising: Configured | None
    lowering: Configured | None
    payment_type: Configured | None
    tip: int
    not_carried: tuple[NotCarried, ...]


class _Cut:
    """Cuts texts to their limit and remembers what was cut."""

    def __init__(self) -> None:
        self.lost: list[NotCarried] = []

    def __call__(self, field: str, text: str, limit: int = TEXT) -> str:
        if len(text) <= limit:
            return text
        self.lost.append(NotCarried(field, f"Toast gets {limit} characters of it"))
        return text[: limit - 1] + "…"

    def lose(self, field: str, reason: str) -> None:
        """Note what Toast cannot hold."""
        self.lost.append(NotCarried(field, reason))


def _product(task: SubmitTask, plu: str, identifier: str) -> str:
    return task.products.get(plu or identifier) or task.products.get(identifier) or ""


def _said(text: str, quantity: int = 1) -> Selection:
    return Selection(quantity=quantity, selection_type="SPECIAL_REQUEST", display_name=text)


def _spelled(modifier: Modifier) -> str:
    """An option in words, what is nested in it after it."""
    if modifier.removed:
        return f"NO {modifier.name}"
    inner = f" ({', '.join(_spelled(each) for each in modifier.modifiers)})" if modifier.modifiers else ""
    return f"{modifier.quantity}x {modifier.name}{inner}" if modifier.quantity > 1 else f"{modifier.name}{inner}"


def _options(task: SubmitTask, modifiers: tuple[Modifier, ...], cut: _Cut) -> tuple[Selection, ...]:
    found: list[Selection] = []
    for modifier in modifiers:
        group, item = parts(_product(task, modifier.plu, modifier.id))
        if modifier.removed or not group:
            found.append(_said(cut(f"modifier {modifier.id}", _spelled(modifier)) or "-"))
            if not modifier.removed:
                cut.lose(f"modifier {modifier.name}", "not on Toast's menu: sent as a special request, its price as part of the adjustment")
            continue
        found.append(
            Selection(
                quantity=modifier.quantity,
                item=Ref(item, "MenuItem"),
                option_group=Ref(group, "MenuOptionGroup"),
                modifiers=_options(task, modifier.modifiers, cut),
            )
        )
    return tuple(found)


def _line(task: SubmitTask, terms: Terms, line: Line, number: int, cut: _Cut) -> Selection | None:
    """The selection of a line; None when Toast's menu has it not and no open item is named."""
    name = f"{external_id(task.reference, task.generation)}:{number}"
    group, item = parts(_product(task, line.plu, line.id))
    note = (_said(cut(f"line {line.id} note", line.note)),) if line.note else ()
    if group:
        options = _options(task, line.modifiers, cut)
        price = None
    else:
        group, item = parts(terms.open_item)
        each = line.unit_price + sum((m.price() for m in line.modifiers if not m.removed), Money(0, line.unit_price.currency))
        if not group or each.amount < 0:
            return None
        words = ", ".join([line.name, *(_spelled(modifier) for modifier in line.modifiers)])
        options, price = (_said(cut(f"line {line.id} name", words) or "-"),), each.decimal()
    return Selection(
        quantity=line.quantity,
        external_id=name,
        item=Ref(item, "MenuItem"),
        item_group=Ref(group, "MenuGroup"),
        open_price_amount=price,
        modifiers=(*options, *note),
    )


def _guest(task: SubmitTask, terms: Terms, said: list[str], cut: _Cut) -> models.Guest:
    """Toast wants both names, a phone number and an address of every guest: what the channel does not tell is filled in."""
    order, customer = task.order, task.order.customer
    first, _, last = (customer.name.strip() or order.platform).partition(" ")
    phone, code = customer.phone.strip(), (terms.place.location.phone_country_code or "1").lstrip("+")
    if phone and not _PHONE.fullmatch(phone):
        said.append(f"phone {phone}")
        phone = ""
    if customer.phone_code:
        said.append(f"phone code {customer.phone_code}")
    country = None
    if phone.startswith(f"+{code}"):
        phone, country = phone[len(code) + 1 :].strip(" -."), code
    if not phone:
        phone = terms.place.location.phone or "0000000000"
        cut.lose("customer.phone", "the channel tells no number that Toast takes: the restaurant's own stands for it")
    email = customer.email if _EMAIL.fullmatch(customer.email) and len(customer.email) <= 53 else ""
    if customer.email and not email:
        cut.lose("customer.email", "Toast takes 53 letters, digits and underscores")
    return models.Guest(
        first_name=cut("customer.name", first),
        last_name=cut("customer.name", last.strip() or order.display_id.strip() or "Guest"),
        phone=phone,
        phone_country_code=country,
        email=email or f"{task.reference}@example.com",
    )


def _coordinate(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _delivery(order: Order, terms: Terms, cut: _Cut) -> models.DeliverySent | None:
    """Where the restaurant's driver goes; None when the channel does not tell enough of it."""
    address = order.customer.address
    state = terms.place.location.state_code or ""
    if address is None or not (address.line1 and address.city and address.postal_code and re.fullmatch("[A-Z]{2}", state)):
        return None
    cut.lose("customer.address state", f"the channel tells none: the restaurant's own ({state}) is sent")
    return models.DeliverySent(
        address1=cut("customer.address", address.line1),
        address2=cut("customer.address", address.line2),
        city=cut("customer.address", address.city),
        state=state,
        zip_code=address.postal_code[:20],
        country=address.country if re.fullmatch("[A-Z]{2}", address.country) else "",
        latitude=_coordinate(address.latitude),
        longitude=_coordinate(address.longitude),
        notes=cut("customer.address notes", address.notes),
    )


def _leaving(order: Order, terms: Terms, cut: _Cut) -> tuple[Configured, models.DeliverySent | None]:
    """How the food leaves; raises Misconfigured when the restaurant is not configured for it."""
    kind = order.fulfilment.kind
    wanted = {"pickup": "TAKE_OUT", "dine_in": "DINE_IN", "delivery_by_merchant": "DELIVERY"}.get(kind, terms.platform_couriers)
    if wanted == "DELIVERY":
        address, option = _delivery(order, terms, cut), terms.dining("DELIVERY")
        if address is not None and option is not None:
            return option, address
        cut.lose("fulfilment", "sent as take-out: Toast's deliveries need a dining option and a whole address with a state")
        wanted = "TAKE_OUT"
    option = terms.dining(wanted)
    if option is None:
        raise Misconfigured(f"this restaurant has no dining option for {wanted}")
    if order.customer.address is not None:
        cut.lose("customer.address", "only an order of a delivery option holds one")
    return option, None


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def _times(order: Order, now: datetime) -> tuple[str | None, str | None]:
    """When it is promised, where that is still to come; else how long it takes, in steps of five minutes. No clock is in the latter."""
    food = order.fulfilment
    if food.scheduled_for is not None and food.scheduled_for > now + SOON:
        return _stamp(food.scheduled_for), None
    if food.ready_at is None:
        return None, None
    minutes = int((food.ready_at - order.placed_at).total_seconds() // 300) * 5
    return None, f"PT{max(5, minutes)}M"


def _requests(order: Order, said: list[str], cut: _Cut) -> list[Selection]:
    food = order.fulfilment
    handover = [f"courier: {food.courier}" if food.courier else "", *said]
    if food.include_cutlery is not None:
        handover.append("cutlery: yes" if food.include_cutlery else "NO cutlery")
    texts = {"order note": order.note, "fulfilment note": food.note, "handover": " · ".join(filter(None, handover))}
    return [_said(cut(field, text)) for field, text in texts.items() if text.strip()]


def _charges(order: Order, terms: Terms, cut: _Cut) -> tuple[tuple[Configured, int], ...]:
    found: list[tuple[Configured, int]] = []
    for charge in order.charges:
        if charge.to != "merchant" or charge.amount.amount <= 0:
            continue
        name = charge.name or charge.kind
        config = terms.raising(name)
        if config is None:
            cut.lose(name, "this restaurant has no service charge whose amount is open")
            continue
        if (config.name or "").lower() != name.lower():
            cut.lose(f"{name} (name)", f"Toast shows it as {config.name}")
        found.append((config, charge.amount.amount))
    return tuple(found)


def _discount(order: Order, terms: Terms, cut: _Cut) -> int:
    given = [discount for discount in order.discounts if discount.funded_by == "merchant" and discount.amount.amount > 0]
    if not given:
        return 0
    config = terms.lowering()
    if config is None:
        cut.lose("discounts", "this restaurant has no discount whose amount is open")
        return 0
    names = ", ".join(discount.name or "discount" for discount in given)
    if len(given) > 1 or names.lower() != (config.name or "").lower():
        cut.lose("discounts (names)", f"{names}: one discount at Toast, named {config.name}")
    return sum(discount.amount.amount for discount in given)


def _platforms_own(order: Order) -> list[NotCarried]:
    found = {
        "discounts funded by the platform": any(d.funded_by == "platform" for d in order.discounts),
        "charges owed to the platform": any(c.to == "platform" for c in order.charges),
        "courier's tip": any(t.to == "courier" for t in order.tips),
        "taxes remitted by the platform": any(t.remitted_by == "platform" for t in order.taxes),
    }
    return [NotCarried(name, "recorded in the hub only: not the merchant's") for name, there in found.items() if there]


def draft(task: SubmitTask, terms: Terms, now: datetime) -> Draft | PosRejected:
    """The order, or why it cannot be sent. Raises Misconfigured when the restaurant lacks a dining option or payment type."""
    order, cut = task.order, _Cut()
    if order.currency != terms.currency:
        return PosRejected(f"the order is in {order.currency}, the restaurant sells in {terms.currency}", "currency")
    lines = [(line, _line(task, terms, line, number, cut)) for number, line in enumerate(order.lines, 1)]
    unmapped = [line.name for line, made in lines if made is None]
    if unmapped:
        return PosRejected(f"not on the menu: {', '.join(unmapped)[:300]}", "unmapped")
    said: list[str] = []
    guest = _guest(task, terms, said, cut)
    option, address = _leaving(order, terms, cut)
    promised, prep = _times(order, now)
    cash = any(payment.kind == "cash" for payment in order.payments)
    paid_by = terms.paid_by(order.platform, cash=cash)
    if paid_by is None:
        cut.lose("payment", "cash is taken at the till: the check stays open")
        if order.merchant_tip():
            cut.lose("tip", "an order without a payment carries no tip")
    # Where the platform remits every tax, none is the restaurant's to take.
    exempt = bool(order.taxes) and all(tax.remitted_by == "platform" for tax in order.taxes)
    name = external_id(task.reference, task.generation)
    check = models.CheckSent(
        selections=(*(made for _, made in lines if made is not None), *_requests(order, said, cut)),
        external_id=f"{name}:check",
        tab_name=cut("tab name", f"{order.platform} {order.display_id}".strip()),
        customer=guest,
        tax_exempt=exempt,
    )
    charges, discount = _charges(order, terms, cut), _discount(order, terms, cut)
    return Draft(
        order=models.OrderSent(
            external_id=name,
            dining_option=Ref(option.guid, "DiningOption"),
            checks=(check,),
            delivery_info=address,
            promised_date=promised,
            required_prep_time=prep,
        ),
        charges=charges,
        discount=discount,
        owed=order.merchant_total().amount,
        currency=order.currency,
        raising=terms.raising(),
        lowering=terms.lowering(),
        payment_type=paid_by,
        tip=order.merchant_tip().amount,
        not_carried=(*cut.lost, *_platforms_own(order)),
    )
