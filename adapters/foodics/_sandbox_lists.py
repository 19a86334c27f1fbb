"""How Foodics shows and lists things: relations only when included, filters, an order, and pages with links."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from adapters._sandbox.calls import Call, Json

from ._sandbox_checks import DAY, MOMENT, fits, refused

Tree = Mapping[str, Any]
"""Relations by name, each with the relations of what it holds."""
PER_PAGE = 50
_PAGES_OF_ORDERS = 10
_AFTER = {
    "updated_after": "updated_at",
    "created_after": "created_at",
    "business_date_after": "business_date",
    "reference_after": "reference",
}
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Resource:
    """One collection: who may read it, its rows for a caller, and what can be included, filtered and sorted by."""

    name: str
    scope: str
    rows: Callable[[Call], list[Json]]
    relations: Tree = field(default_factory=dict)
    filters: tuple[str, ...] = ("id", "is_active", "updated_after", "created_after")
    sorts: tuple[str, ...] = ("created_at", "updated_at", "name", "reference")
    limited: bool = False
    """Whether its pages end after ten."""


def _wanted(call: Call, relations: Tree) -> Tree:
    tree: dict[str, Any] = {}
    for path in filter(None, call.query.get("include", "").split(",")):
        known, place = relations, tree
        for name in path.split("."):
            if name not in known:
                raise refused(400, f"Requested include(s) `{path}` are not allowed.")
            known, place = known[name], place.setdefault(name, {})
    return tree


def pruned(value: Any, relations: Tree, wanted: Tree) -> Any:
    """A row, or rows, without the relations that nobody asked for."""
    if isinstance(value, list):
        return [pruned(each, relations, wanted) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: pruned(each, relations[name], wanted[name]) if name in relations else each
        for name, each in value.items()
        if name not in relations or name in wanted
    }


def one(call: Call, row: Json, relations: Tree) -> Json:
    """A single row in its envelope."""
    return {"data": pruned(row, relations, _wanted(call, relations))}


def _of(row: Json, name: str) -> Any:
    if name not in row and name.endswith("_id"):
        inner = row.get(name[:-3])
        return inner["id"] if isinstance(inner, dict) else None
    return row.get(name)


def _after(row: Json, name: str, value: str) -> bool:
    held = row.get(_AFTER[name])
    if name == "reference_after":
        return isinstance(held, int) and held > int(value)
    return isinstance(held, str) and held > value


def _is(row: Json, name: str, value: str) -> bool:
    held = _of(row, name)
    if isinstance(held, bool):
        return held is _FLAGS.get(value)
    return held is not None and str(held) in value.split(",")


def _filtered(call: Call, resource: Resource, rows: list[Json]) -> list[Json]:
    for key, value in call.query.items():
        if not key.startswith("filter["):
            continue
        name = key.removeprefix("filter[").removesuffix("]")
        if name not in resource.filters:
            raise refused(400, f"Requested filter(s) `{name}` are not allowed. Allowed filter(s) are `{', '.join(resource.filters)}`.")
        if name == "reference_after" and not value.isdecimal():
            raise refused(400, "filter[reference_after] is a reference number.")
        if name in {"updated_after", "created_after", "business_date_after"} and not (fits(value, MOMENT) or fits(value, DAY)):
            raise refused(400, f"filter[{name}] does not match the format Y-m-d H:i:s.")
        rows = [row for row in rows if (_after if name in _AFTER else _is)(row, name, value)]
    return rows


def _key(name: str, row: Json) -> tuple[bool, Any]:
    value = row.get(name)
    return value is not None, "" if value is None else value


def _sorted(call: Call, resource: Resource, rows: list[Json]) -> list[Json]:
    for each in reversed([each for each in call.query.get("sort", "").split(",") if each]):
        name = each.removeprefix("-")
        if name not in resource.sorts:
            raise refused(400, f"Requested sort(s) `{name}` is not allowed. Allowed sort(s) are `{', '.join(resource.sorts)}`.")
        rows = sorted(rows, key=partial(_key, name), reverse=each.startswith("-"))
    return rows


def listing(call: Call, resource: Resource) -> Json:
    """A page of a collection; links name the page alone, not the filters."""
    page, size = call.query.get("page", "1"), call.query.get("per_page", str(PER_PAGE))
    if not (page.isdecimal() and size.isdecimal() and int(page) and int(size)):
        raise refused(400, "page and per_page are from 1.")
    number, length = int(page), min(int(size), PER_PAGE)
    wanted = _wanted(call, resource.relations)
    rows = _sorted(call, resource, _filtered(call, resource, resource.rows(call)))
    last = max(1, -(-len(rows) // length))
    if resource.limited:
        last = min(last, _PAGES_OF_ORDERS)
    begin = (number - 1) * length
    shown = rows[begin : begin + length] if number <= last else []
    address = f"http://{call.headers.get('host', 'api-sandbox.foodics.com')}/foodics/v5/{resource.name}"

    def link(to: int) -> str | None:
        return f"{address}?page={to}" if 1 <= to <= last else None

    arrows = [("&laquo; Previous", link(number - 1)), *((str(n), link(n)) for n in range(1, last + 1)), ("Next &raquo;", link(number + 1))]
    return {
        "data": pruned(shown, resource.relations, wanted),
        "links": {"first": link(1), "last": link(last), "prev": link(number - 1), "next": link(number + 1)},
        "meta": {
            "current_page": number,
            "from": begin + 1 if shown else None,
            "last_page": last,
            "links": [{"url": url, "label": label, "active": label == str(number)} for label, url in arrows],
            "path": address,
            "per_page": length,
            "to": begin + len(shown) if shown else None,
            "total": len(rows),
        },
    }
