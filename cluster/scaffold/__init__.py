"""`hub new-adapter`: a new vendor's folder and tests, working against an invented vendor until its facts and shapes take their place.

The templates beside this module are plain text with `$placeholders`: `<kind>/` and `common/` make the files of the same name,
`auth/<mode>.*` the strategy, its facts and the simulated vendor's check of it.
"""

import keyword
import re
import tomllib
from pathlib import Path
from string import Template

import msgspec

KINDS = ("pos", "delivery")
AUTHS = ("oauth2_cc", "oauth2_code", "static", "password", "signed_jwt", "hmac")
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 24
_ENTRY_POINTS = '[project.entry-points."hub.providers"]\n'
_HERE = Path(__file__).parent


class ScaffoldError(ValueError):
    """Nothing was written: the message says what to change."""


class Written(msgspec.Struct, frozen=True):
    """What was written or changed, from the repository's root, and what pytest is to be given."""

    files: tuple[str, ...]
    tests: str


def new_adapter_in(slug: str, kind: str, auth: str, root: Path = _HERE.parent.parent) -> Written:
    """Write the adapter of a slug into a clone; raises ScaffoldError before anything is written.

    A dash of the slug is an underscore in the folder's name, since that is a Python package: `demo-pos` lives in `adapters/demo_pos`.
    """
    module = slug.replace("-", "_")
    _check(slug, kind, auth, root)
    places = {
        f"adapters/{module}": root / "adapters" / module,
        f"tests/contract/adapters/test_{module}.py": root / "tests" / "contract" / "adapters" / f"test_{module}.py",
        f"tests/unit/adapters/{module}": root / "tests" / "unit" / "adapters" / module,
    }
    for name, path in places.items():
        if path.exists():
            raise ScaffoldError(f"{name} is there already: choose another slug, or remove it if it was an attempt")
    project = root / "pyproject.toml"
    listed = _listed(project.read_text("utf-8"), slug, module)
    made = _rendered(slug, module, kind, auth)
    for name, text in made.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    project.write_text(listed, "utf-8")
    tests = f"tests/contract/adapters/test_{module}.py tests/unit/adapters/{module}"
    return Written((*sorted(made), "pyproject.toml"), tests)


def _check(slug: str, kind: str, auth: str, root: Path) -> None:
    if not SLUG.fullmatch(slug) or len(slug) > LONGEST:
        raise ScaffoldError(f"{slug!r} is no slug: lower case letters, digits and single dashes, a letter first, at most {LONGEST}")
    if keyword.iskeyword(slug):
        raise ScaffoldError(f"{slug!r} is a word of Python's own and cannot name a package: choose another slug")
    if kind not in KINDS:
        raise ScaffoldError(f"{kind!r} is no kind: --kind is one of {', '.join(KINDS)}")
    if auth not in AUTHS:
        raise ScaffoldError(f"{auth!r} is no way to authenticate that there is a template for: --auth is one of {', '.join(AUTHS)}")
    if not (root / "tests" / "contract" / "suite").is_dir() or not (root / "pyproject.toml").is_file():
        raise ScaffoldError(f"{root} is no clone of the repository: adapters are written there, then installed (see CONTRIBUTING.md)")


def _listed(project: str, slug: str, module: str) -> str:
    """pyproject.toml with the adapter's entry point, in its place among the others."""
    points = tomllib.loads(project).get("project", {}).get("entry-points", {}).get("hub.providers", {})
    if slug in points:
        raise ScaffoldError(f"{slug} is a provider already ({points[slug]}): choose another slug")
    head, found, rest = project.partition(_ENTRY_POINTS)
    if not found:
        raise ScaffoldError(f"pyproject.toml has no {_ENTRY_POINTS.strip()}: without that table no adapter is found")
    lines, blank, after = rest.partition("\n\n")
    entries = sorted([*lines.splitlines(), f'{slug} = "adapters.{module}:PROVIDER"'])
    return head + found + "\n".join(entries) + (blank or "\n") + after


def _rendered(slug: str, module: str, kind: str, auth: str) -> dict[str, str]:
    """The text of each file by its path."""
    words = slug.split("-")
    owner = "app" if kind == "delivery" and auth != "oauth2_code" else "connection"
    values = {
        "slug": slug,
        "module": module,
        "name": " ".join(word.capitalize() for word in words),
        "class_name": "".join(word.capitalize() for word in words),
        "what": "POS" if kind == "pos" else "delivery platform",
        "owner": owner,
        "other": "connection" if owner == "app" else "app",
    }
    values["auth_facts"] = _filled(f"auth/{auth}.toml.txt", values)
    folder, made = f"adapters/{module}", {}
    for name in ("provider.toml", "adapter.py", "mapping.py", "menu.py", "models.py", "sandbox.py", "webhooks.py"):
        made[f"{folder}/{name}"] = _filled(f"{kind}/{name}.txt", values)
    for name in ("access.py", "_sandbox_access.py"):
        made[f"{folder}/{name}"] = _filled(f"auth/{auth}.{name}.txt", values)
    made[f"{folder}/__init__.py"] = _filled("common/__init__.py.txt", values)
    made[f"tests/contract/adapters/test_{module}.py"] = _filled("common/test_contract.py.txt", values)
    made[f"tests/unit/adapters/{module}/test_{module}_unit.py"] = _filled(f"{kind}/test_unit.py.txt", values)
    return made


def _filled(template: str, values: dict[str, str]) -> str:
    return Template((_HERE / template).read_text("utf-8")).substitute(values)
