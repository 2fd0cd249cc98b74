"""Encryption at rest: sealed values, data keys, and where the key that seals them comes from."""

from vlpro.crypto.ciphers import Cipher
from vlpro.crypto.key_file import KeyFile, make_key_file, read_key_file
from vlpro.crypto.keys import Keys
from vlpro.crypto.sealer import DataKey, Sealer
from vlpro.crypto.vectors import self_test

__all__ = ["Cipher", "DataKey", "KeyFile", "Keys", "Sealer", "make_key_file", "read_key_file", "self_test"]
