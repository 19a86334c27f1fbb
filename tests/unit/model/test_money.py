"""Money keeps its currency and its unit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model import CurrencyMismatch, Money, exponent, total, zero

CURRENCIES = st.sampled_from(["USD", "KWD", "JPY", "SAR", "BHD"])
AMOUNTS = st.integers(-(10**12), 10**12)


@pytest.mark.parametrize(("currency", "decimals"), [("USD", 2), ("KWD", 3), ("JPY", 0), ("XYZ", 2)])
def test_decimals_of_a_currency(currency: str, decimals: int) -> None:
    """Two, but for the currencies that ISO 4217 gives other minor units."""
    assert exponent(currency) == decimals


def test_currencies_do_not_mix() -> None:
    """Adding or subtracting two currencies is an error, never a sum."""
    with pytest.raises(CurrencyMismatch, match="USD met EUR"):
        Money(1, "USD") + Money(1, "EUR")
    with pytest.raises(CurrencyMismatch):
        Money(1, "USD") - Money(1, "EUR")
    with pytest.raises(CurrencyMismatch):
        total([Money(1, "USD")], "EUR")


def test_arithmetic() -> None:
    """Sums, differences, multiples and signs are exact integers; nothing is false."""
    assert Money(150, "USD") + Money(25, "USD") - Money(5, "USD") == Money(170, "USD")
    assert -Money(3, "USD") * 4 == Money(-12, "USD")
    assert not zero("USD")
    assert Money(1, "USD")
    assert total([], "KWD") == Money(0, "KWD")


@given(AMOUNTS, CURRENCIES)
def test_major_units_round_trip(amount: int, currency: str) -> None:
    """Any amount survives the way through decimals and through units times 100,000."""
    money = Money(amount, currency)
    assert Money.from_decimal(money.decimal(), currency) == money
    assert Money.from_e5(money.e5(), currency) == money


def test_too_fine_a_value_is_refused() -> None:
    """A tenth of a cent is an error, not a rounding."""
    with pytest.raises(ValueError, match="finer"):
        Money.from_decimal(Decimal("1.005"), "USD")
    assert Money.from_decimal(Decimal("1.005"), "KWD") == Money(1005, "KWD")


@pytest.mark.parametrize(
    ("e5", "currency", "minor"), [(1250000, "USD", 1250), (500, "USD", 0), (1500, "USD", 2), (125000, "KWD", 1250), (10000000, "JPY", 100)]
)
def test_amounts_times_a_hundred_thousand(e5: int, currency: str, minor: int) -> None:
    """Rounded half to even at the currency's own minor unit."""
    assert Money.from_e5(e5, currency) == Money(minor, currency)
