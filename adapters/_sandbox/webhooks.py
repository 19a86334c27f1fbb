"""Send a vendor's webhooks: signed its way, repeated on its schedule, and told to misbehave by the fault switches."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from adapters._sandbox.faults import Faults
from adapters._sandbox.http_client import Client

_AT_ONCE = 32


@dataclass(frozen=True)
class Event:
    """A webhook to send: where to, its bytes, the secret that signs it, and what it is about (for the fault switches)."""

    url: str
    secret: str
    body: bytes
    kind: str
    subject: str
    method: str = "POST"


@dataclass(frozen=True)
class Attempt:
    """One sending of an event: `number` 0 is the first; `reason` says why the one before failed."""

    event: Event
    number: int
    first_at: float
    reason: str


class Wire(Protocol):
    """What a vendor says about its webhooks."""

    webhook_timeout: float
    webhook_schedule: tuple[float, ...]

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        """The headers of one sending, signature included."""
        ...

    def webhook_failed(self, status: int) -> bool:
        """Tell whether the vendor sends again after this answer."""
        ...

    def webhook_answered(self, event: Event, status: int, body: bytes) -> None:
        """Take in what the receiver answered, where the vendor reads it."""
        ...


class Sender:
    """Deliver events in the background; a slow or dead receiver holds up nothing but its own events.

    The vendor's schedule is in seconds and multiplied by `scale`.
    """

    def __init__(self, wire: Wire, faults: Faults, scale: float) -> None:
        self.scale = scale
        self.counts: Counter[str] = Counter()
        self.given_up_on: list[Event] = []
        self._wire = wire
        self._faults = faults
        self._client = Client()
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    def send(self, event: Event) -> None:
        """Send an event now, or as the fault switches will have it: late, twice or not at all."""
        ordinal = self._faults.ordinal(f"webhook.{event.kind}", event.subject)
        about = (f"webhook.{event.kind}", event.subject, ordinal)
        if self._faults.hits("drop_webhooks", *about):
            self.counts["dropped"] += 1
            return
        delay = 0.0
        if self._faults.hits("reorder_webhooks", *about):
            self.counts["reordered"] += 1
            delay = 0.25 + 1.75 * self._faults.roll("reorder_delay", *about)
        self._start(event, delay)
        if self._faults.hits("duplicate_webhooks", *about):
            self.counts["duplicated"] += 1
            self._start(event, delay + self._faults.roll("duplicate_delay", *about))

    def _start(self, event: Event, delay: float) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(event, delay))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver(self, event: Event, delay: float) -> None:
        if delay:
            await asyncio.sleep(delay)
        first_at, reason = time.time(), ""
        for number in range(len(self._wire.webhook_schedule) + 1):
            async with self._gate:
                reason = await self._post(Attempt(event, number, first_at, reason))
            if not reason:
                self.counts["delivered"] += 1
                return
            if number < len(self._wire.webhook_schedule):
                await asyncio.sleep(self._wire.webhook_schedule[number] * self.scale)
        self.counts["given_up"] += 1
        self.given_up_on.append(event)

    async def _post(self, attempt: Attempt) -> str:
        """Send once; why it has to be sent again, or an empty text."""
        self.counts["sends"] += 1
        event = attempt.event
        headers = {"Content-Type": "application/json", **self._wire.webhook_headers(attempt)}
        try:
            answer = await self._client.send(event.method, event.url, headers, event.body, seconds=self._wire.webhook_timeout)
        except TimeoutError:
            return "http_timeout"
        except (OSError, ValueError):
            return "other_error"
        self._wire.webhook_answered(event, answer.status, answer.body)
        return "http_error" if self._wire.webhook_failed(answer.status) else ""

    def forget(self) -> None:
        """Drop what waits to be sent or sent again, the counts, and what was given up on."""
        for task in self._running:
            task.cancel()
        self.counts.clear()
        self.given_up_on.clear()

    async def close(self) -> None:
        """Stop sending and close the connections."""
        self.forget()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._client.close()
