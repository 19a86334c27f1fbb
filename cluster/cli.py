"""The `hub` command."""

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hub.settings import Settings, SettingsError

app = typer.Typer(help="Self-hosted hub between POS systems and delivery platforms.", no_args_is_help=True, add_completion=False)
err = Console(stderr=True)


@app.callback()
def logs() -> None:
    """Self-hosted hub between POS systems and delivery platforms."""
    # Standard output is for what a command prints: logs go to standard error.
    from hub.observe import configure_logging

    configure_logging("warning")


def say(text: str) -> None:
    """Tell of progress on standard error."""
    err.print(f"[dim]·[/dim] {text}")


def settings_or_exit() -> Settings:
    """Load settings; ends with a clear message when they are wrong."""
    try:
        return Settings.load()
    except SettingsError as error:
        err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error


def wait_for_signal(over: Callable[[], bool] = lambda: False) -> None:
    """Wait for Ctrl-C, SIGTERM, or until it is over otherwise; a second signal ends at once."""
    stop = threading.Event()

    def once(number: int, frame: object) -> None:
        if stop.is_set():
            sys.exit(130)
        stop.set()

    signal.signal(signal.SIGINT, once)
    signal.signal(signal.SIGTERM, once)
    while not stop.wait(0.5) and not over():
        pass


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="One order per linked pair, then exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object when ready.")] = False,
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8000,
) -> None:
    """Run everything on this machine: servers, simulated vendors, two demo restaurants, orders."""
    from cluster.demo import run_demo

    raise typer.Exit(run_demo(settings_or_exit(), once=once, as_json=as_json, port=port, say=say, wait=wait_for_signal))


@app.command()
def up() -> None:
    """Run the hub with your configuration, or embedded defaults."""
    from cluster.start import NotHere, leave
    from cluster.start import down as take_down
    from cluster.start import up as bring_up

    settings = settings_or_exit()
    try:
        running = bring_up(settings, say)
    except NotHere as error:
        err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
    err.print(f"[green]ready[/green]  API {running.settings.registered_url}/api/v1  docs {running.settings.registered_url}/api/v1/docs")
    if running.dashboard_url:
        err.print(f"       Ray dashboard {running.dashboard_url}")
    keeper = running.keeper
    leave(running.settings)
    wait_for_signal(lambda: keeper is not None and keeper.taken_down)
    if settings.ray_address:
        say("leaving the cluster running: `hub down` takes the hub away")
        return
    say("draining")
    take_down(running)


@app.command()
def down() -> None:
    """Drain owners and take the hub away; ends only what this hub started."""
    from cluster.start import Running, attach
    from cluster.start import down as take_down

    settings = settings_or_exit()
    attach(settings)
    take_down(Running(settings, ""))
    say("down")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Say what runs where."""
    from cluster.status import read_status

    found = read_status(settings_or_exit())
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table("what", "pid", "ports", "state")
    for row in found["processes"]:
        table.add_row(row["name"], str(row["pid"]), row["ports"], row["state"])
    Console().print(table)
    if found["nodes"]:
        from cluster.node_command import show

        show(found["nodes"])


@app.command()
def sandbox(port: int = 9100, host: str = "127.0.0.1") -> None:
    """Run the vendors' simulated side alone."""
    from adapters._sandbox.server import main

    main(["--host", host, "--port", str(port)])


@app.command()
def migrate() -> None:
    """Bring the schema up to date."""
    import asyncio

    from cluster.start import with_servers
    from hub.database.migrate import migrate as apply

    settings = with_servers(settings_or_exit(), say)
    applied = asyncio.run(apply(settings.admin_database_url or settings.database_url))
    print("\n".join(applied) if applied else "the schema is up to date")


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Check configuration, versions, limits and reachability, and say how to mend each finding."""
    from cluster.doctor import examine

    findings = examine(settings_or_exit())
    if as_json:
        print(json.dumps([finding.row() for finding in findings], indent=2))
    else:
        table = Table("", "check", "found", "to mend")
        for finding in findings:
            mark = {"ok": "[green]ok[/green]", "warn": "[yellow]!![/yellow]", "fail": "[red]no[/red]"}[finding.level]
            table.add_row(mark, finding.check, finding.found, finding.mend)
        Console().print(table)
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


@app.command()
def providers(
    slug: Annotated[str | None, typer.Argument()] = None,
    write: Annotated[Path | None, typer.Option(help="Write the pages of all providers into this folder instead.")] = None,
) -> None:
    """Show the capability and quality table, or one provider's page."""
    if write is not None:
        from cluster.provider_pages import write as write_pages
        from hub.contract import InstalledProviders

        say(f"{len(write_pages(InstalledProviders().all(), write))} pages written to {write}")
        return
    from cluster.providers import page, table

    Console().print(page(slug) if slug else table())


@app.command("new-adapter")
def new_adapter(
    slug: Annotated[str, typer.Argument(help="The short name in URLs: lower case letters, digits and dashes.")],
    kind: Annotated[str, typer.Option(help="pos or delivery.")],
    auth: Annotated[str, typer.Option(help="oauth2_cc, oauth2_code, static, password, signed_jwt or hmac.")],
) -> None:
    """Write the folder and the tests of a new adapter, in a clone of the repository."""
    from cluster.scaffold import ScaffoldError, new_adapter_in

    try:
        written = new_adapter_in(slug, kind, auth)
    except ScaffoldError as error:
        err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
    print("\n".join(written.files))
    say(f"next: ./scripts/test {written.tests}, then docs/adapters.md")


def main() -> None:
    """Run the command line."""
    from cluster.admin import admin
    from cluster.bench.command import bench
    from cluster.node_command import node

    app.add_typer(admin, name="admin")
    app.add_typer(node, name="node")
    app.add_typer(bench, name="bench")
    app()
