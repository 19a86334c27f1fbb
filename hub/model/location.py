"""Locations and vendor stores: a location is the tenant's restaurant, a store is one vendor's view of it."""

import msgspec


class Store(msgspec.Struct, frozen=True, omit_defaults=True):
    """A vendor's store or POS location: its own reference, currency (ISO 4217) and zone (IANA)."""

    ref: str
    name: str
    currency: str = ""
    timezone: str = ""
    country: str = ""
    open: bool | None = None
