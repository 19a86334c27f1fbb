"""`hub admin`: make tenants, people and provider apps, and approve store claims, on the database that the settings name."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NoReturn, TypeVar

import asyncpg
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from cluster.embedded import EmbeddedError, start_postgres, stop_postgres
from cluster.run_file import RunFile
from hub.contract.provider import InstalledProviders
from hub.database.migrate import migrate
from hub.database.pool import Database
from hub.identity.principal import Role
from hub.settings import Settings, SettingsError
from hub.tenancy import Conflict, Invalid, Unknown, approve_claim, create_provider_app, create_tenant, create_user
from hub.tenancy.sql import PLACES, TENANCY

T = TypeVar("T")

ACTOR = "hub admin"

admin = typer.Typer(name="admin", help="Tenants, people, provider apps and store claims.", no_args_is_help=True)
_tenant = typer.Typer(help="Tenants.", no_args_is_help=True)
_user = typer.Typer(help="People.", no_args_is_help=True)
_app = typer.Typer(help="Partner-level credentials.", no_args_is_help=True)
_claim = typer.Typer(help="Who owns a platform's store.", no_args_is_help=True)
for _name, _group in (("tenant", _tenant), ("user", _user), ("provider-app", _app), ("claim", _claim)):
    admin.add_typer(_group, name=_name)

_out = Console()

Work = Callable[[Database, Settings], Awaitable[T]]


def _fail(message: str) -> NoReturn:
    typer.secho(message, fg=typer.colors.RED, err=True)
    raise typer.Exit(1)


async def _connected(settings: Settings, url: str, work: Work[T]) -> T:
    database = await Database(url, application="hub-admin", most=2).open()
    try:
        return await work(database, settings)
    finally:
        await database.close()


async def _work(settings: Settings, work: Work[T]) -> T:
    if not settings.embedded_postgres:
        return await _connected(settings, settings.database_url, work)
    home = settings.home
    running = home.exists() and RunFile(home).child("postgres") is not None
    try:
        urls = start_postgres(home)
        try:
            await migrate(urls.admin_url)
            return await _connected(settings, urls.api_url, work)
        finally:
            if not running:
                stop_postgres(home)
    except EmbeddedError as error:
        _fail(f"the embedded database does not start: {error}")


def _run(work: Work[T]) -> T:
    try:
        settings = Settings.load()
        return asyncio.run(_work(settings, work))
    except SettingsError as error:
        _fail(str(error))
    except Invalid as error:
        _fail("\n".join(f"{pointer or '/'}: {detail}" for pointer, detail in error.errors))
    except (Unknown, Conflict) as error:
        _fail(str(error))
    except asyncpg.UndefinedFunctionError:
        _fail("the schema is not up to date: run `hub migrate`")
    except asyncpg.UniqueViolationError:
        _fail("something with this name is there already")
    except (OSError, asyncpg.PostgresError) as error:
        _fail(f"the database does not answer: {error}")


def _show(title: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    _out.print(table)


@_tenant.command("create")
def tenant_create(name: Annotated[str, typer.Argument(help="Name of the restaurant group.")]) -> None:
    """Make a tenant and print its id."""

    async def work(database: Database, _: Settings) -> str:
        return await create_tenant(database, name)

    typer.echo(_run(work))


@_tenant.command("list")
def tenant_list() -> None:
    """List all tenants."""

    async def work(database: Database, _: Settings) -> list[Any]:
        return list(await TENANCY.tenants(database, after=None, limit=10_000))

    _show("Tenants", ("id", "name", "demo", "created_at"), _run(work))


@_user.command("create")
def user_create(
    email: Annotated[str, typer.Argument(help="E-mail address, which is the login.")],
    tenant: Annotated[str, typer.Option(help="Id of the tenant the person belongs to.")],
    role: Annotated[str, typer.Option(help="viewer, staff, manager or owner.")] = "owner",
    operator: Annotated[bool, typer.Option(help="May run the hub itself: provider apps, claims, tenants.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the password instead of making one.")] = False,
    reset: Annotated[bool, typer.Option(help="Give somebody who is there already a new password.")] = False,
) -> None:
    """Make a person a member of a tenant. A generated password is printed once, and kept nowhere."""
    try:
        checked: Role = msgspec.convert(role, Role)
    except msgspec.ValidationError:
        _fail(f"unknown role {role!r}: viewer, staff, manager or owner")
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if ask else None

    async def work(database: Database, _: Settings) -> Any:
        return await create_user(database, email, tenant=tenant, role=checked, password=password, operator=operator, reset=reset)

    made = _run(work)
    typer.echo(f"user      {made.id}")
    if made.password is not None:
        typer.echo(f"password  {made.password}")
    elif password is None:
        typer.echo("was there already and keeps the password; --reset makes a new one")


@_app.command("create")
def provider_app_create(
    provider: Annotated[str, typer.Argument(help="Slug of the provider, see `hub providers`.")],
    environment: Annotated[str, typer.Option(help="production, sandbox or simulator.")] = "production",
    name: Annotated[str, typer.Option(help="Name of the app, unique per provider.")] = "default",
) -> None:
    """Make a provider app. Credentials are asked for, or read as a JSON object from standard input; never from arguments."""
    providers = InstalledProviders()
    found = providers.get(provider)
    if found is None:
        _fail(f"no provider {provider!r} is installed: see `hub providers`")
    if sys.stdin.isatty():
        credentials = {
            field: typer.prompt(facts.title, hide_input=facts.secret, default=None if facts.required else "", show_default=False)
            for field, facts in found.facts.credentials.items()
            if facts.of == "app"
        }
        credentials = {field: value for field, value in credentials.items() if value}
    else:
        try:
            credentials = msgspec.json.decode(sys.stdin.buffer.read(), type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError):
            _fail('standard input must be a JSON object of texts, such as {"client_id": "…"}')

    async def work(database: Database, settings: Settings) -> str:
        master = settings.open_master_keys(create=True)
        return await create_provider_app(
            database, master, providers, provider=provider, environment=environment, name=name, credentials=credentials
        )

    typer.echo(_run(work))


@_app.command("list")
def provider_app_list() -> None:
    """List provider apps, without their credentials."""

    async def work(database: Database, _: Settings) -> list[Any]:
        return list(await TENANCY.provider_apps(database, provider="", after=None, limit=10_000))

    _show("Provider apps", ("id", "provider", "environment", "name"), _run(work))


@_claim.command("list")
def claim_list() -> None:
    """List all store claims; those without a proof do not route yet."""

    async def work(database: Database, _: Settings) -> list[Any]:
        return list(await PLACES.all_claims(database, after=None, limit=10_000))

    _show("Store claims", ("id", "tenant", "provider", "connection", "store_ref", "proof", "proven_at"), _run(work))


@_claim.command("approve")
def claim_approve(claim: Annotated[str, typer.Argument(help="Id of the claim.")]) -> None:
    """Prove a claim by hand: from now on the store's events go to its connection."""

    async def work(database: Database, _: Settings) -> bool:
        row = await PLACES.any_claim(database, id=claim)
        if row is None:
            raise Unknown(f"store claim {claim}")
        async with database.tenant(row["tenant"]) as transaction:
            return await approve_claim(transaction, claim, actor=ACTOR)

    if not _run(work):
        _fail("another proven claim holds this store: it stands")
    typer.echo("proven")
