"""Time-based one-time passwords (RFC 6238): pure; who calls it keeps the secret and the last step."""

from __future__ import annotations

import base64
import hmac
import io
import secrets
from dataclasses import dataclass

import pyotp
import segno

__all__ = ["STEP_S", "Code", "check", "grouped", "new_secret", "qr", "uri"]

STEP_S = 30
_WINDOW = 1  # steps beside the present one that are taken (RFC 6238 section 5.2)
_LOOK = 20  # steps beside it in which a right code is known as one from a wrong clock


@dataclass(frozen=True, slots=True)
class Code:
    """What a code turned out to be.

    Args:
        step: RFC 6238's T, where it is accepted; else None.
        replayed: It is right, but was used already, or a later one was.
        drift_s: It is right for a clock that is wrong by about so many seconds (positive: fast); else 0.
    """

    step: int | None = None
    replayed: bool = False
    drift_s: int = 0


def new_secret() -> str:
    """A new secret: 160 bits (RFC 4226 section 4), base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def check(secret: str, code: str, now: float, last_step: int) -> Code:
    """Check a code.

    Args:
        secret: Base32.
        code: As typed.
        now: Unix time.
        last_step: Of the last code that was accepted; 0 where there was none.
    """
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdecimal() and len(digits) == 6):
        return Code()
    generator = pyotp.TOTP(secret)
    present = int(now) // STEP_S
    found = None
    for step in range(present - _LOOK, present + _LOOK + 1):  # all of them, whatever was found: equal time
        right = hmac.compare_digest(generator.generate_otp(max(0, step)), digits)
        if right and (found is None or abs(step - present) < abs(found - present)):
            found = step
    if found is None:
        return Code()
    if abs(found - present) > _WINDOW:
        return Code(drift_s=(found - present) * STEP_S)
    if found <= last_step:
        return Code(replayed=True)
    return Code(step=found)


def uri(secret: str, login: str, issuer: str) -> str:
    """For authenticator apps (otpauth key URI format)."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)


def qr(text: str) -> str:
    """A QR code as a ``data:`` URI, drawn here."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", scale=5, border=3, light="#fff", xmldecl=False
    )
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


def grouped(secret: str) -> str:
    """A secret as people type it: groups of four."""
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
