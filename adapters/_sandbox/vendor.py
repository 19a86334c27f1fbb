"""The base of a vendor's simulated side: its journal, its faults, its webhooks, and what the control API may ask of it."""

import asyncio
import hashlib
import os
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from adapters._sandbox.calls import Answer, BadBody, Call, ControlError, Json, Refused, Route, Router, timestamp
from adapters._sandbox.faults import Faults
from adapters._sandbox.webhooks import Attempt, Event, Sender

Failure = Literal["error", "rate_limited", "token_expired", "token_revoked", "not_found", "bad_body"]

_REJECTED_KEPT = 20_000


class Ids:
    """Make identifiers: unpredictable ones, or the same ones in every run that names a seed."""

    def __init__(self, seed: str | None = None) -> None:
        self._secret = os.urandom(16) if seed is None else seed.encode()
        self._count = 0

    def _bytes(self) -> bytes:
        self._count += 1
        return hashlib.blake2b(self._count.to_bytes(8), key=self._secret, digest_size=32).digest()

    def uuid(self) -> str:
        """The next UUID (version 4 in form)."""
        return str(uuid.UUID(bytes=self._bytes()[:16], version=4))

    def text(self, length: int, alphabet: str = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789") -> str:
        """The next text of so many signs (at most 32)."""
        return "".join(alphabet[byte % len(alphabet)] for byte in self._bytes()[:length])


class Sandbox(ABC):
    """A vendor's simulated side. Calls are handled one at a time and to the end, so that their effects are atomic.

    What others hold (credentials, tokens, webhook addresses) outlives a reset; everything else goes back to the start.
    """

    slug: ClassVar[str]
    kind: ClassVar[Literal["pos", "delivery"]]
    webhook_timeout: float = 10
    webhook_schedule: tuple[float, ...] = ()
    default_settings: ClassVar[dict[str, float]] = {}
    narrows: ClassVar[bool] = False
    """Whether an address can be told of some stores only, as if they belonged to an account of their own."""
    base_url: str = ""
    """Where this sandbox is reached, known once somebody called it: what it hands out as its own address."""

    def __init__(self, seed: str | None = None) -> None:
        self.ids = Ids(seed and f"{self.slug}:{seed}")
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.rejected: deque[Json] = deque(maxlen=_REJECTED_KEPT)
        self._withheld: set[tuple[str, str]] = set()
        self.settings = dict(self.default_settings)
        self.unsent: list[Event] = []
        self.router = Router(self.routes())
        self._sender: Sender | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    # What a vendor says

    @abstractmethod
    def routes(self) -> list[Route]:
        """Every operation of the vendor that is simulated."""

    @abstractmethod
    def failure(self, kind: Failure, detail: str) -> Answer:
        """The vendor's own error body for a failure that is not about one operation."""

    @abstractmethod
    def authenticate(self, call: Call, route: Route) -> None:
        """Check the caller's token; raises Refused."""

    @abstractmethod
    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        """The headers of one webhook, signature included."""

    def webhook_failed(self, status: int) -> bool:
        """Tell whether the vendor repeats a webhook after this answer."""
        return not 200 <= status < 300

    def webhook_answered(self, event: Event, status: int, body: bytes) -> None:  # noqa: B027 - few vendors read it
        """Take in what the receiver answered; most vendors read only the status."""

    @abstractmethod
    def expire_all_tokens(self) -> None:
        """Make every access token issued so far an expired one."""

    @abstractmethod
    def app_credentials(self) -> dict[str, str]:
        """What the partner app holds."""

    @abstractmethod
    def connection_credentials(self) -> dict[str, str]:
        """What one merchant's connection holds."""

    @abstractmethod
    def stores(self) -> list[Json]:
        """The stores: ref, name, status, currency."""

    @abstractmethod
    def webhooks(self) -> list[Json]:
        """Where webhooks go: id and url of each address, without its secret."""

    @abstractmethod
    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        """Register an address, for all events or the named ones; its id and the secret that signs what goes there."""

    def narrow_webhook(self, webhook: str, stores: list[str]) -> None:
        """Have an address hear of orders at these stores only, where the vendor `narrows`."""
        raise ControlError(404, f"{self.slug} tells every address of every store")

    @abstractmethod
    def snapshot(self) -> Json:
        """Orders, menus and stock as the control API shows them."""

    @abstractmethod
    def restart(self) -> None:
        """Put orders, menus, stock and stores back to the start."""

    # What the control API may ask; a vendor overrides what it has

    def place_orders(self, body: Json) -> list[str]:
        """Let a consumer order; the platform's order ids."""
        raise ControlError(404, f"{self.slug} takes no consumer orders: it is a {self.kind}")

    def cancel_order(self, order: str, body: Json) -> Json:
        """Let the consumer or the platform cancel."""
        raise ControlError(404, f"{self.slug} has no consumer who could cancel: it is a {self.kind}")

    def move_courier(self, order: str, body: Json) -> Json:
        """Move the courier of an order."""
        raise ControlError(404, f"{self.slug} has no couriers")

    def move_order(self, order: str, body: Json) -> Json:
        """Let the POS's staff move an order."""
        raise ControlError(404, f"{self.slug} has no POS staff: it is a {self.kind}")

    def edit_menu(self, body: Json) -> Json:
        """Let the vendor's own staff edit the menu."""
        raise ControlError(404, f"{self.slug} has no menu staff could edit")

    def set_stock(self, body: Json) -> Json:
        """Let the vendor's own staff take an item off sale or put it back."""
        raise ControlError(404, f"{self.slug} has no stock staff could change")

    def set_store(self, store: str, body: Json) -> Json:
        """Change a store, or make one."""
        raise ControlError(404, f"{self.slug} has no stores staff could change")

    # What they share

    def attach(self, sender: Sender) -> None:
        """Start sending webhooks."""
        self._sender = sender
        unsent, self.unsent = self.unsent, []
        for event in unsent:
            sender.send(event)

    @property
    def sender(self) -> Sender | None:
        """The webhook sender, while the server runs."""
        return self._sender

    def emit(self, event: Event) -> None:
        """Send a webhook; without a running server it waits in `unsent`."""
        if self._sender is None:
            self.unsent.append(event)
        else:
            self._sender.send(event)

    def later(self, delay: float, action: Callable[[], None]) -> Callable[[], None]:
        """Do something after so many seconds; what it returns calls it off. Without a running loop it never happens."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return lambda: None

        def run() -> None:
            self._timers.discard(handle)
            action()

        def call_off() -> None:
            handle.cancel()
            self._timers.discard(handle)

        handle = loop.call_later(delay, run)
        self._timers.add(handle)
        return call_off

    def reject(self, call: Call, reason: str, status: int, *, injected: bool) -> None:
        """Note a refused call for the control API."""
        row = {"method": call.method, "path": call.path, "reason": reason, "status": status}
        self.rejected.append({**row, "at": timestamp(time.time()), "injected": injected})

    def withhold(self, call: Call, route: Route, subject: str, reason: str) -> None:
        """Note that a call took effect and its answer was kept from the caller on purpose."""
        self._withheld.add((route.operation, subject))
        self.reject(call, reason, 0, injected=True)

    def handle(self, call: Call, route: Route, subject: str = "") -> Answer:
        """Do what the vendor does with a call, refusals included.

        A conflict of a call whose earlier answer was withheld counts as injected; one that merely repeats a call that took
        effect is counted in `calls` as `<operation>.repeated` and is no rejection.
        """
        if host := call.headers.get("host"):
            self.base_url = f"{call.headers.get('x-forwarded-proto', 'http')}://{host}/{self.slug}"
        try:
            if not route.open:
                self.authenticate(call, route)
            return route.handle(call)
        except Refused as refused:
            status = refused.answer.status
            if refused.repeats:
                self.calls[f"{route.operation}.repeated"] += 1
            else:
                injected = status in {404, 409} and (route.operation, subject) in self._withheld
                self.reject(call, refused.reason, status, injected=injected)
            return refused.answer
        except BadBody as bad:
            answer = self.failure("bad_body", str(bad))
            self.reject(call, str(bad), answer.status, injected=False)
            return answer

    def reset(self) -> None:
        """Go back to the start; credentials, tokens and webhook addresses stay."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.faults.clear()
        self.calls.clear()
        self.rejected.clear()
        self._withheld.clear()
        self.unsent.clear()
        self.settings = dict(self.default_settings)
        if self._sender is not None:
            self._sender.forget()
        self.restart()

    def set_settings(self, body: Json) -> dict[str, float]:
        """Change the sandbox's own settings (numbers); raises ControlError that names the unknown one."""
        for name, value in body.items():
            if name == "webhook_retry_scale" and self._sender is not None:
                self._sender.scale = number(body, name)
                continue
            if name not in self.settings:
                raise ControlError(400, f"unknown setting {name!r}; known: webhook_retry_scale, {', '.join(sorted(self.settings))}")
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise ControlError(400, f"{name} is a number from 0 up")
            self.settings[name] = value
        return {**self.settings, **({"webhook_retry_scale": self._sender.scale} if self._sender else {})}

    def state(self) -> Json:
        """All of `GET /_control/{slug}/state`."""
        return {
            **self.snapshot(),
            "stores": self.stores(),
            "calls": dict(self.calls),
            "rejected": list(self.rejected),
            "webhooks": {"to": self.webhooks(), **(self._sender.counts if self._sender else {}), "given_up_on": self._given_up_on()},
        }

    def _given_up_on(self) -> list[Json]:
        events = self._sender.given_up_on if self._sender is not None else []
        return [{"kind": each.kind, "subject": each.subject, "body": each.body.decode("utf-8", "replace")} for each in events]


def number(body: Json, name: str, default: float | None = None) -> float:
    """A number from 0 up out of a control body; raises ControlError."""
    value: Any = body.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise ControlError(400, f"{name} is a number from 0 up")
    return value


def word(body: Json, name: str, default: str | None = None) -> str:
    """A text out of a control body; raises ControlError."""
    value: Any = body.get(name, default)
    if not isinstance(value, str) or not value:
        raise ControlError(400, f"{name} is a text and not empty")
    return value
