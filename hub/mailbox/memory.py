"""The mailbox in memory: the same turn as hub.owner_turn, for tests and for reading what a turn does in one page of Python."""

import base64
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hub.clock import utc_now
from hub.contract import Lane
from hub.mailbox.changes import (
    Changes,
    Dead,
    Finished,
    Later,
    NewAlert,
    NewEvent,
    OrderGuard,
    OrderInsert,
    OrderUpdate,
)
from hub.mailbox.claims import Attempt, Claim, OrderRow
from hub.mailbox.messages import NewMessage
from hub.mailbox.store import Activation, Item, Replaced, Turn

POISON_DEATHS = 3


@dataclass
class Message:
    """A message and where it stands; `resolution` "" while it is due, else how it left."""

    id: int
    new: NewMessage
    at: datetime
    available_at: datetime
    tries: int = 0
    claimed_epoch: int | None = None
    alone: bool = False
    suspect: bool = False
    deaths: int = 0
    state: str = "due"
    reason: str = ""

    @property
    def waits(self) -> bool:
        """Due, and nobody's."""
        return self.state == "due" and self.claimed_epoch is None


@dataclass
class Stored:
    """What all mailboxes of a tenant have stored."""

    clock: Callable[[], datetime] = utc_now
    messages: dict[int, Message] = field(default_factory=dict)
    facts: dict[tuple[str, str], int] = field(default_factory=dict)
    orders: dict[str, tuple[OrderRow, bytes, bytes]] = field(default_factory=dict)
    tombstones: set[tuple[str, str]] = field(default_factory=set)
    attempts: dict[tuple[str, str, str, int], Attempt] = field(default_factory=dict)
    events: list[NewEvent] = field(default_factory=list)
    alerts: dict[str, tuple[NewAlert, int]] = field(default_factory=dict)
    epochs: Counter[str] = field(default_factory=Counter)
    status: dict[str, str] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def put(self, *messages: NewMessage) -> list[str]:
        """Append messages, a fact once; returns the connections that got something new."""
        woken = []
        now = self.clock()
        for new in messages:
            key = (new.connection, new.dedupe_key)
            known = self.messages.get(self.facts.get(key, 0))
            if known is None:
                number = next(self.numbers)
                self.facts[key] = number
                self.messages[number] = Message(number, new, now, new.available_at or now)
                woken.append(new.connection)
            elif new.reopen and known.state == "dead":
                known.state, known.available_at, known.deaths = "due", now, 0
        return sorted(set(woken))

    def due(self) -> list[Message]:
        """Messages that have not ended, oldest first."""
        return [message for message in self.messages.values() if message.state == "due"]

    def dead(self) -> list[Message]:
        """Dead letters that nobody resolved."""
        return [message for message in self.messages.values() if message.state == "dead"]


class MemoryMailbox:
    """A `MailboxStore` over `Stored`. A turn has no await in it, so it is as whole as a transaction."""

    def __init__(self, stored: Stored | None = None) -> None:
        self.stored = stored or Stored()

    async def activate(self, tenant: str, connection: str, host: str, code_version: str, *, survivor: bool = False) -> Activation | None:
        """Raise the epoch; what the last owner held becomes suspect, what died alone three times becomes dead."""
        stored = self.stored
        stored.epochs[connection] += 1
        poison = []
        for message in stored.due():
            if message.new.connection == connection and message.claimed_epoch is not None:
                if not survivor:
                    message.deaths += message.alone
                    message.suspect = True
                message.claimed_epoch, message.alone = None, False
                if message.deaths >= POISON_DEATHS:
                    message.state, message.reason = "dead", "poison"
                    poison.append(message.id)
                    detail = "a message brought its owner down three times; replay or skip it"
                    self._alert(NewAlert(id=str(message.id), dedupe_key=f"poison/{message.id}", kind="message.dead",
                                         severity="critical", subject=message.new.subject, detail=detail))  # fmt: skip
        return Activation(stored.epochs[connection], 0, tuple(poison))

    async def release(self, tenant: str, connection: str, epoch: int) -> None:
        """Give claims back in peace."""
        for message in self.stored.due():
            if message.new.connection == connection and message.claimed_epoch == epoch:
                message.claimed_epoch, message.alone = None, False
                message.tries = max(0, message.tries - 1)

    async def clock_went_back(self, tenant: str, connection: str, epoch: int, seconds: float) -> None:
        """Bring back by so much what was put off."""
        now = self.stored.clock()
        for message in self.stored.due():
            if message.new.connection == connection and message.available_at > now:
                message.available_at = max(now, message.available_at - timedelta(seconds=seconds))

    async def turn(self, tenant: str, connection: str, epoch: int, items: Sequence[Item], room: int, held: Sequence[int]) -> Turn:
        """Fence, apply what finished, claim what is next."""
        stored = self.stored
        if stored.epochs[connection] != epoch:
            raise Replaced(f"the owner of {connection} with epoch {epoch} was replaced")
        now = stored.clock()
        inserted = {item.changes.order.platform_order_id for item in items if isinstance(item.changes.order, OrderInsert)}
        missed = {number for number, item in enumerate(items) if self._misses(connection, item.changes, inserted)}
        woken: set[str] = set()
        for item in items:
            self._close_attempts(connection, item.changes)
        for number, item in enumerate(items):
            message = stored.messages.get(item.message)
            if number not in missed:
                woken.update(self._apply(connection, epoch, item.changes, now))
                if message is not None:
                    self._end(message, item.changes, now)
            elif message is not None:
                message.claimed_epoch = None
        status = stored.status.get(connection, "active")
        claims, suspects = self._claim(connection, epoch, room if status == "active" else 0, bool(held), now)
        later = [m.available_at for m in stored.due() if m.new.connection == connection and m.waits and m.available_at > now]
        return Turn(
            missed=frozenset(missed),
            claims=tuple(claims),
            woken=tuple(sorted(woken)),
            now=now,
            next_due_at=min(later, default=None),
            status=status,
            suspects=suspects,
        )

    def _misses(self, connection: str, changes: Changes, inserted: set[str]) -> bool:
        order, stored = changes.order, self.stored
        if isinstance(order, OrderUpdate | OrderGuard):
            return order.id not in stored.orders or stored.orders[order.id][0].version != order.version
        if isinstance(order, OrderInsert):
            key = order.platform_order_id
            return (connection, key) in stored.tombstones or self._by_platform(connection, key) is not None
        if changes.tombstone is not None:
            return changes.tombstone in inserted or self._by_platform(connection, changes.tombstone) is not None
        return False

    def _by_platform(self, connection: str, key: str) -> OrderRow | None:
        rows = (row for row, _, _ in self.stored.orders.values())
        return next((r for r in rows if r.delivery_connection == connection and r.platform_order_id == key), None)

    def _close_attempts(self, connection: str, changes: Changes) -> None:
        for closed in changes.attempts_closed:
            key = (connection, closed.subject, closed.step, closed.generation)
            if key in self.stored.attempts:
                self.stored.attempts[key] = msgspec.structs.replace(
                    self.stored.attempts[key], outcome=closed.outcome, vendor_ref=closed.vendor_ref, data=closed.data
                )

    def _apply(self, connection: str, epoch: int, changes: Changes, now: datetime) -> list[str]:
        stored = self.stored
        if isinstance(changes.order, OrderInsert):
            stored.orders[changes.order.id] = _inserted(changes.order, connection)
        elif isinstance(changes.order, OrderUpdate):
            row, body, key = stored.orders[changes.order.id]
            stored.orders[row.id] = (_updated(row, changes.order), body, key)
        if changes.tombstone is not None:
            stored.tombstones.add((connection, changes.tombstone))
        for opened in changes.attempts_opened:
            self._open_attempt(connection, opened, now)
        stored.events.extend(changes.events)
        for alert in changes.alerts:
            self._alert(alert)
        for dedupe_key in changes.cleared:
            stored.alerts.pop(dedupe_key, None)
        if changes.connection is not None:
            stored.status[connection] = changes.connection.status
        return stored.put(*changes.messages)

    def _open_attempt(self, connection: str, opened: Any, now: datetime) -> None:
        key = (connection, opened.subject, opened.step, opened.generation)
        before = self.stored.attempts.get(key)
        request = base64.b64encode(opened.request).decode()
        if before is not None and opened.repeat != "natural":
            request = before.request
        self.stored.attempts[key] = Attempt(
            connection=connection, subject=opened.subject, step=opened.step, generation=opened.generation, repeat=opened.repeat,
            idempotency_key=opened.idempotency_key, request=request, sealed_with=opened.sealed_with,
            timeout_seconds=opened.timeout_seconds, started_at=now, first_started_at=before.first_started_at if before else now,
            sends=before.sends + 1 if before else 1, outcome=None, vendor_ref="", data={},
        )  # fmt: skip

    def _alert(self, alert: NewAlert) -> None:
        _, count = self.stored.alerts.get(alert.dedupe_key, (alert, 0))
        self.stored.alerts[alert.dedupe_key] = (alert, count + 1)

    def _end(self, message: Message, changes: Changes, now: datetime) -> None:
        match changes.end:
            case Finished():
                message.state, message.claimed_epoch = "done", None
            case Dead(reason=reason):
                message.state, message.reason, message.claimed_epoch = "dead", reason, None
            case Later(after=after, fresh=fresh):
                message.available_at = now + timedelta(seconds=max(0.0, after))
                message.claimed_epoch, message.alone, message.suspect = None, False, False
                message.tries = 0 if fresh else message.tries
                message.deaths = 0 if fresh or changes.attempts_closed else message.deaths
            case None if changes.attempts_closed:
                message.deaths = 0

    def _claim(self, connection: str, epoch: int, room: int, busy: bool, now: datetime) -> tuple[list[Claim], bool]:
        mine = [m for m in self.stored.due() if m.new.connection == connection]
        parked = {m.new.subject for m in self.stored.dead() if m.new.connection == connection and m.new.lane > Lane.CANCEL}
        heads: dict[str, int] = {}
        for message in mine:
            if message.new.lane > Lane.CANCEL:
                heads.setdefault(message.new.subject, message.id)
        free = [
            m for m in mine
            if m.waits and m.available_at <= now
            and (m.new.lane == Lane.CANCEL or (heads.get(m.new.subject) == m.id and m.new.subject not in parked))
        ]  # fmt: skip
        alone = any(m.suspect for m in free)
        if alone:
            room = 0 if busy else min(room, 1)
        chosen = sorted((m for m in free if m.suspect == alone), key=lambda m: (m.new.lane, m.available_at, m.id))[:room]
        for message in chosen:
            message.claimed_epoch, message.alone = epoch, alone
            message.tries += 1
        return [self._as_claim(connection, message) for message in sorted(chosen, key=lambda m: (m.new.lane, m.id))], alone

    def _as_claim(self, connection: str, message: Message) -> Claim:
        new, key = message.new, message.new.subject.partition("/")[2]
        found = self.stored.orders.get(key)
        for entry in self.stored.orders.values():
            row = entry[0]
            by_platform = row.delivery_connection == connection and row.platform_order_id == key
            if found is None and (by_platform or (row.pos_connection == connection and row.pos_order_id == key)):
                found = entry
        subjects = {new.subject} | ({f"{family}/{found[0].id}" for family in ("order", "cancel", "platform")} if found else set())
        return Claim(
            message=message.id, kind=new.kind, subject=new.subject, lane=int(new.lane), body=new.body, dedupe_key=new.dedupe_key,
            correlation=new.correlation, at=message.at, deadline_at=new.deadline_at, tries=message.tries, alone=message.alone,
            order=found[0] if found else None, order_body=found[1] if found else b"", consumer_key=found[2] if found else None,
            attempts=tuple(a for a in self.stored.attempts.values() if a.connection == connection and a.subject in subjects),
            tombstone=(connection, key) in self.stored.tombstones,
        )  # fmt: skip


def _inserted(order: OrderInsert, connection: str) -> tuple[OrderRow, bytes, bytes]:
    row = OrderRow(
        id=order.id, link=order.link, location=order.location, platform=order.platform, platform_order_id=order.platform_order_id,
        delivery_connection=connection, pos=order.pos, pos_connection=order.pos_connection, pos_order_id=None, state=order.state,
        version=1, generation=1, decision=order.decision, consumer=order.consumer, totals=order.totals,
        not_carried=order.not_carried, attention=order.attention, correlation=order.correlation, placed_at=order.placed_at,
        deadline_at=order.deadline_at,
    )  # fmt: skip
    return row, order.body, order.consumer_key


def _updated(row: OrderRow, update: OrderUpdate) -> OrderRow:
    names = ("state", "decision", "generation", "pos_order_id", "not_carried")
    changed: dict[str, Any] = {name: getattr(update, name) for name in names if getattr(update, name) is not None}
    if update.attention is not msgspec.UNSET:
        changed["attention"] = update.attention
    return msgspec.structs.replace(row, version=row.version + 1, **changed)
