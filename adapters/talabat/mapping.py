"""Delivery Hero's order into the hub's terms: pure functions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from adapters.talabat import models
from adapters.talabat.bill import Bill, Kind, Purse, number
from hub.contract import Drifted, Misconfigured
from hub.model import Address, Customer, Fulfilment, Line, Modifier, Money, NotCarried, Order, OrderState

SLUG = "talabat"
# No order names its currency. Talabat's countries first, then those of the brands that share the middleware.
_CURRENCIES = {
    "AE": "AED", "BH": "BHD", "EG": "EGP", "IQ": "IQD", "JO": "JOD", "KW": "KWD", "OM": "OMR", "QA": "QAR", "SA": "SAR",
    "AR": "ARS", "AT": "EUR", "BD": "BDT", "BO": "BOB", "CL": "CLP", "CR": "CRC", "CZ": "CZK", "DE": "EUR", "DO": "DOP",
    "EC": "USD", "FI": "EUR", "GR": "EUR", "GT": "GTQ", "HK": "HKD", "HN": "HNL", "HU": "HUF", "KH": "USD", "LA": "LAK",
    "MM": "MMK", "MY": "MYR", "NI": "NIO", "NO": "NOK", "PA": "PAB", "PE": "PEN", "PH": "PHP", "PK": "PKR", "PY": "PYG",
    "SE": "SEK", "SG": "SGD", "SV": "USD", "TH": "THB", "TR": "TRY", "TW": "TWD", "UY": "UYU", "VE": "VES",
}  # fmt: skip
_STATES = {
    "ORDER_CANCELLED": OrderState.CANCELLED,
    "ORDER_PICKED_UP": OrderState.PICKED_UP,
}
_REFS = {
    "accept": "order_accepted_url",
    "reject": "order_rejected_url",
    "picked_up": "order_picked_up_url",
    "prepared": "order_prepared_url",
    "modify": "order_product_modification_url",
    "adjust": "order_preparation_time_adjustment_url",
}
TEST = "test"


def told_state(status: str | None) -> OrderState | None:
    """The state that a status call tells; None when it tells none."""
    return _STATES.get(status or "")


def state_of(order: models.Order) -> OrderState:
    """Where the platform has it: reports tell; a dispatched order without an address for the accept was accepted on the tablet."""
    if order.status == "cancelled":
        return OrderState.CANCELLED
    urls = order.callback_urls
    if order.status == "accepted" or urls is None or not _address_of(urls.order_accepted_url):
        return OrderState.ACCEPTED
    return OrderState.RECEIVED


def moment(text: str | None, path: str) -> datetime | None:
    """Read an RFC 3339 time; raises Drifted, naming where it stood."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Drifted(f"{path} is no time: {text[:40]!r}") from error
    if found.tzinfo is None:
        raise Drifted(f"{path} has no zone: {text!r}")
    return found


def currency_of(order: models.Order) -> str:
    """The currency of the country where the order was placed; raises Misconfigured for a country that is not known."""
    local = order.local_info or models.LocalInfo()
    symbol = (local.currency_symbol or "").upper()
    found = _CURRENCIES.get((local.country_code or "").upper())
    if found is None and len(symbol) == 3 and symbol.isascii() and symbol.isalpha():
        found = symbol
    if found is None:
        raise Misconfigured(f"the order names no currency and its country {local.country_code!r} is not known: link its store first")
    return found


def kind_of(order: models.Order) -> Kind:
    """By whom the food leaves."""
    if order.expedition_type == "pickup":
        return "pickup"
    rider = order.delivery is not None and order.delivery.rider_pickup_time
    return "delivery_by_platform" if rider else "delivery_by_merchant"


def _text(value: models.Text) -> str:
    return "" if value is None else str(value)


def _address_of(url: str | None) -> str:
    return url if url and url.startswith(("https://", "http://")) else ""


def _count(value: Any, path: str) -> int:
    found = number(value, path)
    if found is None:
        return 1
    if found != found.to_integral_value() or found < 1:
        raise Drifted(f"{path} is {found}")
    return int(found)


def _modifiers(toppings: list[models.Topping] | None, purse: Purse, path: str) -> tuple[Modifier, ...]:
    return tuple(
        Modifier(
            id=_text(topping.id) or _text(topping.remote_code),
            name=topping.name or _text(topping.remote_code) or _text(topping.id),
            quantity=_count(topping.quantity, f"{path}[{place}].quantity"),
            unit_price=purse.read(topping.price, f"{path}[{place}].price"),
            plu=_text(topping.remote_code),
            modifiers=_modifiers(topping.children, purse, f"{path}[{place}].children"),
        )
        for place, topping in enumerate(toppings or [])
    )


def _line(product: models.Product, purse: Purse, path: str) -> Line:
    quantity = _count(product.quantity, f"{path}.quantity")
    modifiers = _modifiers(product.selected_toppings, purse, f"{path}.selectedToppings")
    unit, paid = purse.told(product.unit_price, f"{path}.unitPrice"), purse.told(product.paid_price, f"{path}.paidPrice")
    name = product.name or _text(product.remote_code) or _text(product.id)
    size = (product.variation.name if product.variation else None) or ""
    if unit is None:
        if paid is None:
            raise Drifted(f"{path} has no price")
        inner = sum(modifier.price().amount for modifier in modifiers)
        unit = Money(paid.amount // quantity - inner, purse.currency)
    line = Line(
        id=_text(product.id) or _text(product.remote_code),
        name=name if not size or size in name else f"{name} ({size})",
        quantity=quantity,
        unit_price=unit,
        total=unit,
        plu=_text(product.remote_code),
        modifiers=modifiers,
        note=product.comment or "",
    )
    return msgspec.structs.replace(line, total=line.expected_total() if paid is None else paid)


def _customer(order: models.Order) -> Customer:
    told = order.customer or models.Customer()
    phone, code = _text(told.mobile_phone), _text(told.mobile_phone_country_code)
    if code and phone and not phone.startswith(("+", "00")):
        phone = f"+{code.lstrip('+0')}{phone.lstrip('0')}"
    return Customer(
        name=f"{told.first_name or ''} {told.last_name or ''}".strip(),
        phone=phone,
        email=told.email or "",
        address=_address(order),
        vendor_id=_text(told.id),
    )


def _address(order: models.Order) -> Address | None:
    place = order.delivery.address if order.delivery else None
    if place is None:
        return None
    named = (("building", place.building), ("entrance", place.entrance), ("floor", place.floor), ("flat", place.flat_number))
    return Address(
        line1=f"{_text(place.street)} {_text(place.number)}".strip(),
        line2=", ".join([*filter(None, (_text(place.company),)), *(f"{name} {_text(value)}" for name, value in named if _text(value))]),
        city=", ".join(filter(None, (_text(place.delivery_area), _text(place.city)))),
        postal_code=_text(place.postcode),
        country=((order.local_info.country_code if order.local_info else None) or "").upper(),
        latitude=_degrees(place.latitude, "delivery.address.latitude"),
        longitude=_degrees(place.longitude, "delivery.address.longitude"),
        notes=place.delivery_instructions or "",
    )


def _degrees(value: Any, path: str) -> str:
    found = number(value, path)
    return "" if found is None else f"{found:f}"


def _due(order: models.Order, kind: Kind) -> datetime | None:
    """When the rider comes, the consumer comes, or the food is to be at the consumer's."""
    delivery, pickup = order.delivery or models.Delivery(), order.pickup or models.Pickup()
    if kind == "pickup":
        return moment(pickup.pickup_time, "pickup.pickupTime")
    if kind == "delivery_by_platform":
        return moment(delivery.rider_pickup_time, "delivery.riderPickupTime")
    return moment(delivery.expected_delivery_time, "delivery.expectedDeliveryTime")


def _fulfilment(order: models.Order, kind: Kind, due: datetime | None) -> Fulfilment:
    code = _text(order.pickup.pickup_code) if order.pickup else ""
    brought = kind == "delivery_by_merchant"
    notes = (f"pickup code {code}" if code else "", f"at the consumer's by {due.isoformat()}" if brought and due else "")
    return Fulfilment(
        kind=kind,
        ready_at=None if brought else due,
        scheduled_for=due if order.pre_order else None,
        note="\n".join(filter(None, notes)),
        courier=((order.local_info.platform if order.local_info else None) or "Talabat") if kind == "delivery_by_platform" else "",
    )


def _refs(order: models.Order, due: datetime | None) -> dict[str, str]:
    urls = order.callback_urls or models.CallbackUrls()
    refs = {name: _address_of(getattr(urls, field)) for name, field in _REFS.items()}
    window = order.adjustments or order.adjustments_too or order.adjustments_as_well or models.Adjustments()
    refs |= {"earliest": window.first or window.first_too or "", "latest": window.last or window.last_too or ""}
    refs |= {"due": due.isoformat() if due else "", TEST: "true" if order.test else ""}
    return {name: value for name, value in refs.items() if value}


def _notes(order: models.Order, refs: Mapping[str, str]) -> list[NotCarried]:
    found = []
    if order.corporate_tax_id:
        found.append(NotCarried("corporateTaxId", "the consumer's tax id for an invoice stays at the platform"))
    if "accept" not in refs:
        found.append(NotCarried("callbackUrls.orderAcceptedUrl", "not told: the order is accepted on the platform's tablet"))
    if order.test:
        found.append(NotCarried("test", "a test of the platform's, never to be cooked: refuse it, and the platform is told TEST_ORDER"))
    return found


def order_from(order: models.Order, store_ref: str, currency: str) -> Order:
    """Map an order of a store in its currency; raises Drifted, naming what is missing or does not fit."""
    placed_at = moment(order.created_at, "createdAt")
    if not order.token or placed_at is None or not order.products:
        raise Drifted("an order has token, createdAt and products")
    kind, purse = kind_of(order), Purse(currency)
    lines = tuple(_line(product, purse, f"products[{place}]") for place, product in enumerate(order.products))
    bill, due = Bill(order, lines, kind, purse), _due(order, kind)
    refs, comments = _refs(order, due), order.comments or models.Comments()
    parts = ("TEST ORDER: do not prepare" if order.test else "", comments.customer_comment, comments.vendor_comment)
    payments = bill.payments()
    return Order(
        platform=SLUG,
        platform_order_id=order.token,
        store_ref=store_ref,
        currency=currency,
        lines=lines,
        total=bill.total,
        placed_at=placed_at,
        fulfilment=_fulfilment(order, kind, due),
        display_id=_text(order.short_code) or _text(order.code),
        customer=_customer(order),
        charges=bill.charges,
        tips=bill.tips(),
        discounts=bill.discounts,
        taxes=bill.taxes,
        payments=payments,
        note="\n".join(filter(None, parts)),
        deadline_at=moment(order.expiry_date, "expiryDate") if state_of(order) is OrderState.RECEIVED else None,
        vendor_refs=refs,
        not_carried=(*_notes(order, refs), *purse.notes),
    )
