"""Read the body of `POST /orders`: every field that Foodics checks, and the order as it will be shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from adapters._sandbox.calls import Json

from ._sandbox_access import Business
from ._sandbox_catalog import Catalog
from ._sandbox_checks import DAY, Form, major, plain, settle
from ._sandbox_office import EXTERNAL_PAYMENT_TYPES, Office
from ._sandbox_totals import Sums

REFERENCE = "3rd_party_order_number"
_TYPES, _SOURCES, _STATUSES = range(1, 5), range(1, 4), range(1, 9)
_DISCOUNTS = range(1, 7)


@dataclass
class Draft:
    """An order that was found to be in order: its fields, its branch and its amounts in the smallest unit."""

    fields: Json
    branch: Json
    total: int
    charges: int
    tax: Decimal
    tip: int
    lines: list[Json]
    payments: list[Json]


class Reader:
    """Reads orders of one business, for the branches that the caller may use."""

    def __init__(self, catalog: Catalog, office: Office, business: Business, branches: Mapping[str, Json]) -> None:
        self._catalog, self._office = catalog, office
        self._branches, self._currency = branches, business.currency
        self._sums = Sums(business.currency, business.tax_inclusive, catalog.taxes)
        self._lines: list[Json] = []

    def read(self, form: Form) -> Draft:
        """The order in a body; raises Refused (422) with everything that is wrong in it."""
        kind = form.whole("type", _TYPES, required=True)
        branch = form.known("branch_id", self._branches, required=True)
        form.whole("source", _SOURCES)
        form.whole("status", _STATUSES)
        fields: Json = {
            "type": kind,
            "guests": form.whole("guests", range(1, 1000), default=1),
            "business_date": form.moment("business_date", DAY, required=True),
            "kitchen_notes": form.text("kitchen_notes"),
            "customer_notes": form.text("customer_notes"),
            "due_at": form.moment("due_at"),
            "meta": self._meta(form),
            **self._people(form),
        }
        form.moment("created_at")
        products = [self._product(row) for row in form.rows("products", required=True)]
        for row in form.rows("combos"):
            row.wrong("combo_size_id", "The selected {} is invalid.")
        subtotal = form.amount("subtotal_price", self._currency, required=True)
        total = form.amount("total_price", self._currency, required=True)
        rounding = form.amount("rounding_amount", self._currency, signed=True)
        discount, discount_fields = self._discount(form)
        sums = self._sums
        sums.judge_taxes(discount)
        charges = [self._charge(row, kind) for row in form.rows("charges")]
        sums.judge_taxes(0)
        payments = [self._payment(row) for row in form.rows("payments")]
        if not form.errors:
            sums.balance(form, subtotal, discount, rounding, total)
            if payments:
                sums.paid(form, total, sum(each["amount"] for each in payments))
        settle(form.errors)
        fields |= {
            **discount_fields,
            "subtotal_price": self._written(subtotal),
            "discount_amount": self._written(discount),
            "rounding_amount": self._written(rounding),
            "total_price": self._written(total),
            "tax_exclusive_discount_amount": self._written(discount),
            "products": products,
            "charges": charges,
            "payments": [each["row"] for each in payments],
        }
        tip = sum(each["tips"] for each in payments)
        paid = [{"amount": each["amount"], "type": each["row"]["payment_method"]["name"]} for each in payments]
        tax = sums.taxes + sums.charge_taxes
        return Draft(fields, self._branches[branch or ""], total, sums.charges, tax, tip, self._lines, paid)

    def _written(self, amount: int) -> int | float:
        return major(amount, self._currency)

    @staticmethod
    def _meta(form: Form) -> Json:
        meta = form.node.get("meta")
        if meta is not None and meta != [] and not isinstance(meta, dict):
            form.wrong("meta", "The {} must be an array.")
        return dict(meta) if isinstance(meta, dict) else {}

    def _people(self, form: Form) -> Json:
        customer = form.known("customer_id", self._office.customers)
        address = form.known("customer_address_id", self._office.addresses)
        found = self._office.addresses.get(address or "")
        if found is not None and found["customer"]["id"] != customer:
            form.wrong("customer_address_id", "The selected {} is invalid.")
        table = form.known("table_id", {each["id"] for each in self._office.tables(list(self._branches.values()))})
        at = next((each for each in self._office.tables(list(self._branches.values())) if each["id"] == table), None)
        return {"customer": self._office.customers.get(customer or ""), "customer_address": found, "table": at}

    def _discount(self, form: Form) -> tuple[int, Json]:
        """An amount off, and the fields that say which discount it is."""
        named = form.known("discount_id", self._office.discounts)
        kind = form.whole("discount_type", _DISCOUNTS) or None
        shown = {"discount_type": kind, "discount": self._office.discounts.get(named or "")}
        return form.amount("discount_amount", self._currency), shown

    def _product(self, form: Form) -> Json:
        sold = {each.id for each in self._catalog.products.values() if not each.deleted_at and each.is_active}
        product = form.known("product_id", sold, required=True)
        quantity = form.whole("quantity", range(1, 1000), required=True, default=1)
        unit, total = (form.amount(each, self._currency, required=True) for each in ("unit_price", "total_price"))
        (off, off_fields), note = self._discount(form), form.text("kitchen_notes")
        options = [(row, *self._option(row, quantity)) for row in form.rows("options")]
        own, added = unit * quantity, sum(each for _, _, each in options)
        if off > own + added:
            form.wrong("discount_amount", "The {} is more than the price.")
        if total not in (own - off, own + added - off):
            form.wrong("total_price", "The {} does not match the unit price and the quantity.")
        left = 1 - Decimal(off) / (own + added) if own + added else Decimal(1)
        taxes = self._sums.read_taxes(form, own * left)
        tax, rows = taxes.total, []
        for row, shown, amount in options:
            of_option = self._sums.read_taxes(row, amount * left)
            tax += of_option.total
            rows.append({**shown, "taxes": of_option.rows})
        self._sums.add_line(own + added - off, tax)
        entry = self._catalog.products.get(product or "")
        if entry is None:
            return {}
        modifiers = [
            {
                "id": each["modifier_option"]["id"],
                "name": each["modifier_option"]["name"],
                "quantity": each["quantity"],
                "price": row.amount("unit_price", self._currency),
            }
            for each, (row, _, _) in zip(rows, options, strict=True)
            if each["modifier_option"]
        ]
        shown_line = {"id": entry.id, "name": entry.name, "quantity": quantity, "note": note, "total": own + added - off}
        self._lines.append({**shown_line, "modifiers": modifiers})
        return {
            "product": {**self._catalog.bare_row(entry, self._currency), "category": self._catalog.categories.get(entry.category)},
            "promotion": None,
            **off_fields,
            "options": rows,
            "taxes": taxes.rows,
            "timed_events": [],
            "void_reason": None,
            "quantity": quantity,
            "returned_quantity": 0,
            "unit_price": self._written(unit),
            "discount_amount": self._written(off),
            "total_price": self._written(total),
            "total_cost": 0,
            "tax_exclusive_discount_amount": self._written(off),
            "tax_exclusive_unit_price": self._written(unit),
            "tax_exclusive_total_price": self._written(total),
            "status": 2,
            "is_ingredients_wasted": 0,
            "delay_in_seconds": None,
            "kitchen_notes": note,
            "meta": form.node.get("meta"),
        }

    def _option(self, form: Form, lines: int) -> tuple[Json, int]:
        known = {each.id for each in self._catalog.options.values() if not each.deleted_at and each.is_active}
        found = self._catalog.options.get(form.known("modifier_option_id", known, required=True) or "")
        quantity = form.whole("quantity", range(1, 1000), required=True, default=1)
        unit, total = (form.amount(each, self._currency, required=True) for each in ("unit_price", "total_price"))
        if total != unit * quantity * lines:
            form.wrong("total_price", "The {} does not match the unit price and the quantities.")
        row = {
            "modifier_option": self._catalog.option_row(found, self._currency, []) if found else None,
            "quantity": quantity,
            "partition": form.whole("partition", range(1, 4), default=1),
            "unit_price": self._written(unit),
            "total_price": self._written(total),
            "total_cost": 0,
            "tax_exclusive_unit_price": self._written(unit),
            "tax_exclusive_total_price": self._written(total),
            "tax_exclusive_discount_amount": 0,
        }
        return row, total

    def _charge(self, form: Form, kind: int) -> Json:
        charge = self._office.charges.get(form.known("charge_id", self._office.charges, required=True) or "")
        if charge is not None and kind not in charge["order_types"]:
            form.wrong("charge_id", "The selected {} is invalid.")
        amount = form.amount("amount", self._currency, required=True)
        exclusive = form.number("tax_exclusive_amount")
        taxes = self._sums.read_taxes(form, Decimal(amount))
        self._sums.charges += amount
        self._sums.charge_taxes += taxes.total
        shown = plain(exclusive) if form.has("tax_exclusive_amount") else self._written(amount)
        return {"charge": charge, "taxes": taxes.rows, "amount": self._written(amount), "tax_exclusive_amount": shown}

    def _payment(self, form: Form) -> Json:
        methods = self._office.methods
        usable = {each["id"] for each in methods.values() if each["is_active"] and each["type"] in EXTERNAL_PAYMENT_TYPES}
        method = form.known("payment_method_id", usable, required=True)
        amount, tendered = (form.amount(each, self._currency, required=True) for each in ("amount", "tendered"))
        tips = form.amount("tips", self._currency)
        if tendered < amount:
            form.wrong("tendered", "The {} is less than the amount.")
        row = {
            "user": None,
            "payment_method": methods.get(method or ""),
            "meta": form.node.get("meta") or [],
            "amount": self._written(amount),
            "tendered": self._written(tendered),
            "tips": self._written(tips),
            "business_date": form.moment("business_date", DAY),
        }
        return {"row": row, "amount": amount, "tips": tips}
