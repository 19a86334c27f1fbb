"""Check what a form holds against the facts of provider.toml."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from hub.contract.provider import Facts

Errors = list[tuple[str, str]]


def pointer(*parts: str) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def credential_errors(facts: Facts, holder: Literal["connection", "app"], given: Mapping[str, str]) -> Errors:
    """What is wrong with the credentials of a connection or of a provider app; values are never repeated."""
    fields = {name: field for name, field in facts.credentials.items() if field.of == holder}
    errors: Errors = []
    for name, value in given.items():
        field = fields.get(name)
        where = pointer("credentials", name)
        if field is None:
            elsewhere = "the operator's provider app" if holder == "connection" else "the connection"
            known = f"it belongs to {elsewhere}" if name in facts.credentials else f"{facts.slug} has no such credential"
            errors.append((where, known))
        elif not value or len(value) > 10_000 or "\x00" in value:
            errors.append((where, "a credential has between 1 and 10,000 characters"))
        elif field.pattern and not re.fullmatch(field.pattern, value):
            errors.append((where, f"does not have the form of {field.title}" + (f" ({field.where})" if field.where else "")))
    errors += [
        (pointer("credentials", name), f"{field.title} is required" + (f": {field.where}" if field.where else ""))
        for name, field in fields.items()
        if field.required and name not in given
    ]
    return errors


def checked_settings(facts: Facts, given: Mapping[str, Any]) -> tuple[dict[str, str | int | bool], Errors]:
    """The settings with defaults filled in, and what is wrong with them."""
    settings: dict[str, str | int | bool] = {name: field.default for name, field in facts.settings.items()}
    errors: Errors = []
    for name, value in given.items():
        field = facts.settings.get(name)
        where = pointer("settings", name)
        if field is None:
            errors.append((where, f"{facts.slug} has no such setting"))
        elif type(value) is not type(field.default):
            wanted = {bool: "true or false", int: "a whole number", str: "text"}[type(field.default)]
            errors.append((where, f"{field.title} is {wanted}"))
        elif field.choices and value not in field.choices:
            errors.append((where, f"one of {', '.join(field.choices)}"))
        elif isinstance(value, str) and (len(value) > 1000 or "\x00" in value):
            errors.append((where, "a setting has at most 1,000 characters"))
        else:
            settings[name] = value
    return settings, errors
