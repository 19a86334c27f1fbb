"""The payment part of Uber Eats' order: whose each amount is. What is not documented is read with patience, and gaps are named."""

from typing import Any, Literal

import msgspec

from adapters.ubereats import models
from hub.model import Charge, Discount, Money, NotCarried, Payment, Tax, Tip

_Fee = Literal["delivery", "bag", "service", "small_order", "other"]
_FEES: dict[str, _Fee] = {
    "bag_fee": "bag",
    "delivery_fee": "delivery",
    "service_fee": "service",
    "small_order_fee": "small_order",
}
_FUNDERS: dict[str, Literal["merchant", "platform"]] = {
    "UBER": "platform",
    "MERCHANT": "merchant",
    "RESTAURANT": "merchant",
    "STORE": "merchant",
    "ORGANIZATION": "merchant",
}


def money(amount: models.Amount) -> Money:
    """From a value times 100,000."""
    return Money.from_e5(amount.amount_e5, amount.currency_code)


class Ledger:
    """An order's payment part: `charges()`, `discounts()`, `taxes()`, `tips()`, `payments()`; `notes` collects what was not understood.

    `kind` is the hub's way of fulfilment, which decides whose tips and delivery fees are.
    """

    def __init__(self, payment: models.Payment, kind: str) -> None:
        self._payment, self._detail, self._kind = payment, payment.payment_detail, kind
        self.total = money(self._detail.order_total.gross)
        self.currency = self.total.currency
        self.notes: list[NotCarried] = []
        self.inclusive = self._inclusive()

    def _inclusive(self) -> bool:
        """Tell whether the lines' prices hold their tax: as Uber flags it, else by the currency, as US prices never do (inferred)."""
        charges = self._detail.item_charges
        rows = [row.total for row in charges.price_breakdown]
        flag = charges.total.is_tax_inclusive if charges.total is not None else None
        if flag is None:
            return self.currency != "USD" and any(_holds_tax(price) for price in rows)
        # A flag on rows whose gross is their net speaks of a tax that is not in them.
        return flag and any(price.net is None or _holds_tax(price) for price in rows)

    def shown(self, price: models.Price) -> models.Amount:
        """The price as the menu has it: gross where prices hold their tax; else net, so that added tax is not in a line too."""
        if not self.inclusive and price.net is not None and _holds_tax(price):
            return price.net
        return price.gross

    def _part(self, raw: msgspec.Raw, kind: Any, path: str) -> Any:
        try:
            return msgspec.json.decode(raw, type=kind | None)
        except msgspec.DecodeError as error:
            self.notes.append(NotCarried(path, f"does not fit what is known of it: {error}"))
            return None

    def charges(self) -> tuple[Charge, ...]:
        """Fees: the bag is the merchant's, delivery where the merchant delivers, the rest Uber's."""
        fees: models.Fees | None = self._part(self._detail.fees, models.Fees, "payment_detail.fees")
        found = []
        for fee in (fees.details if fees else None) or []:
            name = fee.id or "fee"
            kind: _Fee = _FEES.get(name.lower(), "other")
            merchant = kind == "bag" or (kind == "delivery" and self._kind == "delivery_by_merchant")
            found.append(Charge(kind, name, money(self.shown(fee.amount)), "merchant" if merchant else "platform"))
        if fees is not None and not found and fees.total is not None and fees.total.gross.amount_e5:
            self.notes.append(NotCarried("payment_detail.fees", "a total without its parts: taken as Uber's"))
            found.append(Charge("other", "fees", money(self.shown(fees.total)), "platform"))
        return tuple(found)

    def tips(self) -> tuple[Tip, ...]:
        """The courier's where Uber's courier comes, else the restaurant's."""
        tips: models.Tips | None = self._part(self._detail.tips, models.Tips, "payment_detail.tips")
        if tips is None or tips.total is None or not tips.total.gross.amount_e5:
            return ()
        return (Tip(money(tips.total.gross), "courier" if self._kind == "delivery_by_platform" else "merchant"),)

    def payments(self) -> tuple[Payment, ...]:
        """Cash where the restaurant collects it, else prepaid to Uber."""
        cash = self._detail.cash_amount_due
        if cash is not None and cash.gross.amount_e5 > 0:
            return (Payment("cash", money(cash.gross)),)
        return (Payment("prepaid", self.total),)

    def discounts(self) -> tuple[Discount, ...]:
        """Promotions by who pays for them. The total is law: what its parts leave open is the merchant's, and is named."""
        promotions: models.Promotions | None = self._part(self._detail.promotions, models.Promotions, "payment_detail.promotions")
        if promotions is None:
            return ()
        path = "payment_detail.promotions.details"
        details: list[models.Promotion] = self._part(promotions.details, list[models.Promotion], path) or []
        whole = abs(promotions.total.gross.amount_e5) if promotions.total is not None else 0
        found: list[Discount] = []
        told = 0
        for promotion in details:
            for funder, value in self._shares(promotion, whole if len(details) == 1 else None):
                told += value
                name, code = promotion.type or "promotion", promotion.external_promotion_id or ""
                found.append(Discount(name, Money.from_e5(value, self.currency), funder, vendor_id=code))
        if whole > told:
            self.notes.append(NotCarried("discounts", "Uber Eats does not say who funds all of the promotions: the rest is the merchant's"))
            found.append(Discount("promotion", Money.from_e5(whole - told, self.currency), "merchant"))
        elif whole and whole < told:
            self.notes.append(NotCarried("discounts", "the promotions' parts are more than their total"))
        return tuple(each for each in found if each.amount)

    def _shares(self, promotion: models.Promotion, whole: int | None) -> list[tuple[Literal["merchant", "platform"], int]]:
        if promotion.promo_funding_splits:
            return [(self._funder(s.funding_source), abs(s.amount_paid.gross.amount_e5)) for s in promotion.promo_funding_splits]
        value = _e5(promotion.discount_value)
        if value is None:
            value = whole
        if not value:
            return []
        return [(self._funder(promotion.funded_by), value)]

    def _funder(self, word: str | None) -> Literal["merchant", "platform"]:
        known = _FUNDERS.get((word or "").upper())
        if known is None:
            said = f"says {word!r}" if word else "does not say"
            self.notes.append(NotCarried("discounts", f"Uber Eats {said} who funds a promotion: taken as the merchant's"))
        return known or "merchant"

    def taxes(self) -> tuple[Tax, ...]:
        """Taxes by who remits them. Without a word about it an added tax is Uber's and an inclusive one the merchant's (inferred)."""
        whole = self._detail.order_total.tax
        merchant, uber = self._remitted(whole)
        found = []
        if merchant is not None and merchant.amount_e5:
            found.append(Tax("Tax", money(merchant), "merchant", inclusive=self.inclusive))
        if uber is not None and uber.amount_e5:
            found.append(Tax("Tax (remitted by Uber)", money(uber), "platform", inclusive=self.inclusive))
            if self.inclusive:
                self.notes.append(NotCarried("taxes", "the lines' prices hold tax that Uber remits"))
        return tuple(found)

    def _remitted(self, whole: models.Amount | None) -> tuple[models.Amount | None, models.Amount | None]:
        for raw, path in (
            (self._payment.tax_remittance, "payment.tax_remittance"),
            (self._payment.taxRemittance, "payment.taxRemittance"),
        ):
            block: models.TaxRemittance | None = self._part(raw, models.TaxRemittance, path)
            if block is not None and (block.merchant or block.uber):
                return block.merchant.gross if block.merchant else None, block.uber.gross if block.uber else None
        for raw, path in ((self._payment.tax_reporting, "payment.tax_reporting"), (self._payment.taxReporting, "payment.taxReporting")):
            report: models.TaxReporting | None = self._part(raw, models.TaxReporting, path)
            if report is not None and report.remittance_info and whole is not None:
                return self._by_rows(report.remittance_info, whole)
        return (whole, None) if self.inclusive else (None, whole)

    def _by_rows(self, rows: list[models.RemittanceRow], whole: models.Amount) -> tuple[models.Amount | None, models.Amount | None]:
        ubers = [row for row in rows if row.entity.upper() == "UBER"]
        if len(ubers) == len(rows):
            return None, whole
        if not ubers:
            return whole, None
        # Rows of both name their parts; only parts that are the order's tax together are believed.
        if sum(row.amount.amount_e5 for row in rows) != whole.amount_e5:
            self.notes.append(NotCarried("taxes", "who remits which part of the tax is not clear: taken as remitted by Uber"))
            return None, whole
        uber = sum(row.amount.amount_e5 for row in ubers)
        currency = whole.currency_code
        return models.Amount(whole.amount_e5 - uber, currency), models.Amount(uber, currency)


def _holds_tax(price: models.Price) -> bool:
    if price.net is None or price.tax is None or not price.tax.amount_e5:
        return False
    return price.gross.amount_e5 - price.net.amount_e5 == price.tax.amount_e5


def _e5(value: Any) -> int | None:
    """A value times 100,000 as a number, its digits, or an amount; None for anything else."""
    if isinstance(value, dict):
        value = value.get("amount_e5")
    if isinstance(value, str) and value.lstrip("-").isdecimal():
        value = int(value)
    return abs(value) if isinstance(value, int) and not isinstance(value, bool) else None
