# ruff: noqa: E402
"""What sealing costs: AES-256-GCM and SM4-GCM, for texts of 1 KB and 64 KB; small secrets; unwrapping a data key.

Peer: the library's bare AES-256-GCM, without place, version or key: what is left is ours.

    python bench/crypto.py
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cryptography
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vlpro.crypto import Cipher, DataKey, Sealer

PLACE = "messages.data:cnv_0123456789abcdef01234567:12"
SECONDS = 0.5


def each(work: Callable[[], object]) -> float:
    """Microseconds of processor time a call takes: the best of three runs, warmed up."""
    work()
    best = float("inf")
    for _ in range(3):
        calls, start = 0, time.thread_time()
        while (spent := time.thread_time() - start) < SECONDS:
            for _ in range(20):
                work()
            calls += 20
        best = min(best, spent / calls)
    return best * 1e6


def row(what: str, *works: Callable[[], object] | None) -> None:
    cells = (f"{each(work):>14.1f}" if work else f"{'':>14}" for work in works)
    print(f"{what:<28}" + "".join(cells))


def with_data_keys(size: int) -> None:
    text, bare = os.urandom(size), AESGCM(os.urandom(32))
    aes, sm4 = (DataKey(os.urandom(32), cipher) for cipher in Cipher)
    made, of_aes, of_sm4 = bare.encrypt(bytes(12), text, None), aes.seal(text, PLACE), sm4.seal(text, PLACE)
    row(
        f"seal {size // 1000} KB",
        lambda: bare.encrypt(os.urandom(12), text, None),
        lambda: aes.seal(text, PLACE),
        lambda: sm4.seal(text, PLACE),
    )
    row(
        f"open {size // 1000} KB",
        lambda: bare.decrypt(bytes(12), made, None),
        lambda: aes.open(of_aes, PLACE),
        lambda: sm4.open(of_sm4, PLACE),
    )


def with_the_key_file() -> None:
    aes, sm4 = (Sealer(os.urandom(32), cipher) for cipher in Cipher)
    secret, (_, of_aes), (_, of_sm4) = os.urandom(32), aes.new_data_key(PLACE), sm4.new_data_key(PLACE)
    row("seal a secret of 32 bytes", None, lambda: aes.seal(secret, PLACE), lambda: sm4.seal(secret, PLACE))
    row("new data key", None, lambda: aes.new_data_key(PLACE), lambda: sm4.new_data_key(PLACE))
    row(
        "unwrap a data key",
        None,
        lambda: aes.data_key(of_aes, PLACE),
        lambda: sm4.data_key(of_sm4, PLACE),
    )


def main() -> None:
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "?",
    )
    print(f"{cpu}, one thread; Python {platform.python_version()}; cryptography {cryptography.__version__}\n")
    print(f"{'µs of processor a call':<28}{'bare AES':>14}{'AES-256-GCM':>14}{'SM4-GCM':>14}")
    for size in (1_000, 64_000):
        with_data_keys(size)
    with_the_key_file()


if __name__ == "__main__":
    main()
