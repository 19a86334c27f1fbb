"""Prefixed, sortable ids: a UUIDv7 in Crockford's base32 behind a three-letter kind, 30 characters in all."""

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LETTERS = frozenset(_ALPHABET)
_DIGITS = 26
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_SHIFTS = range(5 * _DIGITS - 10, -1, -10)

KINDS = frozenset({"ten", "usr", "con", "app", "loc", "lnk", "ord", "evt", "alr", "cns", "key", "ses", "clm", "aud", "men", "cor", "pub"})


def _base32(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def new_id(kind: str) -> str:
    """Make an id such as ``ord_01jd…``; ids of one kind sort by the millisecond they were made in."""
    if kind not in KINDS:
        raise ValueError(f"unknown id kind {kind!r}: add it to hub.ids.KINDS")
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    number = (milliseconds << 80) | (7 << 76) | ((random >> 68) & 0xFFF) << 64 | (0b10 << 62) | (random & ((1 << 62) - 1))
    return f"{kind}_{_base32(number)}"


def message_id(number: int) -> str:
    """Show a mailbox sequence number as an id: ``msg_`` and the number in base32."""
    return f"msg_{_base32(number)}"


def message_number(identifier: str) -> int | None:
    """Read what `message_id` wrote; None when it is no message id."""
    if not identifier.startswith("msg_") or len(identifier) != 4 + _DIGITS:
        return None
    number = 0
    for digit in identifier[4:]:
        value = _ALPHABET.find(digit)
        if value < 0:
            return None
        number = number << 5 | value
    return number if number < 1 << 63 else None


def is_id(kind: str, text: str) -> bool:
    """Tell whether text has the form of an id of this kind."""
    return len(text) == 4 + _DIGITS and text.startswith(kind + "_") and _LETTERS.issuperset(text[4:])
