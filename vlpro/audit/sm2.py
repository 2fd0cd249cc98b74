"""SM2 signatures over SM3 (GB/T 32918.2-2016), by the system's OpenSSL.

The package ``cryptography`` has SM3 but no SM2; Debian's OpenSSL 3 has both. Each signature is made, and each is
checked, by one run of ``openssl pkeyutl``. The private key reaches it through a pipe: it stands on no command line,
in no environment and in no file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vlpro.crypto.sm3 import sm3
from vlpro.errors import AuditError, ConfigError

__all__ = ["PUBLIC_BYTES", "USER_ID", "Sm2Key", "self_test", "verify", "why_not"]

USER_ID = "1234567812345678"
"""What GM/T 0009-2012, section 10, has the signer's name be where nothing else was agreed."""

PUBLIC_BYTES = 65
"""Of a public key: 04, then the point's x and y (GB/T 32918.1, 4.2.9, uncompressed)."""

_ORDER = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
"""Of the curve's base point: GB/T 32918.5-2017, chapter 2."""

# What stands before the scalar (PKCS #8) and before the point (SubjectPublicKeyInfo) in DER; both name the curve.
_PRIVATE = bytes.fromhex("3041020100301306072a8648ce3d020106082a811ccf5501822d042730250201010420")
_PUBLIC = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
_USUAL = ("-rawin", "-digest", "sm3", "-pkeyopt", f"distid:{USER_ID}")
_TIMEOUT_S = 10.0
_WRONG = b"Signature Verification Failure"  # what pkeyutl says of a signature that it could read and check

# GB/T 32918.5-2017, annex A.2: the message, the public key and its signature; GB/T 32905-2016, annex A.1.
_EXAMPLE = (
    bytes.fromhex(
        "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
        "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
    ),
    b"message digest",
    bytes.fromhex(
        "3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
        "022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    ),
)
_SM3_OF_ABC = bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")


class Sm2Key:
    """A private key.

    Args:
        scalar: From 1 to n - 2.

    Attributes:
        public: The public key, 65 bytes.

    Raises:
        AuditError: OpenSSL is missing, or cannot use it.
    """

    def __init__(self, scalar: int) -> None:
        if not 1 <= scalar <= _ORDER - 2:
            raise ValueError("a private key of SM2 is from 1 to n - 2")
        self._key = _PRIVATE + scalar.to_bytes(32, "big")
        made = _openssl(["pkey", "-in", "{}", "-inform", "DER", "-pubout", "-outform", "DER"], self._key)
        self.public = made.stdout.removeprefix(_PUBLIC)
        if made.returncode or len(self.public) != PUBLIC_BYTES:
            raise _failed(made)

    @classmethod
    def derived(cls, seed: bytes) -> Sm2Key:
        """The key that belongs to a seed, tried once: what it signs must verify.

        Args:
            seed: Secret, 32 bytes. Whoever has it has the key; the key does not tell it (HKDF, RFC 5869).

        Raises:
            AuditError: OpenSSL is missing, or cannot use it.
        """
        # 384 bits, so that no scalar is likelier than another (FIPS 186-5, A.2.1).
        wide = HKDF(hashes.SHA256(), 48, salt=None, info=b"vlpro audit sm2 1").derive(seed)
        key = cls(int.from_bytes(wide, "big") % (_ORDER - 2) + 1)
        verify(key.public, b"vlpro", key.sign(b"vlpro"))
        return key

    def sign(self, data: bytes) -> bytes:
        """Sign, under the usual user id; takes some 10 ms.

        Returns:
            The signature in DER (GB/T 35276-2017, 7.3), 70 to 72 bytes.

        Raises:
            AuditError: OpenSSL has failed.
        """
        made = _openssl(
            ["pkeyutl", "-sign", "-inkey", "{}", "-keyform", "DER", *_USUAL], self._key, data=data
        )
        if made.returncode or not made.stdout:
            raise _failed(made)
        return made.stdout


def verify(public: bytes, data: bytes, signature: bytes) -> None:
    """Check a signature; takes some 10 ms.

    Args:
        public: Public key, 65 bytes.
        data: What was signed.
        signature: In DER.

    Raises:
        InvalidSignature: It is not this key's over this.
        AuditError: OpenSSL has failed: nothing is known of the signature.
    """
    if len(public) != PUBLIC_BYTES or not signature:
        raise InvalidSignature
    command = ["pkeyutl", "-verify", "-pubin", "-inkey", "{}", "-keyform", "DER", "-sigfile", "{}", *_USUAL]
    found = _openssl(command, _PUBLIC + public, signature, data=data)
    if found.returncode:
        raise InvalidSignature if _WRONG in found.stdout else _failed(found)


def self_test() -> None:
    """Check that SM2 and SM3 are here and right, by the examples of their standards.

    Raises:
        ConfigError: They are not. Says what to do.
    """
    reason, zh = why_not()
    if sm3(b"abc") != _SM3_OF_ABC:
        reason, zh = "this build of cryptography gives wrong SM3 hashes", "cryptography 库的 SM3 结果不正确"
    if reason:
        raise ConfigError(
            f"VLPRO_CRYPTO is gm, but {reason}. Install OpenSSL 3 (apt install openssl), or set VLPRO_CRYPTO to "
            "international.",
            zh=f"VLPRO_CRYPTO 为 gm，但{zh}。请安装 OpenSSL 3（apt install openssl），或将 VLPRO_CRYPTO 设为 "
            "international。",
            param="crypto",
        )


def why_not() -> tuple[str, str]:
    """Why SM2 cannot be used on this machine, in English and in Chinese; empty: it can."""
    if shutil.which("openssl") is None:
        return "there is no openssl on this machine", "本机没有 openssl"
    try:
        verify(*_EXAMPLE)
    except (InvalidSignature, AuditError):
        return "the openssl of this machine cannot do SM2", "本机的 openssl 不支持 SM2"
    return "", ""


def _openssl(
    arguments: list[str], *parts: bytes, data: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run it.

    Args:
        arguments: After its name; each ``{}`` stands for one of the parts.
        *parts: Given through pipes; each smaller than a pipe holds, 4096 bytes.
        data: Given at its input.

    Raises:
        AuditError: It is missing, or does not end.
    """
    program = shutil.which("openssl")
    if program is None:
        raise AuditError(
            "There is no openssl on this machine, which SM2 needs.", zh="本机没有 openssl，SM2 需要它。"
        )
    with ExitStack() as held:
        ends = []
        for part in parts:
            end, begin = os.pipe()
            held.callback(os.close, end)
            ends.append(end)
            try:
                os.write(begin, part)
            finally:
                os.close(begin)
        names = iter(f"/dev/fd/{end}" for end in ends)
        command = [next(names) if word == "{}" else word for word in arguments]
        try:
            return subprocess.run(  # noqa: S603 - its words are ours
                [program, *command],
                input=data if data is not None else b"",
                capture_output=True,
                pass_fds=ends,
                timeout=_TIMEOUT_S,
                check=False,
                env={"OPENSSL_CONF": os.devnull},  # so that it does the same on every machine
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AuditError(f"openssl cannot be run: {error}.", zh=f"无法运行 openssl：{error}。") from error


def _failed(run: subprocess.CompletedProcess[bytes]) -> AuditError:
    said = run.stderr.decode(errors="replace").strip().splitlines()
    why = said[-1][:200] if said else f"exit status {run.returncode}"
    return AuditError(f"openssl has failed at SM2: {why}", zh=f"openssl 执行 SM2 失败：{why}")
