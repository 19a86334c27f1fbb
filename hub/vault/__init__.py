"""Sealing of secrets, bodies and personal data: AES-256-GCM envelopes with key ids, bound to tenant, table and row."""

from hub.vault.bodies import BodyVault
from hub.vault.seal import DataKey, MasterKeys, Unsealable, new_data_key

__all__ = ["BodyVault", "DataKey", "MasterKeys", "Unsealable", "new_data_key"]
