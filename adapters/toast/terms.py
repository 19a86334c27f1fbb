"""What a restaurant has configured at Toast, and what the tenant chose among it: GUIDs differ from restaurant to restaurant."""

import msgspec

from adapters.toast.models import Configured, Restaurant
from hub.contract import Misconfigured


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """A restaurant, what is configured there, and the tenant's choice among it by name ("" = what fits first)."""

    place: Restaurant
    dining_options: tuple[Configured, ...]
    payment_types: tuple[Configured, ...]
    charges: tuple[Configured, ...]
    discounts: tuple[Configured, ...]
    takeout: str = ""
    delivery: str = ""
    dine_in: str = ""
    platform_couriers: str = "TAKE_OUT"
    payment_type: str = ""
    cash_type: str = ""
    charge: str = ""
    discount: str = ""
    open_item: str = ""

    @property
    def currency(self) -> str:
        """The restaurant's currency."""
        return self.place.general.currency_code or "USD"

    def dining(self, behavior: str) -> Configured | None:
        """The dining option for a behaviour."""
        wanted = {"TAKE_OUT": self.takeout, "DELIVERY": self.delivery, "DINE_IN": self.dine_in}[behavior]
        if wanted:
            return _named(self.dining_options, wanted, "dining option")
        return next((option for option in self.dining_options if option.behavior == behavior and not option.curbside), None)

    def paid_by(self, platform: str, *, cash: bool) -> Configured | None:
        """The payment type of what the platform holds, or of cash; None where cash is taken at the till. Raises Misconfigured."""
        if wanted := self.cash_type if cash else self.payment_type:
            return _named(self.payment_types, wanted, "payment type")
        if cash:
            return None
        fitting = [kind for kind in self.payment_types if platform.lower() in (kind.name or "").lower().replace(" ", "")]
        if not fitting and len(self.payment_types) != 1:
            names = ", ".join(kind.name or kind.guid for kind in self.payment_types) or "none"
            raise Misconfigured(f"name the other payment option for {platform} in the setting payment_type; this restaurant has: {names}")
        return (fitting or list(self.payment_types))[0]

    def raising(self, name: str = "") -> Configured | None:
        """The open service charge of a name, else the one of the setting, else the first, untaxed ones before taxed ones."""
        fitting = [charge for charge in self.charges if charge.amount_type == "OPEN" and not charge.gratuity]
        for wanted in filter(None, (name, self.charge)):
            if found := next((charge for charge in fitting if (charge.name or "").lower() == wanted.lower()), None):
                return found
        return min(fitting, key=lambda charge: bool(charge.taxable), default=None)

    def lowering(self) -> Configured | None:
        """The discount of the setting, else the first, whose amount an order names and that a check takes."""
        fitting = [d for d in self.discounts if d.type == "OPEN_FIXED" and d.active is not False and d.selection_type in (None, "CHECK")]
        if self.discount:
            return next((discount for discount in fitting if (discount.name or "").lower() == self.discount.lower()), None)
        return next(iter(fitting), None)


def _named(among: tuple[Configured, ...], name: str, what: str) -> Configured:
    found = next((each for each in among if (each.name or "").lower() == name.lower()), None)
    if found is None:
        names = ", ".join(each.name or each.guid for each in among) or "none"
        raise Misconfigured(f"this restaurant has no {what} {name!r}; it has: {names}")
    return found
