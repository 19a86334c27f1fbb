"""Beside orders: the kitchen's stations and what they did, and whether online orders are taken."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from adapters.toast import models
from adapters.toast.states import pos_id
from adapters.toast.stores import Restaurants, call
from hub.contract import Drifted, Extra, Http, Misconfigured, PlaceParams, decode
from hub.model import StoreStatus
from hub.model.extras import KitchenItem, KitchenStation


class BusinessDayParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A business day of a restaurant: it ends at the restaurant's closeout hour."""

    ref: str
    day: date


class ToastExtras:
    """The calls of one connection."""

    def __init__(self, http: Http, restaurants: Restaurants) -> None:
        self._http, self._restaurants = http, restaurants

    def all(self) -> Mapping[str, Extra]:
        """The calls by name."""
        return {
            "kitchen_stations": Extra(title="Kitchen stations", params=PlaceParams, result=list[KitchenStation], read=self._stations),
            "kitchen_items": Extra(
                title="What the kitchen did on a business day", params=BusinessDayParams, result=list[KitchenItem], read=self._items
            ),
            "online_ordering": Extra(
                title="Whether and when online orders are taken", params=PlaceParams, result=StoreStatus, read=self._ordering
            ),
        }

    async def _stations(self, params: PlaceParams) -> list[KitchenStation]:
        rows = self._restaurants.rows(params.ref, "/kitchen/v1/published/prepStations", "list_stations", models.PrepStation)
        return [
            # Tickets that are printed only when a screen is away mean that there is one.
            KitchenStation(
                each.guid,
                each.name or each.guid,
                screen=each.printing_mode == "OFFLINE_ONLY",
                feeds=tuple(filter(None, map(_guid, each.connected_prep_stations or []))),
            )
            async for each in rows
        ]

    async def _items(self, params: BusinessDayParams) -> list[KitchenItem]:
        query = {"businessDate": params.day.strftime("%Y%m%d")}
        path = "/kitchen/v1/export/itemFulfillments"
        response = await self._http.read(call("GET", path, "export_fulfillments", params.ref, query=query, timeout=60.0))
        if response.status == 204:
            raise Misconfigured(f"restaurant {params.ref} has no kitchen export: it needs Toast's Restaurant Management Suite Pro")
        rows: list[models.Fulfilled] = decode(response.body, list[models.Fulfilled])
        return [
            KitchenItem(
                pos_id(row.order_guid, params.ref) if row.order_guid else "",
                row.selection_guid or "",
                row.selection_menu_item_name or "",
                row.prep_station_name or row.prep_station_guid or "",
                _moment(row.ticket_fired_at),
                _moment(row.item_started_at),
                _moment(row.item_fulfilled_at),
            )
            for row in rows
        ]

    async def _ordering(self, params: PlaceParams) -> StoreStatus:
        return await self._restaurants.online_ordering(params.ref)


def _guid(reference: Any) -> str:
    found = reference.get("guid") if isinstance(reference, dict) else reference
    return found if isinstance(found, str) else ""


def _moment(text: str | None) -> datetime | None:
    """A time as Toast writes it (`2022-03-05T16:00:00.000+0000`, or with Z)."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Drifted(f"no time: {text[:40]!r}") from error
