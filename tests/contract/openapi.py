"""Check requests and answers against a vendor's official OpenAPI 3.0 document, so that neither side marks its own work."""

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import pytest
from jsonschema import Draft202012Validator

_KEPT = (
    *("type", "enum", "required", "minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems"),
    *("minProperties", "maxProperties", "uniqueItems", "multipleOf"),
)


class SpecError(AssertionError):
    """A body is not what the vendor's specification says; the text lists each place and what is wrong there."""


def vendor_spec(*parts: str) -> Path:
    """The path of an official specification below HUB_VENDOR_SPECS; skips the test where that folder is not set."""
    folder = os.environ.get("HUB_VENDOR_SPECS")
    if not folder:
        pytest.skip("HUB_VENDOR_SPECS is not set: nothing official to check against")
    return Path(folder, *parts)


def _schema(node: Any, *, closed: bool) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema 2020-12: `nullable` becomes a type, and a named property list is closed."""
    if "$ref" in node:
        plain: Any = {"$ref": "#/$defs/" + node["$ref"].rsplit("/", 1)[-1]}
    else:
        plain = {name: node[name] for name in _KEPT if name in node}
        if "properties" in node:
            plain["properties"] = {name: _schema(each, closed=closed) for name, each in node["properties"].items()}
        extra = node.get("additionalProperties")
        if isinstance(extra, dict):
            plain["additionalProperties"] = _schema(extra, closed=closed)
        elif extra is not None:
            plain["additionalProperties"] = extra
        elif closed and node.get("properties"):
            plain["additionalProperties"] = False
        if "items" in node:
            plain["items"] = _schema(node["items"], closed=closed)
        for name in ("allOf", "oneOf", "anyOf"):
            if name in node:
                plain[name] = [_schema(each, closed=closed) for each in node[name]]
        if "not" in node:
            plain["not"] = _schema(node["not"], closed=closed)
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") else plain


class Spec:
    """An OpenAPI 3.0 document that can check bodies. Bodies are parsed JSON (None for an empty one)."""

    def __init__(self, document: dict[str, Any], *, closed: bool = True) -> None:
        self._document = document
        self._closed = closed
        schemas = document.get("components", {}).get("schemas", {})
        self._definitions = {name: _schema(each, closed=closed) for name, each in schemas.items()}
        self._events = {each["x-webhook"]["event"]: name for name, each in schemas.items() if "x-webhook" in each}
        self._validators: dict[str, Draft202012Validator] = {}
        ordered = sorted(document["paths"], key=lambda path: path.count("{"))
        self._paths = [(re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path))), path) for path in ordered]

    @classmethod
    def load(cls, path: str | Path, *, closed: bool = True) -> Self:
        """Read a document; with `closed`, a field that a schema does not name is an error. Documents are kept parsed."""
        return cls(_document(str(path)), closed=closed)

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The operation of a call; a query string is ignored. Raises SpecError when there is none."""
        bare = path.partition("?")[0]
        for pattern, name in self._paths:
            found = self._document["paths"][name].get(method.lower())
            if found is not None and pattern.fullmatch(bare):
                return dict(found)
        raise SpecError(f"the specification has no {method.upper()} {bare}")

    def _check(self, schema: Any, body: Any, what: str) -> None:
        key = json.dumps(schema, sort_keys=True)
        validator = self._validators.get(key)
        if validator is None:
            converted = _schema(schema, closed=self._closed)
            validator = self._validators[key] = Draft202012Validator({**converted, "$defs": self._definitions})
        found = [f"{error.json_path}: {error.message[:300]}" for error in _leaves(validator.iter_errors(body))]
        if found:
            raise SpecError(f"{what}: " + "; ".join(found[:12]))

    def check_request(self, method: str, path: str, body: Any) -> None:
        """Check the body of a request; raises SpecError."""
        content = self.operation(method, path).get("requestBody")
        if content is None:
            if body not in (None, {}):
                raise SpecError(f"{method.upper()} {path} takes no body")
            return
        if body is None and not content.get("required", False):
            return
        self._check(content["content"]["application/json"]["schema"], body, f"request {method.upper()} {path}")

    def check_response(self, method: str, path: str, status: int, body: Any) -> None:
        """Check the body of an answer; one of 400 or above without a schema of its own needs a list of `Error`s."""
        responses = self.operation(method, path)["responses"]
        documented = responses.get(str(status)) or (responses.get("default") if status >= 400 else None)
        what = f"answer {status} to {method.upper()} {path}"
        if documented is not None:
            if (schema := documented.get("content", {}).get("application/json", {}).get("schema")) is not None:
                self._check(schema, body, what)
            return
        if status < 400 or "Error" not in self._definitions:
            raise SpecError(f"{what} is not in the specification")
        errors = {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Error"}}
        self._check({"type": "object", "required": ["errors"], "properties": {"errors": errors}}, body, what)

    def check_event(self, body: Any) -> None:
        """Check a webhook whose schema carries `x-webhook`; raises SpecError for an unknown `type`."""
        kind = body.get("type") if isinstance(body, dict) else None
        if kind not in self._events:
            raise SpecError(f"the specification has no event {kind!r}")
        self._check({"$ref": f"#/components/schemas/{self._events[kind]}"}, body, f"event {kind}")


def _leaves(errors: Any) -> Any:
    """Errors at the place where they happen: those inside a nullable schema instead of "valid under none"."""
    for error in errors:
        inner = [each for each in error.context or [] if not (each.validator == "type" and each.validator_value == "null")]
        if inner and error.validator == "anyOf":
            yield from _leaves(inner)
        else:
            yield error


@lru_cache
def _document(path: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))
    return document
