"""Fit a menu to a channel that cannot hold all of it: what is left out is named, never dropped in silence."""

from collections.abc import Callable

import msgspec

from hub.model.menu import Item, Menu, Modifier, ModifierGroup
from hub.model.order import NotCarried


def fit_nesting(
    menu: Menu, *, levels: int, may_open: Callable[[ModifierGroup], bool] = lambda group: True
) -> tuple[Menu, tuple[NotCarried, ...]]:
    """Leave out choices deeper than `levels`, and those below a group that `may_open` refuses.

    A choice that need not be made is left out; an option that cannot go without it is left out itself, and so is an item whose own
    choice can then not be made. Returns the menu and what it lost, by id.
    """
    fitting = _Fitting(menu, levels, may_open)
    items = [fitted for item in menu.items if (fitted := fitting.item(item)) is not None]
    kept = {item.id for item in items}
    categories = tuple(msgspec.structs.replace(c, item_ids=tuple(i for i in c.item_ids if i in kept)) for c in menu.categories)
    groups = tuple(fitting.groups.values())
    return msgspec.structs.replace(menu, items=tuple(items), categories=categories, groups=groups), tuple(fitting.lost)


class _Fitting:
    def __init__(self, menu: Menu, levels: int, may_open: Callable[[ModifierGroup], bool]) -> None:
        self.groups: dict[str, ModifierGroup] = {}
        self.lost: list[NotCarried] = []
        self._known = {group.id: group for group in menu.groups}
        self._levels, self._may_open = levels, may_open
        self._said: set[str] = set()

    def _lose(self, identifier: str, reason: str) -> None:
        if identifier not in self._said:
            self._said.add(identifier)
            self.lost.append(NotCarried(identifier, reason))

    def item(self, item: Item) -> Item | None:
        """The item with the choices that fit, or None when one that must be made does not."""
        kept = []
        for identifier in item.group_ids:
            fitted = self._group(identifier, 1)
            if fitted is not None:
                kept.append(fitted)
            elif self._known[identifier].minimum > 0:
                self._lose(item.id, f"{item.name}: its choice {self._known[identifier].name} cannot be offered on this channel")
                return None
        return msgspec.structs.replace(item, group_ids=tuple(kept))

    def _group(self, identifier: str, level: int) -> str | None:
        """The id of the group as it fits at a level; one group may fit differently at different levels."""
        group = self._known[identifier]
        if level > self._levels:
            return None
        options = [fitted for option in group.modifiers if (fitted := self._option(group, option, level)) is not None]
        if len(options) < max(1, group.minimum) and not _repeats(group, options):
            return None
        made = msgspec.structs.replace(group, modifiers=tuple(options))
        key = identifier if self.groups.setdefault(identifier, made) == made else f"{identifier}-{level}"
        self.groups[key] = msgspec.structs.replace(made, id=key)
        return key

    def _option(self, group: ModifierGroup, option: Modifier, level: int) -> Modifier | None:
        if not option.group_ids:
            return option
        kept = []
        for nested in option.group_ids:
            fitted = self._group(nested, level + 1) if self._may_open(group) else None
            if fitted is not None:
                kept.append(fitted)
                continue
            name = self._known[nested].name
            if self._known[nested].minimum > 0:
                self._lose(option.id, f"{option.name}: its choice {name} cannot be offered below {group.name} on this channel")
                return None
            self._lose(nested, f"{name} cannot be offered below {group.name} on this channel")
        return msgspec.structs.replace(option, group_ids=tuple(kept))


def _repeats(group: ModifierGroup, options: list[Modifier]) -> bool:
    return bool(options) and group.minimum <= 1
