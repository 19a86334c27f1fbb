"""Carry out a plan of vendor writes so that each happens once, whoever dies in between.

Before a write its attempt is committed with the exact request. An attempt found open is one whose outcome nobody knows: where the
vendor remembers our key, or the write only sets a state, the same bytes go again; elsewhere the hub waits until the write must have
ended and shown itself, looks for it by our reference, and only then sends again.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Literal, TypeVar

from hub.calls import TooOld, VendorClient
from hub.clock import monotonic
from hub.contract import AlreadyDone, Done, Drifted, OutcomeUnknown, Rejected, Repeat, Request, RetryLater, Step
from hub.contract.capabilities import Adapter
from hub.mailbox.changes import AttemptClosed, AttemptOpened, Changes, OrderGuard
from hub.mailbox.claims import Attempt, freeze, thaw
from hub.ownership.owner import Desk
from hub.vault import DataKey

R = TypeVar("R")


class Unresolvable(Exception):
    """A write may have happened and the vendor offers no way to find out: a person must look."""


Outcome = Literal["done", "refused", "not_sent"]
Find = Callable[[str, datetime], Awaitable[Done | None]]


class Effects:
    """The writes of one message. `subject` joins the attempts of an order at one connection."""

    def __init__(
        self,
        *,
        desk: Desk,
        adapter: Adapter,
        client: VendorClient,
        tenant: str,
        connection: str,
        subject: str,
        key: DataKey,
        generation: int = 1,
        guard: OrderGuard | None = None,
        order_id: str | None = None,
        visibility_lag: float = 0.0,
    ) -> None:
        self._desk, self._adapter, self._client = desk, adapter, client
        self._tenant, self._connection, self._subject = tenant, connection, subject
        self._key, self._generation, self._guard, self._order_id = key, generation, guard, order_id
        self._lag = visibility_lag
        mine = [a for a in desk.claim.attempts if a.subject == subject and a.generation == generation]
        self.done: dict[str, Done] = {a.step: a.done() for a in mine if a.outcome == "done"}
        self._left: dict[str, Attempt] = {a.step: a for a in mine if a.outcome in (None, "not_sent")}

    @property
    def may_be_there(self) -> bool:
        """Tell whether any write was done or may have been done."""
        return bool(self.done) or any(a.outcome is None for a in self._left.values())

    async def run(self, plan: Callable[[Mapping[str, Done]], Awaitable[Step | R]], find: Find | None = None) -> R:
        """Ask the plan for steps and carry them out until it answers with a result.

        Raises the vendor's error when a step is refused, RetryLater while an outcome cannot be known yet, Superseded when the
        order moved on before a write, Unresolvable when nothing can tell.
        """
        while True:
            step = await plan(self.done)
            if not isinstance(step, Step):
                return step
            self.done[step.name] = await self._carry_out(step, find)

    async def perform(self, step: Step) -> Done:
        """Carry out a single step."""
        if step.name not in self.done:
            self.done[step.name] = await self._carry_out(step, None)
        return self.done[step.name]

    async def _carry_out(self, step: Step, find: Find | None) -> Done:
        left = self._left.pop(step.name, None)
        request = step.request
        # What only sets a state is built anew: it may carry the vendor's version of the thing, which moves on.
        if left is not None and step.repeat is not Repeat.NATURAL:
            request = self._thaw(left)
            if left.outcome is None and step.repeat in (Repeat.LOOKUP, Repeat.NEVER):
                found = await self._look_up(step, left, find)
                if found is not None:
                    self._close(step, "done", found)
                    return found
        # Counted from before the commit: a process that was stopped while it waited for it must find itself too old.
        not_after = monotonic() + request.timeout
        await self._open(step, request)
        self._desk.lifetimes.sending(self._subject, step.name, self._generation)
        try:
            response = await self._client.send(request, not_after=not_after)
        except AlreadyDone:
            # It was settled before, by us or otherwise: whoever cares looks on what.
            settled = Done(data={"settled": True})
            self._close(step, "done", settled)
            return settled
        except TooOld as error:
            raise RetryLater("the attempt grew too old before it was sent") from error
        except RetryLater as error:
            # Definite: the vendor did nothing. The same bytes go again.
            self._close(step, "not_sent", Done(), str(error))
            raise
        except Rejected as error:
            self._close(step, "refused", Done(), f"{error} {error.code}".strip())
            raise
        except OutcomeUnknown as error:
            raise self._unknown(step, request, str(error)) from error
        try:
            done = self._adapter.read_step(step.name, response)
        except Drifted as error:
            # It answered 2xx, so it may well have happened; what came back does not say.
            raise self._unknown(step, request, f"an answer that cannot be read: {error}") from error
        self._close(step, "done", done)
        return done

    def _unknown(self, step: Step, request: Request, why: str) -> OutcomeUnknown | RetryLater:
        if step.repeat in (Repeat.LOOKUP, Repeat.NEVER):
            return RetryLater(f"{step.name}: outcome unknown ({why})", after=request.timeout + self._lag)
        return OutcomeUnknown(f"{step.name}: outcome unknown ({why})")

    async def _look_up(self, step: Step, left: Attempt, find: Find | None) -> Done | None:
        shown = left.timeout_seconds + self._lag
        # The database's clock may have been set meanwhile: what this owner has lived through is believed before it.
        lived = self._desk.lifetimes.age(self._subject, step.name, self._generation)
        wait = shown - min(lived, (self._desk.now() - left.started_at).total_seconds())
        if wait > 0:
            raise RetryLater(f"{step.name}: waiting until the vendor must show it", after=min(wait, shown))
        if step.repeat is Repeat.NEVER or find is None:
            raise Unresolvable(f"{step.name} may have happened and {self._connection} offers no way to find out")
        return await find(step.name, left.first_started_at)

    async def _open(self, step: Step, request: Request) -> None:
        sealed = self._key.seal(freeze(request), self._tenant, "attempts", self._connection, self._subject, step.name)
        opened = AttemptOpened(
            subject=self._subject,
            step=step.name,
            generation=self._generation,
            order_id=self._order_id,
            repeat=step.repeat.value,
            idempotency_key=step.idempotency_key,
            request=sealed,
            sealed_with=self._key.key_id,
            timeout_seconds=request.timeout,
        )
        closed = tuple(self._desk.closed)
        self._desk.closed.clear()
        await self._desk.commit(Changes(end=None, order=self._guard, attempts_opened=(opened,), attempts_closed=closed))

    def _thaw(self, left: Attempt) -> Request:
        return thaw(self._key.open(left.sealed_request(), self._tenant, "attempts", self._connection, self._subject, left.step))

    def _close(self, step: Step, outcome: Outcome, done: Done, detail: str = "") -> None:
        self._desk.lifetimes.settled(self._subject, step.name, self._generation)
        self._desk.closed.append(
            AttemptClosed(
                subject=self._subject,
                step=step.name,
                generation=self._generation,
                outcome=outcome,
                vendor_ref=done.vendor_ref,
                data=done.data,
                detail=detail[:500],
            )
        )
