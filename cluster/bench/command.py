"""`hub bench …`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cluster.bench.faults.plan import KINDS
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


def _generated(measure: Callable[..., dict[str, Any]], settings: Any, **options: Any) -> dict[str, Any]:
    from cluster.bench.load import NoGenerator

    try:
        return measure(settings, _say, **options)
    except NoGenerator as error:
        err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error


def _judged(found: dict[str, Any], as_json: bool, title: str) -> None:
    _show(found, as_json, title)
    if found["void"]:
        err.print(f"[red]void: {found['void']}[/red]")
    if not found["good"]:
        raise typer.Exit(1)


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
    from cluster.bench.ingest import bench_ingest
    from hub.settings import Settings

    found = _generated(bench_ingest, Settings.load(), seconds=seconds, rounds=rounds, sockets=sockets, versus=vs, versus_secret=vs_secret)
    _judged(found, as_json, "ingest")


@bench.command()
def read(
    as_json: Json = False,
    seconds: int = 10,
    rounds: int = 3,
    sockets: int = 64,
    count: Annotated[int, typer.Option(help="How many orders there are to read.")] = 1000,
    vs: Annotated[str, typer.Option(help="Root URL of another server, measured in alternation.")] = "",
    vs_secret: Annotated[str, typer.Option(help="The secret that its webhooks are signed with.")] = "",
) -> None:
    """Authenticated reads of single orders a second."""
    from cluster.bench.read import bench_read
    from hub.settings import Settings

    found = _generated(
        bench_read, Settings.load(), seconds=seconds, rounds=rounds, sockets=sockets, count=count, versus=vs, versus_secret=vs_secret
    )
    _judged(found, as_json, "read")


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
    minutes: Annotated[float | None, typer.Option(help="How long orders come in; --orders is then minutes times rate.")] = None,
    orders: Annotated[int | None, typer.Option(help="How many orders; 1,000 when nothing says otherwise.")] = None,
    rate: Annotated[float | None, typer.Option(help="Orders a second; 12 when nothing says otherwise.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed plans the same faults.")] = 1,
    pairs: Annotated[bool, typer.Option("--pairs", help="Every POS with every platform, instead of one pair.")] = False,
    only: Annotated[str, typer.Option(help="Components to harm, by commas; all of them otherwise.")] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Print what would happen when, and end.")] = False,
    journal: Annotated[Path | None, typer.Option(help="Where to write what was done; the hub then outlives an interruption.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the campaign of this journal, or check what it placed.")] = None,
) -> None:
    """Orders under vendor faults while every component is killed and stopped in turn; every order is then accounted for."""
    from cluster.bench.faults import Wanted, bench_faults, default_components, make_plan, resume_faults
    from hub.settings import Settings

    chosen = tuple(part for part in only.split(",") if part)
    if unknown := [part for part in chosen if part not in KINDS]:
        raise typer.BadParameter(f"no component {', '.join(unknown)}; there are: {', '.join(KINDS)}")
    rate = rate or (orders / (minutes * 60) if orders and minutes else 12.0)
    wanted = Wanted(orders=orders or int((minutes or 0) * 60 * rate) or 1000, rate=rate, seed=seed, only=chosen, pairs=pairs)
    if plan:
        for fault in make_plan(seed, wanted.seconds, chosen or default_components(Settings.load(), _say)):
            print(fault)
        return
    try:
        found = resume_faults(_say, resume) if resume else bench_faults(Settings.load(), _say, wanted, journal)
    except LookupError as error:
        err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
    _show(found, as_json, "faults")
    if not found["good"]:
        raise typer.Exit(1)


@bench.command()
def stream(
    as_json: Json = False,
    sockets: int = 7500,
    events: Annotated[int, typer.Option(help="Events whose way to all sockets is timed.")] = 20,
    kill: Annotated[
        str, typer.Option(help="Cut all sockets: by the death of `replica` or `haproxy`, a `reload` of HAProxy, or a `drain`.")
    ] = "",
    rate: Annotated[float, typer.Option(help="Events a second to all sockets while clients are cut and come back.")] = 1.0,
) -> None:
    """WebSockets held: what each costs, how soon an event is at all of them, and how their clients come back."""
    from typing import cast, get_args

    from cluster.bench.stream import Kill, bench_stream
    from hub.settings import Settings

    if kill not in get_args(Kill):
        raise typer.BadParameter("replica, haproxy, reload or drain", param_hint="--kill")
    found = bench_stream(Settings.load(), _say, sockets=sockets, events=events, kill=cast("Kill", kill), rate=rate)
    _show(found, as_json, "stream")
    told = found.get("kill", {"missed": 0, "repeated": 0})
    if found["void"] or told["missed"] or told["repeated"]:
        raise typer.Exit(1)


@bench.command()
def history(
    as_json: Json = False,
    rows: Annotated[str, typer.Option(help="Sizes of the history, in messages; separated by commas.")] = "10000,5000000",
    repeats: Annotated[int, typer.Option(help="How often each query is asked; the median counts.")] = 30,
) -> None:
    """What the hot queries cost as history grows; 5 million rows take a few minutes and 10 GB."""
    from cluster.bench.history import bench_history

    try:
        sizes = [int(part.replace("_", "")) for part in rows.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1000:
        err.print("[red]--rows wants whole numbers from 1000 on, such as 10000,5000000[/red]")
        raise typer.Exit(2)
    _show(bench_history(_say, rows=sizes, repeats=repeats), as_json, "history")


@bench.command()
def actors(
    as_json: Json = False,
    connections: int = 5000,
    per_actor: Annotated[int, typer.Option(help="Connections a process of the packed crowd.")] = 500,
    singles: Annotated[int, typer.Option(help="Connections beside them with a process each.")] = 10,
    seconds: Annotated[float, typer.Option(help="How long each crowd is watched while it is idle.")] = 10.0,
    passive_after: Annotated[float, typer.Option(help="HUB_PASSIVE_AFTER_SECONDS of this run.")] = 5.0,
) -> None:
    """Idle connections: start, memory and CPU of each, packed and one a process; activation and passivation."""
    from cluster.bench.actors import bench_actors
    from hub.settings import Settings

    found = bench_actors(
        Settings.load(),
        _say,
        connections=connections,
        per_actor=per_actor,
        singles=singles,
        seconds=seconds,
        passive_after=passive_after,
    )
    _show(found, as_json, "actors")


@bench.command()
def failover(
    as_json: Json = False,
    rounds: int = 8,
    connections: int = 1,
    per_actor: int = 1,
) -> None:
    """From kill -9 of an owner's process until its next message is handled."""
    from cluster.bench.failover import bench_failover
    from hub.settings import Settings

    found = bench_failover(Settings.load(), _say, rounds=rounds, connections=connections, per_actor=per_actor)
    _show(found, as_json, "failover")


@bench.command(name="all")
def everything(
    as_json: Json = False,
    vs: Annotated[str, typer.Option(help="Root URL of another server, which ingest and read are held against.")] = "",
    vs_secret: Annotated[str, typer.Option(help="The secret that its webhooks are signed with.")] = "",
    seconds: Annotated[float, typer.Option(help="How long orders come in, in each of the three runs with orders.")] = 60,
) -> None:
    """One benchmark after another, and which bars were met."""
    from cluster.bench.everything import bench_all

    found = bench_all(_say, versus=vs, versus_secret=vs_secret, seconds=seconds)
    if as_json:
        _show(found, as_json, "all")
    else:
        table = Table("bar", "found", "met", title="all")
        for bar in found["bars"]:
            table.add_row(bar["bar"], str(bar["found"]), {True: "yes", False: "no", None: bar.get("void") or "not told"}[bar["met"]])
        Console(file=reserve_stdout()).print(table)
    if not found["good"]:
        raise typer.Exit(1)
