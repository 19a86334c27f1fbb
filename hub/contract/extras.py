"""Extras: what a vendor offers beside the capabilities, as named and typed calls with shapes of the hub's model."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from hub.contract.http import Done, Step


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """One call. A `read` changes nothing and answers at once; a `run` is one write, stored before it is sent and done once.

    `params` and `result` are msgspec Structs (`result` may be a list of them). A read has `read`, a run has `step` and `done`, which
    turns what the step left into the result.
    """

    title: str
    params: type[msgspec.Struct]
    result: Any
    read: Callable[[Any], Awaitable[Any]] | None = None
    step: Callable[[Any], Awaitable[Step]] | None = None
    done: Callable[[Done], Any] | None = None

    @property
    def kind(self) -> Literal["read", "run"]:
        """Whether it changes something at the vendor."""
        return "read" if self.read is not None else "run"


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say."""


class PlaceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One store or POS location."""

    ref: str
