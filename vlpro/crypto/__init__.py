"""Encryption at rest: sealed values, data keys, and where the key that seals them comes from."""

from vlpro.crypto.ciphers import Cipher
from vlpro.crypto.key_file import make_key_file, read_key_file
from vlpro.crypto.sealer import DataKey, Sealer

__all__ = ["Cipher", "DataKey", "Sealer", "make_key_file", "read_key_file"]
