"""What a business has, read page by page; its settings, which seldom change, are remembered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from adapters.foodics import models
from adapters.foodics.mapping import utc_text
from hub.contract import Http, Misconfigured, NotFound, Request, decode, pages

R = TypeVar("R")
HOUR, MOMENTS, RATES_FOR = 3600.0, 60.0, 6 * 3600.0
PER_PAGE = 50
JSON = {"Accept": "application/json", "Content-Type": "application/json"}
_MENU = "category,tax_group.taxes,groups,price_tags,branches,modifiers.options.branches"
_STOCK = "branches,modifiers.options.branches"
Rates = Mapping[str, tuple[models.Tax, ...]]
"""The taxes of each product, by its id."""


def get(path: str, operation: str, query: Mapping[str, str] | None = None, about: str = "") -> Request:
    """A read."""
    return Request("GET", path, operation, query=dict(query or {}), headers={"Accept": "application/json"}, about=about)


def write(method: str, path: str, operation: str, body: Any, about: str = "") -> Request:
    """A write."""
    return Request(method, path, operation, body=models.ENCODER.encode(body), headers=JSON, about=about)


def path_of(collection: str, identifier: str) -> str:
    """The path of one row."""
    return f"/{collection}/{quote(identifier, safe='')}"


class Books:
    """The reads of one business."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def listed(self, name: str, row: type[R], query: Mapping[str, str] | None = None, about: str = "") -> list[R]:
        """Every row of a collection. Its links forget the filters, so pages are counted."""

        async def ask(cursor: str) -> tuple[list[R], str]:
            place = {"page": cursor or "1", "per_page": str(PER_PAGE)}
            response = await self._http.read(get(f"/{name}", f"list_{name}", {**(query or {}), **place}, about))
            page: models.Page[R] = decode(response.body, models.Page[row])  # type: ignore[valid-type]  # the row's type is a value here
            meta = page.meta or models.PageMeta()
            current, last = meta.current_page or 1, meta.last_page or 1
            return page.data, str(current + 1) if page.data and current < last else ""

        return [each async for page in pages(ask) for each in page]

    async def one(self, collection: str, identifier: str, row: type[R], include: str = "") -> R:
        """One row; raises NotFound."""
        query = {"include": include} if include else {}
        response = await self._http.read(get(path_of(collection, identifier), f"get_{collection}", query, identifier))
        answer: models.One[R] = decode(response.body, models.One[row])  # type: ignore[valid-type]  # as above
        return answer.data

    async def who(self) -> models.Merchant:
        """The business that the token is for."""
        response = await self._http.read(get("/whoami", "whoami"))
        answer: models.One[models.Who] = decode(response.body, models.One[models.Who])
        return answer.data.business

    async def settings(self) -> models.Settings:
        """The business's settings."""

        async def ask() -> models.Settings:
            response = await self._http.read(get("/settings", "get_settings"))
            answer: models.One[models.Settings] = decode(response.body, models.One[models.Settings])
            return answer.data

        return await self._http.remember("settings", HOUR, ask)

    async def branches(self) -> list[models.Branch]:
        """All branches, read now."""
        return [each for each in await self.listed("branches", models.Branch) if not each.deleted_at]

    async def branch(self, ref: str) -> models.Branch:
        """One branch as it was at most a minute ago; raises Misconfigured."""
        found = await self._http.remember("branches", MOMENTS, self.branches)
        branch = next((each for each in found if each.id == ref), None)
        if branch is None:
            raise Misconfigured(f"the business has no branch {ref}")
        return branch

    async def products(self, *, stock_only: bool = False) -> list[models.Product]:
        """The products on the menu, with the options of their modifiers."""
        found = await self.listed("products", models.Product, {"include": _STOCK if stock_only else _MENU})
        kept = [each for each in found if not each.deleted_at]
        bare = {each.id for product in kept for each in product.modifiers or [] if each.options is None}
        if not bare:
            return kept
        whole = {each: await self.one("modifiers", each, models.Modifier, "options.branches") for each in sorted(bare)}
        return [_completed(product, whole) for product in kept]

    async def rates(self) -> Rates:
        """The taxes of every product."""

        async def ask() -> Rates:
            rows = await self.listed("products", models.Product, {"include": "tax_group.taxes"})
            return {
                each.id: tuple(tax for tax in each.tax_group.taxes or [] if tax.rate is not None and not tax.deleted_at)
                for each in rows
                if each.tax_group is not None
            }

        return await self._http.remember("rates", RATES_FOR, ask)

    async def display(self) -> list[models.DisplayCategory]:
        """The order of the menu; nothing where the business has none."""
        try:
            response = await self._http.read(get("/menu_display", "get_menu_display"))
        except NotFound:
            return []
        answer: models.One[models.Display] = decode(response.body, models.One[models.Display])
        return answer.data.categories or []

    async def methods(self) -> list[models.Method]:
        """Ways to pay that are in use."""

        async def ask() -> list[models.Method]:
            rows = await self.listed("payment_methods", models.Method)
            return [each for each in rows if not each.deleted_at and each.is_active is not False]

        return await self._http.remember("payment_methods", HOUR, ask)

    async def customer(self, dial_code: int, phone: str) -> str:
        """The id of the customer with this number, "" where there is none."""
        rows = await self.listed("customers", models.CustomerRow, {"filter[phone]": phone})
        return next((each.id for each in rows if each.phone == phone and str(each.dial_code) == str(dial_code) and not each.deleted_at), "")

    async def address(self, customer: str, description: str) -> str:
        """The id of a customer's address, "" where there is none."""
        rows = await self.listed("addresses", models.AddressRow, {"filter[customer_id]": customer})
        return next((each.id for each in rows if each.description == description and not each.deleted_at), "")

    async def orders(self, branch: str, since: datetime) -> list[models.Order]:
        """A branch's orders that changed since then. Pages end after ten; the reference to begin after does not."""
        found: list[models.Order] = []
        query = {"sort": "reference", "filter[branch_id]": branch, "filter[updated_after]": utc_text(since), "include": "charges"}

        async def ask(after: str) -> tuple[list[models.Order], str]:
            place = {"filter[reference_after]": after or "0", "per_page": str(PER_PAGE)}
            response = await self._http.read(get("/orders", "list_orders", {**query, **place}, branch))
            page: models.Page[models.Order] = decode(response.body, models.Page[models.Order])
            more = page.meta is not None and (page.meta.last_page or 1) > 1
            last = page.data[-1].reference if page.data and more else None
            return page.data, str(last) if last is not None else ""

        async for page in pages(ask):
            found += page
        return found


def _completed(product: models.Product, whole: Mapping[str, models.Modifier]) -> models.Product:
    modifiers = [
        msgspec.structs.replace(each, options=whole[each.id].options) if each.id in whole else each for each in product.modifiers or []
    ]
    return msgspec.structs.replace(product, modifiers=modifiers)


def here(rows: list[models.AtBranch] | None, branch: str) -> models.BranchPivot:
    """What differs at a branch."""
    return next((each.pivot for each in rows or [] if each.id == branch), models.BranchPivot())
