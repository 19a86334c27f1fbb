"""`hub bench …`."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cluster.output import reserve_stdout

bench = typer.Typer(help="Measure the hub on this machine, against something in the same run.", no_args_is_help=True)
err = Console(stderr=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def _say(text: str) -> None:
    reserve_stdout()
    err.print(f"[dim]·[/dim] {text}")


def _show(result: dict[str, Any], as_json: bool, title: str) -> None:
    if as_json:
        print(json.dumps(result, indent=2), file=reserve_stdout(), flush=True)
        return
    table = Table("figure", "value", title=title)
    for name, value in result.items():
        table.add_row(name, json.dumps(value) if isinstance(value, dict | list) else str(value))
    Console(file=reserve_stdout()).print(table)


@bench.command()
def ingest(
    as_json: Json = False,
    seconds: int = 10,
    rounds: int = 3,
    sockets: int = 64,
    vs: Annotated[str, typer.Option(help="Root URL of another server, measured in alternation.")] = "",
    vs_secret: Annotated[str, typer.Option(help="The secret that its webhooks are signed with.")] = "",
) -> None:
    """Signed webhooks stored and acknowledged a second."""
    from cluster.bench.ingest import NoGenerator, bench_ingest
    from hub.settings import Settings

    try:
        found = bench_ingest(Settings.load(), _say, seconds=seconds, rounds=rounds, sockets=sockets, versus=vs, versus_secret=vs_secret)
    except NoGenerator as error:
        err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
    _show(found, as_json, "ingest")


@bench.command()
def orders(
    as_json: Json = False,
    seconds: Annotated[float, typer.Option(help="Place orders for so long.")] = 0.0,
    count: Annotated[int, typer.Option(help="Place so many orders; 2000 when no --seconds are given.")] = 0,
    rate: Annotated[float, typer.Option(help="Orders a second; 0 keeps --in-flight orders under way.")] = 0.0,
    in_flight: Annotated[int, typer.Option("--in-flight", help="Orders of each link that are under way at once, without a --rate.")] = 64,
    links: Annotated[int, typer.Option(help="How many linked pairs take part, each with a tenant of its own.")] = 1,
) -> None:
    """Orders from a platform's webhook to the POS and back to the platform."""
    from cluster.bench.orders import Load, bench_orders
    from hub.settings import Settings

    if seconds <= 0 and count <= 0:
        count = 2000
    load = Load(rate=rate, in_flight=0 if rate else in_flight * links, seconds=seconds, count=count)
    found = bench_orders(Settings.load(), _say, load=load, links=links)
    _show(found, as_json, "orders")
    for reason in found["void"]:
        err.print(f"[yellow]void:[/yellow] {reason}: this says nothing about the hub")
    if not found["good"] or found["void"]:
        raise typer.Exit(1 if not found["good"] else 3)


@bench.command()
def faults(
    as_json: Json = False,
    orders: int = 1000,
    rate: Annotated[float, typer.Option(help="Orders a second.")] = 20.0,
    seed: Annotated[int, typer.Option(help="The same seed misbehaves the same way.")] = 1,
    pairs: Annotated[bool, typer.Option("--pairs", help="Every POS with every platform, instead of one pair.")] = False,
) -> None:
    """Orders under vendor faults while owners are killed; every order is then counted on both sides."""
    from cluster.bench.faults import bench_faults
    from hub.settings import Settings

    found = bench_faults(Settings.load(), _say, orders=orders, rate=rate, seed=seed, pairs=pairs)
    _show(found, as_json, "faults")
    if not found["good"]:
        raise typer.Exit(1)
