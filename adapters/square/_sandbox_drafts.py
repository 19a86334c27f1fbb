"""Turn the order of a request into the order Square keeps: prices and names from the catalog, uids, references, defaults."""

from collections.abc import Callable
from typing import Any

from adapters._sandbox.calls import Json

from ._sandbox_catalog import Catalog
from ._sandbox_checks import refuse

_READ_ONLY = frozenset(
    {
        *("id", "returns", "return_amounts", "net_amounts", "net_amount_due_money", "rounding_adjustment", "tenders", "refunds"),
        *("rewards", "created_at", "updated_at", "closed_at", "version", "total_money", "total_tax_money", "total_discount_money"),
        *("total_tip_money", "total_service_charge_money"),
    }
)
_INNER = frozenset({dict, list})
_ENDED = frozenset({"COMPLETED", "CANCELED", "FAILED"})


def without_nulls(value: Any) -> Any:
    """A copy of a JSON value without its null fields."""
    if type(value) is dict:
        return {name: without_nulls(each) if type(each) in _INNER else each for name, each in value.items() if each is not None}
    if type(value) is list:
        return [without_nulls(each) if type(each) in _INNER else each for each in value]
    return value


def _foreign(value: Any, currency: str) -> bool:
    """Tell whether there is money of another currency anywhere in a JSON value."""
    if type(value) is list:
        return any(_foreign(each, currency) for each in value if type(each) in _INNER)
    if "amount" in value and value.get("currency", currency) != currency:
        return True
    return any(_foreign(each, currency) for each in value.values() if type(each) in _INNER)


def has_ended(fulfillment: Json) -> bool:
    """Tell whether nothing more happens to a fulfillment."""
    return fulfillment["state"] in _ENDED


class Drafts:
    """Complete and check the orders of requests against the catalog and a location."""

    def __init__(self, catalog: Catalog, uid: Callable[[], str]) -> None:
        self._catalog = catalog
        self._uid = uid

    def draft(self, body: Json, location: Json) -> Json:
        """The order as it will be kept, still without sums; raises Refused."""
        order: Json = {name: each for name, each in without_nulls(body).items() if name not in _READ_ONLY}
        order.setdefault("state", "OPEN")
        order.setdefault("source", {"name": "Sandbox Application"})
        self._check_currency(order, location["currency"], "order")
        for index, line in enumerate(order.get("line_items", [])):
            self._line(line, location["id"], f"order.line_items[{index}]")
        for key in ("taxes", "discounts", "service_charges"):
            self._adjustments(order, key)
        if order.get("pricing_options", {}).get("auto_apply_taxes"):
            self._auto_taxes(order)
        self._check_currency(order.get("line_items", []), location["currency"], "order.line_items")
        self._references(order)
        return self.with_fulfillments(order)

    def with_fulfillments(self, order: Json) -> Json:
        """The order with its fulfillments checked and completed; raises Refused."""
        for index, each in enumerate(order.get("fulfillments", [])):
            self._fulfillment(each, f"order.fulfillments[{index}]")
        return order

    def _check_currency(self, value: Any, currency: str, at: str) -> None:
        if not _foreign(value, currency):
            return
        if isinstance(value, dict):
            if "amount" in value and "currency" in value and value["currency"] != currency:
                raise refuse("INVALID_VALUE", f"Currency {value['currency']} does not match the location's currency {currency}", at)
            for name, each in value.items():
                if type(each) in _INNER:
                    self._check_currency(each, currency, f"{at}.{name}")
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if type(each) in _INNER:
                    self._check_currency(each, currency, f"{at}[{index}]")

    def _known(self, identifier: str, kind: str, at: str) -> Json:
        found = self._catalog.get(identifier, kind)
        if found is None:
            raise refuse("NOT_FOUND", f"Catalog object {identifier} of type {kind} was not found.", f"{at}.catalog_object_id", 404)
        return found

    def _line(self, line: Json, location: str, at: str) -> None:
        line.setdefault("uid", self._uid())
        line.setdefault("item_type", "ITEM")
        if not float(line["quantity"]):
            raise refuse("VALUE_TOO_LOW", "The quantity must be above 0.", f"{at}.quantity")
        if "catalog_object_id" in line:
            found = self._known(line["catalog_object_id"], "ITEM_VARIATION", at)
            item = self._catalog.item_of(found)
            line.setdefault("name", item["item_data"]["name"])
            line.setdefault("variation_name", found["item_variation_data"]["name"])
            line.setdefault("catalog_version", found["version"])
            if "base_price_money" not in line:
                price = self._catalog.price(found, location)
                if price is None:
                    raise refuse("MISSING_REQUIRED_PARAMETER", "A variably priced item needs base_price_money", f"{at}.base_price_money")
                line["base_price_money"] = {"amount": price, "currency": self._catalog.currency}
        elif "base_price_money" not in line or "name" not in line:
            missing = "name" if "name" not in line else "base_price_money"
            raise refuse("MISSING_REQUIRED_PARAMETER", "An ad hoc line item needs name and base_price_money", f"{at}.{missing}")
        for index, modifier in enumerate(line.get("modifiers", [])):
            self._modifier(modifier, f"{at}.modifiers[{index}]")

    def _modifier(self, modifier: Json, at: str) -> None:
        modifier.setdefault("uid", self._uid())
        modifier.setdefault("quantity", "1")
        if "catalog_object_id" in modifier:
            found = self._known(modifier["catalog_object_id"], "MODIFIER", at)
            modifier.setdefault("name", found["modifier_data"]["name"])
            modifier.setdefault("catalog_version", found["version"])
            modifier.setdefault("base_price_money", dict(found["modifier_data"]["price_money"]))
        elif "base_price_money" not in modifier or "name" not in modifier:
            raise refuse("MISSING_REQUIRED_PARAMETER", "An ad hoc modifier needs name and base_price_money", at)

    def _adjustments(self, order: Json, key: str) -> None:
        seen: set[str] = set()
        for index, each in enumerate(order.get(key, [])):
            at = f"order.{key}[{index}]"
            if each.setdefault("uid", self._uid()) in seen:
                raise refuse("INVALID_VALUE", f"Duplicate uid {each['uid']}", f"{at}.uid")
            seen.add(each["uid"])
            if key == "taxes":
                self._tax(each, at)
            elif key == "discounts":
                self._discount(each, at)
            else:
                self._charge(each, at)
            name = {"taxes": "tax_uid", "discounts": "discount_uid"}.get(key)
            if name is not None and "scope" not in each:
                lines = order.get("line_items", [])
                linked = any(one[name] == each["uid"] for line in lines for one in line.get(f"applied_{key}", []))
                each["scope"] = "LINE_ITEM" if linked else "ORDER"

    def _tax(self, tax: Json, at: str) -> None:
        if "catalog_object_id" in tax:
            data = self._known(tax["catalog_object_id"], "TAX", at)["tax_data"]
            tax.setdefault("name", data["name"])
            tax.setdefault("percentage", data["percentage"])
            tax.setdefault("type", data["inclusion_type"])
        tax.setdefault("type", "ADDITIVE")
        if "percentage" not in tax:
            raise refuse("MISSING_REQUIRED_PARAMETER", "A tax needs a percentage", f"{at}.percentage")

    def _discount(self, discount: Json, at: str) -> None:
        if "catalog_object_id" in discount:
            data = self._known(discount["catalog_object_id"], "DISCOUNT", at)["discount_data"]
            discount.setdefault("name", data["name"])
            if "amount_money" not in discount:
                discount.setdefault("percentage", data["percentage"])
        if ("percentage" in discount) == ("amount_money" in discount):
            raise refuse("INVALID_VALUE", "A discount has either a percentage or an amount_money", at)
        if "name" not in discount:
            raise refuse("MISSING_REQUIRED_PARAMETER", "A discount needs a name", f"{at}.name")
        discount.setdefault("type", "FIXED_PERCENTAGE" if "percentage" in discount else "FIXED_AMOUNT")

    def _charge(self, charge: Json, at: str) -> None:
        if ("percentage" in charge) == ("amount_money" in charge):
            raise refuse("INVALID_VALUE", "A service charge has either a percentage or an amount_money", at)
        if "name" not in charge:
            raise refuse("MISSING_REQUIRED_PARAMETER", "A service charge needs a name", f"{at}.name")
        charge.setdefault("calculation_phase", "SUBTOTAL_PHASE")
        charge.setdefault("taxable", False)
        charge.setdefault("scope", "ORDER")
        charge["type"] = "CUSTOM"
        apportioned = charge["calculation_phase"].startswith("APPORTIONED")
        charge["treatment_type"] = "APPORTIONED_TREATMENT" if apportioned else "LINE_ITEM_TREATMENT"
        if charge["calculation_phase"] == "TOTAL_PHASE" and charge["taxable"]:
            raise refuse("INVALID_VALUE", "A service charge of the TOTAL_PHASE cannot be taxable", f"{at}.taxable")

    def _auto_taxes(self, order: Json) -> None:
        taxes: list[Json] = order.setdefault("taxes", [])
        for line in order.get("line_items", []):
            found = self._catalog.get(line.get("catalog_object_id", ""), "ITEM_VARIATION")
            for identifier in self._catalog.item_of(found)["item_data"]["tax_ids"] if found else ():
                data = self._catalog.objects[identifier]["tax_data"]
                tax = next((each for each in taxes if each.get("catalog_object_id") == identifier), None)
                if tax is None:
                    tax = {"uid": self._uid(), "catalog_object_id": identifier, "auto_applied": True, "scope": "LINE_ITEM"}
                    tax.update(name=data["name"], percentage=data["percentage"], type=data["inclusion_type"])
                    taxes.append(tax)
                applied = line.setdefault("applied_taxes", [])
                if tax["scope"] == "LINE_ITEM" and all(each["tax_uid"] != tax["uid"] for each in applied):
                    applied.append({"uid": self._uid(), "tax_uid": tax["uid"]})

    def _references(self, order: Json) -> None:
        lines: list[Json] = order.get("line_items", [])
        for key, name in (("taxes", "tax_uid"), ("discounts", "discount_uid")):
            uids = {each["uid"]: each for each in order.get(key, [])}
            for index, line in enumerate(lines):
                applied = line.setdefault(f"applied_{key}", [])
                for each in applied:
                    each.setdefault("uid", self._uid())
                    if each[name] not in uids:
                        raise refuse("INVALID_VALUE", f"No {key} with uid {each[name]}", f"order.line_items[{index}].applied_{key}")
                held = {each[name] for each in applied}
                for uid, each in uids.items():
                    if each["scope"] == "ORDER" and uid not in held:
                        applied.append({"uid": self._uid(), name: uid})
                if not applied:
                    del line[f"applied_{key}"]
        for charge in order.get("service_charges", []):
            if charge["taxable"]:
                applied = charge.setdefault("applied_taxes", [])
                held = {each["tax_uid"] for each in applied}
                for tax in order.get("taxes", []):
                    if tax["scope"] == "ORDER" and tax["uid"] not in held:
                        applied.append({"uid": self._uid(), "tax_uid": tax["uid"]})

    def _fulfillment(self, fulfillment: Json, at: str) -> None:
        fulfillment.setdefault("uid", self._uid())
        fulfillment.setdefault("state", "PROPOSED")
        kind = fulfillment.get("type")
        if kind is None:
            raise refuse("MISSING_REQUIRED_PARAMETER", "A fulfillment needs a type", f"{at}.type")
        name, due = {"PICKUP": ("pickup_details", "pickup_at"), "DELIVERY": ("delivery_details", "deliver_at")}.get(kind, ("", ""))
        if not name:
            raise refuse("INVALID_VALUE", f"{kind} fulfillments are not enabled for this seller", f"{at}.type")
        details = fulfillment.get(name)
        if details is None:
            raise refuse("MISSING_REQUIRED_PARAMETER", f"A {kind} fulfillment needs {name}", f"{at}.{name}")
        recipient = details.get("recipient", {})
        if not details.get("managed_delivery") and not recipient.get("display_name") and not recipient.get("customer_id"):
            raise refuse("MISSING_REQUIRED_PARAMETER", "The recipient needs a display_name", f"{at}.{name}.recipient.display_name")
        if details.setdefault("schedule_type", "SCHEDULED") == "SCHEDULED" and due not in details:
            raise refuse("MISSING_REQUIRED_PARAMETER", f"A scheduled fulfillment needs {due}", f"{at}.{name}.{due}")
