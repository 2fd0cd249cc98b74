"""SM2 and SM3 against their standards, and against a second implementation that shares nothing with the first."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from vlpro.audit import sm2
from vlpro.crypto.sm3 import sm3
from vlpro.errors import AuditError, ConfigError

# GB/T 32918.5-2017, annex A.2.
PRIVATE = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
PUBLIC = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
MESSAGE = b"message digest"

# The curve: GB/T 32918.5-2017, chapter 2.
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123

Point = tuple[int, int] | None


def der(r: int, s: int) -> bytes:
    """Two numbers as ASN.1 (X.690)."""
    numbers = b""
    for number in (r, s):
        data = number.to_bytes(number.bit_length() // 8 + 1, "big")
        numbers += bytes([2, len(data)]) + data
    return bytes([0x30, len(numbers)]) + numbers


def numbers(signature: bytes) -> tuple[int, int]:
    """The reverse."""
    first = 4 + signature[3]
    r, s = signature[4:first], signature[first + 2 :]
    assert der(int.from_bytes(r, "big"), int.from_bytes(s, "big")) == signature
    return int.from_bytes(r, "big"), int.from_bytes(s, "big")


def add(p: Point, q: Point) -> Point:
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    slope = (3 * p[0] ** 2 + A) * pow(2 * p[1], -1, P) if p == q else (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope**2 - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def times(number: int, point: Point) -> Point:
    found: Point = None
    for bit in f"{number:b}":
        found = add(found, found)
        found = add(found, point) if bit == "1" else found
    return found


def is_right(public: bytes, message: bytes, signature: bytes, user: bytes = b"1234567812345678") -> bool:
    """GB/T 32918.2-2016, 5.5 and 7.1, written down as it stands there."""
    r, s = numbers(signature)
    field = (number.to_bytes(32, "big") for number in (A, B, *G))
    z = sm3((len(user) * 8).to_bytes(2, "big") + user + b"".join(field) + public[1:])
    e = int.from_bytes(sm3(z + message), "big")
    t = (r + s) % N
    key = (int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big"))
    point = add(times(s, G), times(t, key))
    return 0 < r < N and 0 < s < N and t != 0 and point is not None and (e + point[0]) % N == r


def test_the_hashes_of_the_standard() -> None:  # GB/T 32905-2016, annex A
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert sm3(b"abcd" * 16).hex() == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"


def test_the_signature_of_the_standard() -> None:
    sm2.verify(PUBLIC, MESSAGE, der(R, S))
    assert sm2.Sm2Key(PRIVATE).public == PUBLIC
    assert is_right(PUBLIC, MESSAGE, der(R, S)), "the second implementation itself"
    sm2.self_test()
    assert sm2.why_not() == ("", "")


def test_a_second_implementation_finds_our_signatures_right() -> None:
    key = sm2.Sm2Key.derived(b"seed" * 8)
    for message in (b"", b"m", b"vlpro audit checkpoint 1\0" + b"{}" * 300, bytes(100_000)):
        signature = key.sign(message)
        assert is_right(key.public, message, signature)
        assert not is_right(key.public, message + b"x", signature)
        sm2.verify(key.public, message, signature)


def test_what_is_wrong_is_refused() -> None:
    right, other = der(R, S), sm2.Sm2Key(PRIVATE + 1).public
    wrong = [(PUBLIC, MESSAGE, der(R ^ 1, S)), (PUBLIC, MESSAGE, der(R, S ^ 1 << 200)), (PUBLIC, b"", right)]
    wrong += [(other, MESSAGE, right), (PUBLIC, MESSAGE, der(S, R)), (PUBLIC, MESSAGE, der(R, S + N))]
    wrong += [(PUBLIC, MESSAGE, part) for part in (b"", b"nonsense", right[:-1], right + b"\0", der(0, S))]
    wrong += [(PUBLIC[1:], MESSAGE, right), (b"", MESSAGE, right)]
    for public, message, signature in wrong:
        with pytest.raises(InvalidSignature):
            sm2.verify(public, message, signature)


def test_the_key_of_a_seed_is_always_the_same() -> None:
    # Another one would be a stranger's to every log that is signed already.
    assert sm2.Sm2Key.derived(bytes(range(32))).public.hex() == PINNED
    assert sm2.Sm2Key.derived(bytes(32)).public.hex() != PINNED


PINNED = (
    "046757fdae8d741f253e9a41a7063fe783ecf2b5cd110f7b4763a6204a0b306ae1"
    "826ec791c21738c127ee23d81e77218eb343898121ba1362e79bab89ec4cd8ea"
)


@pytest.mark.parametrize("scalar", [0, -1, N - 1, N])
def test_what_is_no_private_key(scalar: int) -> None:
    with pytest.raises(ValueError, match="n - 2"):
        sm2.Sm2Key(scalar)


@pytest.mark.parametrize("scalar", [1, N - 2])
def test_the_first_and_the_last_private_key(scalar: int) -> None:
    key = sm2.Sm2Key(scalar)
    sm2.verify(key.public, MESSAGE, key.sign(MESSAGE))
    assert (int.from_bytes(key.public[1:33], "big"), int.from_bytes(key.public[33:], "big")) == times(
        scalar, G
    )


def program(folder: Path, text: str) -> Path:
    """An ``openssl`` of our own."""
    path = folder / "openssl"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(stat.S_IRWXU)
    return path


def test_the_private_key_is_on_no_command_line_in_no_environment_and_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = shutil.which("openssl"), tmp_path / "seen"
    folder, work = tmp_path / "bin", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    program(folder, f'{{ echo "$@"; /usr/bin/env; /bin/ls -l /proc/self/fd; }} >> {seen}\nexec {real} "$@"\n')
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("TMPDIR", str(work))
    monkeypatch.chdir(work)
    key = sm2.Sm2Key(PRIVATE)
    sm2.verify(key.public, MESSAGE, key.sign(MESSAGE))
    told = seen.read_text().lower()
    assert told.count("pkeyutl -sign") == 1
    secret = PRIVATE.to_bytes(32, "big")
    assert secret.hex() not in told
    assert secret.hex()[:16] not in told.replace(":", "")
    assert "/dev/fd/" in told
    opened = {line.rsplit("-> ")[-1] for line in told.splitlines() if "-> " in line}
    assert all(one.startswith(("pipe:", "/proc/", str(seen).lower())) for one in opened), opened
    assert not list(work.iterdir())


def test_an_openssl_that_is_missing_or_without_sm2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no openssl on this machine") as error:
        sm2.self_test()
    assert error.value.param == "crypto"
    assert "没有 openssl" in error.value.zh
    with pytest.raises(AuditError, match="no openssl"):
        sm2.Sm2Key(PRIVATE)
    for text in (
        "echo 'pkeyutl: unknown curve' >&2; exit 1\n",
        "echo 'Signature Verification Failure'; exit 1\n",
    ):
        program(tmp_path, text)
        with pytest.raises(ConfigError, match="cannot do SM2"):
            sm2.self_test()
        with pytest.raises(AuditError, match="openssl has failed"):
            sm2.Sm2Key(PRIVATE)
    program(tmp_path, "exit 0\n")
    with pytest.raises(AuditError, match="openssl has failed"):
        sm2.Sm2Key(PRIVATE)


def test_an_openssl_that_fails_says_nothing_of_a_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "echo 'out of memory' >&2; exit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AuditError, match="out of memory"):
        sm2.verify(PUBLIC, MESSAGE, der(R, S))


def test_what_the_machine_sets_for_openssl_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "openssl.cnf"
    config.write_text("openssl_conf = x\n[x]\nproviders = y\n[y]\nnull = z\n[z]\nactivate = 1\n")
    monkeypatch.setenv("OPENSSL_CONF", str(config))
    command = [shutil.which("openssl") or "", "dgst", "-sm3", "/dev/null"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    sm2.self_test()
