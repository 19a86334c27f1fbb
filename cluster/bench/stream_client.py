"""Many light WebSockets in one process of their own: they count what they hear by number, and come back with their cursor.

Told what to do by JSON lines on standard input, answers on standard output: see `Crowd`.
"""

import asyncio
import base64
import json
import os
import random
import resource
import socket
import sys
import time
from typing import Any

import uvloop

SUBJECT = "bench-"
JITTER_SECONDS = 5.0
PER_ADDRESS = 5000
_TOKEN_FREE = b'"subject":"' + SUBJECT.encode()
_CURSOR = b'"cursor":"'
_PONG = b"\x8a\x80\x00\x00\x00\x00"


class Caller(asyncio.BufferedProtocol):
    """A client that expects the events in a row. All callers share one buffer to read into."""

    __slots__ = ("_crowd", "_number", "_rest", "_said", "_status", "_transport", "cursor", "heard")

    def __init__(self, crowd: "Crowd", number: int) -> None:
        self._crowd, self._number = crowd, number
        self.cursor = b""
        self.heard = 0
        """The last number heard; 0 before the first."""
        self._rest = b""
        self._said, self._status = False, ""
        self._transport: asyncio.Transport | None = None

    async def call(self) -> None:
        """Connect from one of the loopback's addresses and ask for an upgrade as a browser does."""
        crowd = self._crowd
        bare = socket.socket()
        bare.setblocking(False)
        try:
            if crowd.host.startswith("127."):
                bare.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
                bare.bind((f"127.0.1.{1 + self._number // PER_ADDRESS}", 0))
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(bare, (crowd.host, crowd.port)), 10)
            await loop.create_connection(lambda: self, sock=bare)
        except OSError as error:
            bare.close()
            crowd.failed(self, type(error).__name__)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._rest, self._said, self._status = b"", False, ""
        where = b"/api/v1/stream" + (b"?cursor=" + self.cursor if self.cursor else b"")
        self._transport.write(  # type: ignore[union-attr]
            b"GET " + where + b" HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"
            b"Accept-Language: en-GB,en;q=0.9\r\nCache-Control: no-cache\r\nOrigin: https://hub.example\r\n"
            b"Authorization: Bearer " + self._crowd.tokens[self._number % len(self._crowd.tokens)] + b"\r\n\r\n"
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._said:
            self._crowd.cut(self)
        else:
            self._crowd.failed(self, self._status or "hung up")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._crowd.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._crowd.buffer[:nbytes])
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not self._said:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101") or b"xtensions" in head:
                self._status = head[9:12].decode()
                self._transport.close()  # type: ignore[union-attr]
                return
            self._said = True
        self._frames(data)

    def _frames(self, data: bytes) -> None:
        place, size = 0, len(data)
        while size - place >= 2:
            length, start = data[place + 1], place + 2
            if length == 126:
                if size - place < 4:
                    break
                length, start = int.from_bytes(data[place + 2 : place + 4], "big"), place + 4
            if size - start < length:
                break
            self._frame(data[place], data[start : start + length])
            place = start + length
        self._rest = data[place:]

    def _frame(self, head: int, payload: bytes) -> None:
        crowd = self._crowd
        if head == 0x89:
            self._transport.write(_PONG)  # type: ignore[union-attr]
            return
        if head != 0x81:  # a close; the end follows
            code = str(int.from_bytes(payload[:2], "big"))
            crowd.codes[code] = crowd.codes.get(code, 0) + 1
            return
        found = payload.find(_TOKEN_FREE)
        at = payload.find(_CURSOR) + len(_CURSOR)
        if found < 0:
            if payload.startswith(b'{"type":"hello"'):
                self.cursor = payload[at : payload.index(b'"', at)]
                crowd.hello(self)
            elif payload.startswith(b'{"type":"behind"'):
                crowd.behind += 1
            return
        self.cursor = payload[at : payload.index(b'"', at)]
        begin = found + len(_TOKEN_FREE)
        number = int(payload[begin : payload.index(b'"', begin)])
        if self.heard and number != self.heard + 1:
            if number > self.heard:
                crowd.missed += number - self.heard - 1
            else:
                crowd.repeated += 1
        self.heard = max(self.heard, number)
        crowd.arrived(number)


class Crowd:
    """All callers, and what they have counted.

    `{"do":"open","count":n,"rate":r}` lets n more in; `{"do":"status"}` tells how they are; `{"do":"mark"}` counts refusals and
    hellos anew; `{"do":"hellos"}` tells when callers got in; `{"do":"arrivals","number":k}` tells when an event arrived. Times are
    seconds of the monotonic clock, which all processes of a machine share.
    """

    def __init__(self, host: str, port: int, tokens: list[bytes]) -> None:
        self.host, self.port, self.tokens = host, port, tokens
        self.buffer = memoryview(bytearray(1 << 18))
        self.callers: list[Caller] = []
        self.open: set[Caller] = set()
        self.missed = self.repeated = self.behind = self.cuts = 0
        self.last_hello = 0.0
        self.hellos: list[float] = []
        """When callers got in, since the last mark."""
        self.refused: dict[str, int] = {}
        self.codes: dict[str, int] = {}
        """How sockets were refused and closed."""
        self._arrivals: dict[int, list[float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def hello(self, caller: Caller) -> None:
        """A caller is in."""
        self.open.add(caller)
        self.last_hello = time.monotonic()
        self.hellos.append(self.last_hello)

    def cut(self, caller: Caller) -> None:
        """A caller that was in is out; it comes back."""
        self.open.discard(caller)
        self.cuts += 1
        self._again(caller)

    def failed(self, caller: Caller, why: str) -> None:
        """A caller did not get in; it tries again."""
        self.refused[why] = self.refused.get(why, 0) + 1
        self._again(caller)

    def arrived(self, number: int) -> None:
        """Somebody heard an event."""
        self._arrivals.setdefault(number, []).append(time.monotonic())

    def _again(self, caller: Caller) -> None:
        asyncio.get_running_loop().call_later(random.uniform(0, JITTER_SECONDS), self._call, caller)  # noqa: S311 - spreads load

    def _call(self, caller: Caller) -> None:
        task = asyncio.get_running_loop().create_task(caller.call())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def enter(self, count: int, rate: float) -> None:
        """Let more callers in, so many a second."""
        for number in range(count):
            caller = Caller(self, len(self.callers))
            self.callers.append(caller)
            self._call(caller)
            if number % 20 == 19:
                await asyncio.sleep(20 / rate)

    def status(self) -> dict[str, Any]:
        """Counts since the start."""
        times = os.times()
        return {
            "callers": len(self.callers), "open": len(self.open), "missed": self.missed, "repeated": self.repeated,
            "behind": self.behind, "cuts": self.cuts, "refused": self.refused, "codes": self.codes,
            "last_hello": self.last_hello,
            "heard_by_all": min((caller.heard for caller in self.callers), default=0), "cpu": times.user + times.system,
        }  # fmt: skip

    def arrivals(self, number: int) -> dict[str, Any]:
        """When an event arrived, sorted; forgotten by this."""
        return {"number": number, "at": sorted(self._arrivals.pop(number, [])), "cpu": self.status()["cpu"]}


async def _main(host: str, port: int, tokens_file: str) -> None:
    with open(tokens_file, "rb") as file:  # noqa: ASYNC230, PTH123 - once, before anything runs
        crowd = Crowd(host, port, file.read().split())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    entering: list[asyncio.Task[None]] = []
    while line := await reader.readline():
        asked = json.loads(line)
        answer: dict[str, Any] = {}
        if asked["do"] == "open":
            entering.append(asyncio.create_task(crowd.enter(asked["count"], asked["rate"])))
        elif asked["do"] == "status":
            answer = crowd.status()
        elif asked["do"] == "mark":
            crowd.hellos, crowd.refused, crowd.codes = [], {}, {}
        elif asked["do"] == "hellos":
            answer = {"at": crowd.hellos}
        elif asked["do"] == "arrivals":
            answer = crowd.arrivals(asked["number"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    uvloop.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
