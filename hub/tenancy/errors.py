"""Why a change of a tenant's things is refused. The API shows them as 422, 404 and 409."""

from collections.abc import Sequence


class Invalid(ValueError):
    """Values that cannot be taken: pairs of a JSON pointer and what is wrong there."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{pointer or '/'}: {detail}" for pointer, detail in errors))
        self.errors: Sequence[tuple[str, str]] = errors


class Unknown(LookupError):
    """The tenant has no such thing; `pointer` says where the body named it."""

    def __init__(self, what: str, pointer: str = "") -> None:
        super().__init__(f"there is no {what}")
        self.pointer = pointer


class Conflict(Exception):
    """The change does not fit the state of things as they are."""
