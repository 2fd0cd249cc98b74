"""Published test vectors, computed at each start: a broken library seals nothing."""

from __future__ import annotations

from vlpro.crypto.ciphers import AlteredError, Cipher, decrypt, encrypt
from vlpro.errors import ConfigError

__all__ = ["VECTORS", "self_test"]

_BOUND = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")

VECTORS: dict[str, tuple[Cipher, bytes, bytes, bytes, bytes, bytes]] = {
    "AES-256-GCM (McGrew and Viega, The Galois/Counter Mode of Operation, test case 16)": (
        Cipher.AES_256_GCM,
        bytes.fromhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
        bytes.fromhex("cafebabefacedbaddecaf888"),
        bytes.fromhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
            "b16aedf5aa0de657ba637b39"
        ),
        _BOUND,
        bytes.fromhex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
            "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
        ),
    ),
    "SM4-GCM (RFC 8998, appendix A.1)": (
        Cipher.SM4_GCM,
        bytes.fromhex("0123456789abcdeffedcba9876543210"),
        bytes.fromhex("00001234567800000000abcd"),
        bytes.fromhex("aa" * 8 + "bb" * 8 + "cc" * 8 + "dd" * 8 + "ee" * 8 + "ff" * 8 + "ee" * 8 + "aa" * 8),
        _BOUND,
        bytes.fromhex(
            "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15"
            "a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec"
        ),
    ),
}
"""By name: cipher, key, nonce, text, additional data; ciphertext with its tag."""


def self_test() -> tuple[str, ...]:
    """Compute the vectors, both ways; and see that a changed tag is refused. Below a millisecond.

    Returns:
        The names of what was tested.

    Raises:
        ConfigError: One comes out wrong. Names it.
    """
    for name, (cipher, key, nonce, text, bound, sealed) in VECTORS.items():
        altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
        try:
            right = encrypt(cipher, key, nonce, text, bound) == sealed
            right = right and decrypt(cipher, key, nonce, sealed, bound) == text
        except Exception as error:  # whatever a broken library raises
            raise _broken(name) from error
        try:
            decrypt(cipher, key, nonce, altered, bound)
        except AlteredError:
            pass
        else:
            right = False
        if not right:
            raise _broken(name)
    return tuple(VECTORS)


def _broken(name: str) -> ConfigError:
    return ConfigError(
        f"The cipher library computes {name} wrong, and seals nothing. Reinstall the package cryptography.",
        zh=f"密码库计算 {name} 的结果不正确，已停止使用。请重新安装 cryptography 软件包。",
        param="crypto",
    )
