"""`hub new-adapter` writes adapters that pass the contract suite at once, and refuses what it cannot write with what to do."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cluster.scaffold import AUTHS, KINDS, ScaffoldError, new_adapter_in

ROOT = Path(__file__).parents[3]
SKIPPED = shutil.ignore_patterns("__pycache__")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What of the repository an adapter needs, with the shared simulator and no vendor."""
    for name in ("hub", "actors", "cluster", "adapters/_sandbox", "tests/contract/suite"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=SKIPPED)
    for name in ("adapters/__init__.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Just enough of a clone to be written into."""
    (tmp_path / "tests/contract/suite").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def run(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in a clone, whose packages go before the installed ones."""
    env = {**os.environ, "PYTHONPATH": str(clone), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run([sys.executable, *words], cwd=clone, env=env, capture_output=True, text=True, timeout=280, check=False)


def install(clone: Path) -> None:
    """Let the clone's entry points be found as an installation would: by metadata made from its pyproject.toml."""
    points = tomllib.loads((clone / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["hub.providers"]
    folder = clone / "integration_hub-0.1.0.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: integration-hub\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text("[hub.providers]\n" + "".join(f"{name} = {value}\n" for name, value in points.items()))


def whole(clone: Path) -> None:
    """Ruff, mypy and every test that was written have nothing to say."""
    for words in (("ruff", "check", "adapters", "tests"), ("ruff", "format", "--check", "adapters", "tests"), ("mypy", "adapters")):
        done = run(clone, "-m", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    done = run(clone, "-m", "pytest", "-q", "tests/contract/adapters", "tests/unit/adapters")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    exempt = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(exempt) == 1, done.stdout
    assert "scaffold: not built yet" in exempt[0]


def test_a_pos_and_a_platform_pass_their_suite_at_once(clone: Path) -> None:
    """The command writes both, one with a dash in its slug; nothing but the marked gap is skipped, and no level is claimed."""
    for slug, kind, auth in (("demo-pos", "pos", "oauth2_cc"), ("demofood", "delivery", "hmac")):
        done = run(clone, "-c", "from cluster.cli import main; main()", "new-adapter", slug, "--kind", kind, "--auth", auth)
        assert done.returncode == 0, done.stderr
        assert f"adapters/{slug.replace('-', '_')}/adapter.py" in done.stdout
    install(clone)
    whole(clone)
    shown = run(clone, "-c", "from cluster.cli import main; main()", "providers", "demo-pos").stdout
    assert "Demo Pos (pos): unproven" in shown
    assert "exempt from its_facts_are_whole" in shown
    again = run(clone, "-c", "from cluster.cli import main; main()", "new-adapter", "demo-pos", "--kind", "pos", "--auth", "static")
    assert again.returncode == 2
    assert "choose another slug" in again.stderr


@pytest.mark.full
def test_every_kind_with_every_way_to_authenticate_passes(clone: Path) -> None:
    """Names as short and as long as they may be are formatted all the same."""
    for kind in KINDS:
        for number, auth in enumerate(AUTHS):
            slug = {0: f"z{kind[0]}", 1: f"the-longest-name-{kind[:3]}-xyz"}.get(number, f"an-{kind}-{number}")
            new_adapter_in(slug, kind, auth, clone)
    install(clone)
    whole(clone)


@pytest.mark.parametrize(
    "slug", ["", "Demo", "1demo", "demo_pos", "demo--pos", "-demo", "demo-", "a/b", "../x", "class", "démo", "a" * 25, "demo\n"]
)
def test_an_invalid_slug_is_refused_with_what_one_is(bare: Path, slug: str) -> None:
    """Nothing is written."""
    before = sorted(bare.rglob("*"))
    with pytest.raises(ScaffoldError, match="slug"):
        new_adapter_in(slug, "pos", "static", bare)
    assert sorted(bare.rglob("*")) == before


@pytest.mark.parametrize("taken", ["adapters/demo_pos", "tests/contract/adapters/test_demo_pos.py", "tests/unit/adapters/demo_pos"])
def test_what_is_there_is_not_written_over(bare: Path, taken: str) -> None:
    """A folder or a test of that name stops it, by name."""
    (bare / taken).mkdir(parents=True)
    with pytest.raises(ScaffoldError, match=f"{taken} is there already"):
        new_adapter_in("demo-pos", "pos", "static", bare)
    assert 'demo-pos = "' not in (bare / "pyproject.toml").read_text("utf-8")


def test_a_provider_that_is_listed_is_not_listed_twice(bare: Path) -> None:
    """Also where its folder is not there."""
    with pytest.raises(ScaffoldError, match="square is a provider already"):
        new_adapter_in("square", "pos", "static", bare)


def test_unknown_kinds_and_modes_say_which_there_are(bare: Path) -> None:
    """And a folder that is no clone says where to go."""
    with pytest.raises(ScaffoldError, match="pos, delivery"):
        new_adapter_in("demo", "kiosk", "static", bare)
    with pytest.raises(ScaffoldError, match="oauth2_cc, oauth2_code"):
        new_adapter_in("demo", "pos", "magic", bare)
    with pytest.raises(ScaffoldError, match="is no clone"):
        new_adapter_in("demo", "pos", "static", bare / "tests")


def test_the_entry_point_goes_to_its_place_and_nothing_else_changes(bare: Path) -> None:
    """The list stays sorted, and every other line is as it was."""
    before = (bare / "pyproject.toml").read_text("utf-8")
    written = new_adapter_in("lemon-pos", "pos", "password", bare)
    after = (bare / "pyproject.toml").read_text("utf-8")
    added = 'lemon-pos = "adapters.lemon_pos:PROVIDER"\n'
    assert after.replace(added, "") == before
    names = list(tomllib.loads(after)["project"]["entry-points"]["hub.providers"])
    assert names == sorted(names)
    assert all((bare / name).is_file() for name in written.files)
    text = (bare / "tests/contract/adapters/test_lemon_pos.py").read_text("utf-8")
    assert len(text.splitlines()) < 10
