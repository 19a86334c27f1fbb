"""Envelopes: a version byte, the key's id, a nonce and the AES-256-GCM text. What it belongs to is authenticated, not stored."""

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = 1
_NONCE = 12


class Unsealable(ValueError):
    """A sealed value that no key at hand opens: its key was deleted (erased), or it was moved to another row."""


def _aad(parts: tuple[str, ...]) -> bytes:
    return "\x1f".join(parts).encode()


def _seal(cipher: AESGCM, key_id: str, plain: bytes, parts: tuple[str, ...]) -> bytes:
    name = key_id.encode()
    nonce = os.urandom(_NONCE)
    return bytes((_VERSION, len(name))) + name + nonce + cipher.encrypt(nonce, plain, _aad(parts))


def key_id_of(sealed: bytes) -> str:
    """The id of the key an envelope was sealed with; raises Unsealable when it is no envelope."""
    if len(sealed) < 2 or sealed[0] != _VERSION or len(sealed) < 2 + sealed[1] + _NONCE:
        raise Unsealable("this is no sealed value")
    return sealed[2 : 2 + sealed[1]].decode()


def _open(cipher: AESGCM, sealed: bytes, parts: tuple[str, ...]) -> bytes:
    start = 2 + sealed[1]
    try:
        return cipher.decrypt(sealed[start : start + _NONCE], sealed[start + _NONCE :], _aad(parts))
    except InvalidTag as error:
        raise Unsealable("the value does not belong to this row, or was changed") from error


class DataKey:
    """A key that seals rows: a consumer's, or a tenant's for one day."""

    def __init__(self, key: bytes, key_id: str = "d") -> None:
        self.key_id = key_id
        self.raw = key
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return f"DataKey({self.key_id})"

    def seal(self, plain: bytes, *parts: str) -> bytes:
        """Seal, bound to the parts (tenant, table, row)."""
        return _seal(self._cipher, self.key_id, plain, parts)

    def open(self, sealed: bytes, *parts: str) -> bytes:
        """Open what `seal` made with the same parts; raises Unsealable."""
        key_id_of(sealed)
        return _open(self._cipher, sealed, parts)


def new_data_key(key_id: str = "d") -> DataKey:
    """Make a random 256-bit key."""
    return DataKey(os.urandom(32), key_id)


class MasterKeys:
    """The operator's keys: the first one seals, all of them open. They wrap credentials and data keys."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise ValueError("no master key: set HUB_MASTER_KEYS or let `hub up` make a key file")
        for name, key in keys.items():
            if len(key) != 32:
                raise ValueError(f"master key {name!r} has {len(key)} bytes instead of 32")
        self._keys = dict(keys)
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self.current = next(iter(keys))

    def __repr__(self) -> str:
        return f"MasterKeys({', '.join(self._ciphers)})"

    def seal(self, plain: bytes, *parts: str) -> bytes:
        """Seal with the current key, bound to the parts (tenant, table, row)."""
        return _seal(self._ciphers[self.current], self.current, plain, parts)

    def open(self, sealed: bytes, *parts: str) -> bytes:
        """Open with the key the envelope names; raises Unsealable."""
        name = key_id_of(sealed)
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise Unsealable(f"master key {name!r} is not configured: add it to HUB_MASTER_KEYS")
        return _open(cipher, sealed, parts)

    def derive(self, purpose: str) -> dict[str, bytes]:
        """Derive a 32-byte key for a purpose from each master key (HKDF-SHA256), by key id, the current one first."""
        return {name: HKDF(SHA256(), 32, None, purpose.encode()).derive(key) for name, key in self._keys.items()}

    def wrap(self, key: DataKey, *parts: str) -> bytes:
        """Seal a data key."""
        return self.seal(key.raw, *parts)

    def unwrap(self, sealed: bytes, *parts: str, key_id: str = "d") -> DataKey:
        """Open a wrapped data key; raises Unsealable."""
        return DataKey(self.open(sealed, *parts), key_id)
