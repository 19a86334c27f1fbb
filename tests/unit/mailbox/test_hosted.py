"""A connection's slot in its host: where it goes when its owner ends."""

import asyncio
from typing import Any

from hub.mailbox.store import Activation
from hub.ownership.hosted import Hosted


class Scripted:
    """An owner that ends as it is told."""

    turns = handled = cut = held = 0
    epoch = 3
    next_due: float | None = None

    def __init__(self, status: str, *, woken: bool = False) -> None:
        self.status, self.woken = status, woken

    async def run(self) -> None:
        if self.status == "error":
            raise RuntimeError("a bug")

    def wake(self) -> None:
        self.woken = True


def slot(*owners: Scripted) -> tuple[Hosted, list[Activation], list[str]]:
    """A slot that gets these owners one after the other, the activations they got, and what was given up."""
    left, activations, gone = list(owners), list[Activation](), list[str]()

    def make(hosted: Hosted, activation: Activation) -> Any:
        activations.append(activation)
        return left.pop(0)

    hosted = Hosted("ten", "con", "square", Activation(3, 0, (), True), make, lambda hosted: gone.append(hosted.connection))
    return hosted, activations, gone


async def test_a_hint_in_the_last_moment_before_passive_makes_active_again() -> None:
    """The owner had decided to rest when the hint came: no turn answered it, so another owner does."""
    hosted, activations, gone = slot(Scripted("passive", woken=True), Scripted("passive"))
    hosted.wake()
    await asyncio.sleep(0.01)
    assert activations == [Activation(3, 0, (), True), Activation(3, 0, ())]
    assert (hosted.active, gone) == (False, [])


async def test_an_owner_that_was_replaced_or_failed_gives_its_connection_up() -> None:
    """Its host forgets it, and takes it anew only if it is still given to it."""
    for status in ("replaced", "error"):
        hosted, _, gone = slot(Scripted(status))
        hosted.wake()
        await asyncio.sleep(0.01)
        assert gone == ["con"]


async def test_a_stopped_slot_is_not_woken() -> None:
    """After a stop neither hint nor timer makes an owner."""
    hosted, activations, _ = slot()
    hosted.due_in(0.01)
    hosted.stop()
    hosted.wake()
    await asyncio.sleep(0.05)
    assert activations == []
