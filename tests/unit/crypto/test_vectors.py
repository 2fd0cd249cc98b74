"""Published vectors at the start: a library that computes them wrong is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlpro.config import Settings
from vlpro.crypto import Cipher, ciphers, self_test
from vlpro.crypto.vectors import VECTORS
from vlpro.errors import ConfigError
from vlpro.gateway.profile import sealer_of


def test_the_vectors_hold() -> None:
    assert self_test() == tuple(VECTORS)
    assert {vector[0] for vector in VECTORS.values()} == set(Cipher)


@pytest.mark.parametrize("cipher", list(Cipher))
@pytest.mark.parametrize("fault", ["another text", "an exception", "any tag is good"])
def test_a_broken_library_stops_the_start(
    cipher: Cipher, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    encrypt, decrypt = ciphers.encrypt, ciphers.decrypt

    def broken_encrypt(which: Cipher, key: bytes, nonce: bytes, data: bytes, bound: bytes) -> bytes:
        if which is cipher and fault == "an exception":
            raise RuntimeError
        right = encrypt(which, key, nonce, data, bound)
        return bytes([right[0] ^ 1]) + right[1:] if which is cipher and fault == "another text" else right

    def broken_decrypt(which: Cipher, key: bytes, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        if which is cipher and fault == "any tag is good":
            return next(text for kind, _, _, text, _, _ in VECTORS.values() if kind is cipher)
        return decrypt(which, key, nonce, sealed, bound)

    module = "vlpro.crypto.vectors"
    monkeypatch.setattr(f"{module}.encrypt", broken_encrypt)
    monkeypatch.setattr(f"{module}.decrypt", broken_decrypt)
    with pytest.raises(ConfigError, match="SM4" if cipher is Cipher.SM4_GCM else "AES-256"):
        sealer_of(Settings(data_dir=tmp_path))
