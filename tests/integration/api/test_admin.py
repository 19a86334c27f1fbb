"""`hub admin` on a real database: what it makes works, what it refuses it explains, and secrets are not arguments."""

import asyncio
import base64
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from cluster.admin import admin
from tests.integration.api.api_world import providers

pytestmark = pytest.mark.postgres

KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Call `hub admin` with settings that name the test's database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    monkeypatch.setenv("HUB_MASTER_KEYS", f"k1:{KEY}")

    def call(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(admin, list(arguments), input=stdin)

    return call


def test_a_tenant_and_its_owner_are_made(run) -> None:
    """A tenant's id is printed, its owner's password once, and neither again."""
    tenant = run("tenant", "create", "Olive Group").stdout.strip()
    assert tenant.startswith("ten_")
    assert "Olive Group" in run("tenant", "list").stdout
    made = run("user", "create", "owner@olive.test", "--tenant", tenant, "--operator")
    assert made.exit_code == 0
    assert "password" in made.stdout
    again = run("user", "create", "owner@olive.test", "--tenant", tenant)
    assert "keeps the password" in again.stdout
    reset = run("user", "create", "owner@olive.test", "--tenant", tenant, "--reset")
    assert "password" in reset.stdout
    assert reset.stdout != made.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("user", "create", "nobody", "--tenant", "ten_x"), "no e-mail address"),
        (("user", "create", "a@b.test", "--tenant", "ten_x"), "there is no tenant ten_x"),
        (("user", "create", "a@b.test", "--tenant", "ten_x", "--role", "king"), "unknown role 'king'"),
        (("tenant", "create", " "), "/name"),
        (("provider-app", "create", "nobody"), "no provider 'nobody' is installed"),
        (("claim", "approve", "clm_x"), "there is no store claim clm_x"),
    ],
)
def test_a_refusal_says_what_is_wrong(run, arguments: tuple[str, ...], says: str) -> None:
    """Bad input ends with exit code 1 and a sentence, never with a traceback."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_a_database_that_is_not_there_is_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable database is one sentence."""
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run("tenant", "list")
    assert (result.exit_code, "does not answer" in result.stderr) == (1, True)


async def test_a_claim_is_approved_by_hand(run, database, world) -> None:
    """The claim that `claim list` shows unproven is proven after `claim approve`."""
    assert "clm_" in (await asyncio.to_thread(run, "claim", "list")).stdout
    result = await asyncio.to_thread(run, "claim", "approve", world.a.claim)
    assert (result.exit_code, result.stdout.strip()) == (0, "proven")
    async with database.tenant(world.a.tenant) as tx:
        assert await tx.fetchval("select proof from hub.store_claims where id = $1", world.a.claim) == "operator"
        actor = await tx.fetchval("select actor from hub.audit_log where subject = $1 and action = 'claim.approve'", world.a.claim)
    assert actor == "hub admin"


async def test_a_provider_app_comes_from_standard_input(run, owner_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are read as JSON, checked against the provider's form and sealed."""
    monkeypatch.setattr("cluster.admin.InstalledProviders", providers)

    def create(stdin: str) -> Result:
        return run("provider-app", "create", "courier", stdin=stdin)

    bad = await asyncio.to_thread(create, '{"colour": "red"}')
    assert (bad.exit_code, "/credentials/colour" in bad.stderr) == (1, True)
    assert (await asyncio.to_thread(create, "not json")).exit_code == 1
    good = await asyncio.to_thread(create, '{"client_secret": "very secret"}')
    assert good.exit_code == 0, good.output
    owner = await asyncpg.connect(owner_url)
    try:
        sealed = await owner.fetchval("select sealed from hub.credentials where provider_app = $1", good.stdout.strip())
    finally:
        await owner.close()
    assert b"very secret" not in sealed
    assert "default" in (await asyncio.to_thread(run, "provider-app", "list")).stdout
