"""Money as integer minor units with an ISO 4217 currency: no floats, no implicit unit."""

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

# ISO 4217 exponents that differ from 2.
_EXPONENTS = {
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "PYG": 0, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0,
}  # fmt: skip


def exponent(currency: str) -> int:
    """Say how many decimals a currency's minor unit has: 2 for USD, 3 for KWD, 0 for JPY."""
    return _EXPONENTS.get(currency, 2)


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met: convert nothing, find out why."""


class Money(msgspec.Struct, frozen=True, order=False):
    """An amount in minor units (1250 = 12.50 SAR, 1250 = 1.250 KWD)."""

    amount: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other).amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other).amount, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def __mul__(self, factor: int) -> "Money":
        return Money(self.amount * factor, self.currency)

    def __bool__(self) -> bool:
        return self.amount != 0

    def _same(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} met {other.currency}")
        return other

    def decimal(self) -> Decimal:
        """The amount in major units: Money(1250, "KWD") is Decimal("1.250")."""
        return Decimal(self.amount).scaleb(-exponent(self.currency))

    @classmethod
    def from_decimal(cls, value: Decimal, currency: str) -> "Money":
        """From major units; raises ValueError when the value is finer than the currency's minor unit."""
        minor = value.scaleb(exponent(currency))
        if minor != minor.to_integral_value():
            raise ValueError(f"{value} {currency} is finer than the currency's minor unit")
        return cls(int(minor), currency)

    @classmethod
    def from_e5(cls, amount_e5: int, currency: str) -> "Money":
        """From an amount times 100,000, rounded half to even at the currency's minor unit."""
        minor = Decimal(amount_e5).scaleb(exponent(currency) - 5)
        return cls(int(minor.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)), currency)

    def e5(self) -> int:
        """The amount times 100,000."""
        return self.amount * int(10 ** (5 - exponent(self.currency)))


def zero(currency: str) -> Money:
    """Nothing, in a currency."""
    return Money(0, currency)


def total(amounts: "list[Money] | tuple[Money, ...]", currency: str) -> Money:
    """Add amounts up; an empty list is zero in the given currency."""
    result = zero(currency)
    for amount in amounts:
        result = result + amount
    return result
