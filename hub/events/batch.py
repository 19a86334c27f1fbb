"""Events made ready for the wire: encoded once for all sockets, joined once for all that want the same."""

from collections.abc import Sequence
from typing import Any

import msgspec

from hub.events.frames import text_frame
from hub.events.reader import decode_cursor

BATCH_BYTES = 64 * 1024
"""How much of a page is written to a socket at once."""
_MOST_FILTERS = 64

Place = tuple[int, int]
_SHOWN = ("id", "type", "at", "tenant", "subject", "location", "data", "correlation_id")


class Frame(msgspec.Struct, frozen=True):
    """An event as it goes out, with what subscriptions filter by and its place in the history."""

    wire: bytes
    place: Place
    type: str
    location: str | None


class Filter(msgspec.Struct, frozen=True):
    """What a socket wants; empty means everything. Events without a location are everybody's."""

    prefixes: tuple[str, ...] = ()
    locations: frozenset[str] = frozenset()

    def wants(self, frame: Frame) -> bool:
        """Tell whether a frame is wanted."""
        if self.prefixes and not frame.type.startswith(self.prefixes):
            return False
        return not self.locations or frame.location is None or frame.location in self.locations


EVERYTHING = Filter()


class Batch:
    """Events in a row."""

    __slots__ = ("_joined", "_whole", "first", "frames", "last", "size")

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self.first, self.last = frames[0].place, frames[-1].place
        self.size = sum(len(frame.wire) for frame in frames)
        self._whole: bytes | None = frames[0].wire if len(frames) == 1 else None
        self._joined: dict[Filter, bytes] = {}

    def wire(self, wanted: Filter, after: Place) -> bytes:
        """The bytes of what is wanted behind a place."""
        if after >= self.last:
            return b""
        if after >= self.first:
            return b"".join(frame.wire for frame in self.frames if frame.place > after and wanted.wants(frame))
        if wanted is EVERYTHING:
            if self._whole is None:
                self._whole = b"".join(frame.wire for frame in self.frames)
            return self._whole
        found = self._joined.get(wanted)
        if found is None:
            found = b"".join(frame.wire for frame in self.frames if wanted.wants(frame))
            if len(self._joined) < _MOST_FILTERS:
                self._joined[wanted] = found
        return found

    def told(self) -> None:
        """Forget what was joined: everybody present has it, and the frames are kept for those who come."""
        self._joined.clear()
        if len(self.frames) > 1:
            self._whole = None


def frame_of(event: dict[str, Any]) -> Frame:
    """Encode an event."""
    cursor = event["cursor"]
    said = {"type": "event", "cursor": cursor, "event": {name: event[name] for name in _SHOWN}}
    return Frame(text_frame(msgspec.json.encode(said)), decode_cursor(cursor), event["type"], event["location"])


def batches_of(events: Sequence[dict[str, Any]]) -> list[Batch]:
    """Encode a page of events, in batches of about BATCH_BYTES."""
    found: list[Batch] = []
    frames: list[Frame] = []
    size = 0
    for event in events:
        frame = frame_of(event)
        if frames and size + len(frame.wire) > BATCH_BYTES:
            found.append(Batch(frames))
            frames, size = [], 0
        frames.append(frame)
        size += len(frame.wire)
    if frames:
        found.append(Batch(frames))
    return found
