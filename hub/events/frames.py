"""WebSocket frames (RFC 6455): what the server sends is built once and shared; what a client sends is checked and put together.

Parsing and handshake are the `websockets` library's, without its connection objects: between two frames a socket keeps nothing.
"""

import struct
from collections.abc import Generator, Iterator

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

LARGEST_FRAME = 16 * 1024
"""Bytes a client may say at once, in one frame or many."""
SWITCHING = 101
_TEXT, _CLOSE, _PONG = 0x81, 0x88, 0x8A
PING = b"\x89\x00"


class Refused(Exception):
    """What came is no proper frame, or too large; `code` is the close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", head, size) + payload
    if size < 65536:
        return struct.pack("!BBH", head, 126, size) + payload
    return struct.pack("!BBQ", head, 127, size) + payload


def text_frame(payload: bytes) -> bytes:
    """A whole text message on the wire."""
    return _frame(_TEXT, payload)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping."""
    return _frame(_PONG, payload)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close with its code and as much of the reason as fits; None for one without a code."""
    if code is None:
        return _frame(_CLOSE, b"")
    return _frame(_CLOSE, struct.pack("!H", code) + reason.encode()[:120].decode("utf-8", "ignore").encode())


def shake_hands(raw: bytes, subprotocol: str | None) -> tuple[int, bytes]:
    """Status and bytes of the answer to an upgrade request: 101, or why not. No extension is ever agreed to."""
    reader = StreamReader()
    reader.feed_data(raw)
    parsing = Request.parse(reader.read_line)
    try:
        next(parsing)
    except StopIteration as done:
        request: Request = done.value
    except Exception:
        return 400, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    else:
        return 400, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    answer = ServerProtocol(extensions=None).accept(request)
    if answer.status_code == SWITCHING and subprotocol is not None:
        answer.headers["Sec-WebSocket-Protocol"] = subprotocol
    return answer.status_code, answer.serialize()


class Inbound:
    """What a client says, from bytes to messages. Only an unfinished frame or message costs memory, and no more than LARGEST_FRAME."""

    __slots__ = ("_message", "_parsing", "_reader", "_text")

    def __init__(self) -> None:
        self._reader: StreamReader | None = None
        self._parsing: Generator[None, None, Frame] | None = None
        self._message: bytearray | None = None
        self._text = False

    def feed(self, data: bytes) -> Iterator[tuple[Opcode, bytes]]:
        """Yield each frame that this completes: whole messages as TEXT or BINARY, control frames as they are, CONT for a part.

        Raises Refused; after that nothing more may be fed.
        """
        reader = self._reader or StreamReader()
        reader.feed_data(data)
        while self._parsing is not None or reader.buffer:
            parsing = self._parsing or Frame.parse(reader.read_exact, mask=True, max_size=LARGEST_FRAME)
            try:
                next(parsing)
            except StopIteration as done:
                self._parsing = None
                yield self._whole(done.value)
            except PayloadTooBig as error:
                raise Refused(1009, f"say at most {LARGEST_FRAME} bytes at once") from error
            except ProtocolError as error:
                raise Refused(1002, str(error)) from error
            else:
                self._reader, self._parsing = reader, parsing
                return
        self._reader = None

    def _whole(self, frame: Frame) -> tuple[Opcode, bytes]:
        data = bytes(frame.data)
        if frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
            return frame.opcode, data
        if (frame.opcode is Opcode.CONT) == (self._message is None):
            raise Refused(1002, "a message starts with its kind and goes on with continuations")
        if self._message is None:
            self._text = frame.opcode is Opcode.TEXT
            if not frame.fin:
                self._message = bytearray(data)
                return Opcode.CONT, b""
        else:
            self._message += data
            if len(self._message) > LARGEST_FRAME:
                raise Refused(1009, f"say at most {LARGEST_FRAME} bytes at once")
            if not frame.fin:
                return Opcode.CONT, b""
            data, self._message = bytes(self._message), None
        if self._text:
            try:
                data.decode()
            except UnicodeDecodeError as error:
                raise Refused(1007, "text is UTF-8") from error
            return Opcode.TEXT, data
        return Opcode.BINARY, data


def closing(payload: bytes) -> int | None:
    """The code of a client's close, None when it says none; raises Refused when it is none that may be sent."""
    try:
        code = Close.parse(payload).code
    except ProtocolError as error:
        raise Refused(1002, str(error)) from error
    except UnicodeDecodeError as error:
        raise Refused(1007, "a reason is UTF-8") from error
    return code if payload else None
