"""The owners seam over Ray says something about every read, whatever becomes of the actor."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from hub.extras.answers import Answer, given, read_answer


async def asked(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Awaitable[bytes]] | None) -> Answer:
    """What a read of an actor gives that answers so, or that is not there."""
    # Not at the top: Ray reads its environment when it is first imported, and tests of a whole hub must have set it before.
    from actors import owners

    def find(name: str, namespace: str) -> Any:
        if answer is None:
            raise ValueError(f"no actor {name} in {namespace}")
        return SimpleNamespace(extra=SimpleNamespace(remote=lambda *_: answer()))

    monkeypatch.setattr(owners.ray, "get_actor", find)
    return read_answer(await owners.RayOwners().extra("con_x", "counts", b"{}"))


async def test_the_owners_answer_comes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes out of the actor."""

    async def answer() -> bytes:
        return given([1]).encode()

    found = await asked(monkeypatch, answer)
    assert (found.ok, bytes(found.result)) == (True, b"[1]")


async def test_an_actor_that_is_not_there_or_dies_is_no_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep finds such an actor; who reads is told to try again."""

    async def die() -> bytes:
        raise RuntimeError("the actor died")

    assert [(await asked(monkeypatch, actor)).error for actor in (None, die)] == ["NoOwner", "NoOwner"]


async def test_an_actor_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment after the owner itself would have given up."""
    from actors import owners

    monkeypatch.setattr(owners, "EXTRA_SECONDS", -1.95)

    async def silence() -> bytes:
        await asyncio.sleep(60)
        return b""

    assert (await asked(monkeypatch, silence)).error == "TooSlow"


async def test_hints_for_one_host_are_one_call_and_hosts_are_asked_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process hosts many connections, the actor has the host's name; who has no known host is tried by its own."""
    from actors import owners

    called: list[tuple[str, tuple[str, ...]]] = []
    asked: list[list[str]] = []

    def actor(name: str, namespace: str) -> Any:
        return SimpleNamespace(wake=SimpleNamespace(remote=lambda *connections: called.append((name, connections))))

    async def find(connections: Any) -> dict[str, str]:
        asked.append(sorted(connections))
        return {connection: "hosts-0001" for connection in connections if connection != "con_c"}

    monkeypatch.setattr(owners.ray, "get_actor", actor)
    found = owners.RayOwners(find)
    found.wake(["con_a", "con_b", "con_c"])
    await asyncio.sleep(0.05)
    found.wake(["con_b"])
    await asyncio.sleep(0.05)
    assert sorted((name, sorted(connections)) for name, connections in called) == [
        ("con_c", ["con_c"]), ("hosts-0001", ["con_a", "con_b"]), ("hosts-0001", ["con_b"]),
    ]  # fmt: skip
    assert asked == [["con_a", "con_b", "con_c"]]


async def test_while_the_head_is_away_known_actors_are_still_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking a name up hangs without Ray's head: what was known is used, one look-up waits, and other threads stay free."""
    from actors import owners

    away, asked, woken = threading.Event(), [], []

    def find(name: str, namespace: str) -> Any:
        asked.append(name)
        if len(asked) > 1:
            away.wait(20)
        return SimpleNamespace(wake=SimpleNamespace(remote=lambda *connections: woken.append(connections)))

    async def hosts(connections: Collection[str]) -> Mapping[str, str]:
        return dict.fromkeys(connections, "host")

    monkeypatch.setattr(owners.ray, "get_actor", find)
    monkeypatch.setattr(owners, "FORGET_SECONDS", 0.0)
    monkeypatch.setattr(owners, "ASK_SECONDS", 0.05)
    ours = owners.RayOwners(hosts)
    try:
        for count in range(1, 12):
            ours.wake([f"con_{count}"])
            async with asyncio.timeout(5):
                while len(woken) < count:
                    await asyncio.sleep(0.005)
        assert len(asked) == 2
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
    finally:
        away.set()
