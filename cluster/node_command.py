"""`hub node …`: further machines for one hub."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from hub.settings import Settings, SettingsError

node = typer.Typer(name="node", help="Further machines for one hub: invite, join, drain, take away.", no_args_is_help=True)
err = Console(stderr=True)


def _say(text: str) -> None:
    err.print(f"[dim]·[/dim] {text}")


def _fail(message: str) -> NoReturn:
    err.print(f"[red]{message}[/red]")
    raise typer.Exit(1)


def _settings() -> Settings:
    try:
        return Settings.load()
    except SettingsError as error:
        _fail(str(error))


def _gcs(settings: Settings) -> Any:
    from actors.nodes import Gcs
    from cluster.ray_environment import ray_environment
    from cluster.start import head_of

    os.environ.update(ray_environment(settings))
    head = head_of(settings)
    if not head:
        _fail("no hub runs here: use this on the head, or on a node")
    return Gcs(head)


@node.command()
def invite(file: Annotated[Path, typer.Argument(help="Where to write it; readable by you alone.")]) -> None:
    """Write what a new node needs, on the head: bring the file there by a safe way, and delete it when the node has joined."""
    from cluster.node import invite as write
    from cluster.start import NotHere, with_servers

    settings = _settings()
    try:
        write(settings, with_servers(settings, lambda _: None), file)
    except (NotHere, OSError) as error:
        _fail(str(error))
    _say(f"{file} holds secrets. On the new machine: HUB_NODE_ADDRESS=<its address> hub node join --from {file.name}")


@node.command()
def join(
    file: Annotated[Path | None, typer.Option("--from", help="The file of `hub node invite`; else the environment says it all.")] = None,
) -> None:
    """Be a node until Ctrl-C or SIGTERM, which drain it first, or until it was drained."""
    from cluster.cli import wait_for_signal
    from cluster.node import join as be_node
    from cluster.node import read_invitation
    from cluster.ray_cluster import RayFailed
    from cluster.start import NotHere

    try:
        if file is not None:
            os.environ.update({**read_invitation(file), **{k: v for k, v in os.environ.items() if k.startswith("HUB_")}})
        emptied = be_node(_settings(), _say, wait_for_signal)
    except (NotHere, RayFailed, OSError) as error:
        _fail(str(error))
    _say("left" if emptied else "left before everything had moved: the others take over")


@node.command()
def drain(
    address: Annotated[str, typer.Argument(help="Address or id of the node; this machine's when none is given.")] = "",
    seconds: Annotated[float, typer.Option(help="How long it may take.")] = 120.0,
) -> None:
    """Move everything off a node, without losing or doubling an order, and let it end."""
    from actors.nodes import Unreachable
    from cluster.node import drain as empty
    from cluster.start import NotHere

    settings = _settings()
    try:
        gone = empty(_gcs(settings), address or settings.node_address, seconds, _say)
    except (NotHere, Unreachable) as error:
        _fail(str(error))
    if not gone:
        _fail(f"not empty after {seconds:.0f} s: what is left moves when the node is taken away")
    _say("drained: the node has left")


@node.command()
def leave() -> None:
    """Drain this machine and end its part of the cluster."""
    from actors.nodes import Unreachable
    from cluster.keeper import TAKEN_DOWN
    from cluster.node import DRAIN_SECONDS
    from cluster.node import drain as empty
    from cluster.ray_cluster import stop_ray
    from cluster.start import NotHere

    settings = _settings()
    if not settings.head_address:
        _fail("this machine is no further node: `hub down` ends a head")
    try:
        empty(_gcs(settings), settings.node_address, DRAIN_SECONDS, _say)
    except (NotHere, Unreachable) as error:
        _say(f"{error}; ending this node without it")
    (settings.home / TAKEN_DOWN).touch()
    stop_ray(settings.home)
    _say("left")


@node.command("list")
def list_nodes(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show the living nodes."""
    import msgspec

    from actors.nodes import Unreachable

    try:
        found = _gcs(_settings()).nodes()
    except Unreachable as error:
        _fail(str(error))
    if as_json:
        print(json.dumps(msgspec.to_builtins(found), indent=2))
        return
    show(msgspec.to_builtins(found))


def show(nodes: list[dict[str, Any]]) -> None:
    """Print nodes as a table."""
    table = Table("address", "id", "part", "state")
    for each in nodes:
        part, state = "head" if each["head"] else "node", "draining" if each["draining"] else "in service"
        table.add_row(each["address"], each["id"][:12], part, state)
    Console().print(table)
