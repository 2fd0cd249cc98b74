"""Passwords: the rules they must pass, and their hashes (Argon2id, RFC 9106)."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from vlpro.errors import BusyError
from vlpro.identity.policy import Policy

__all__ = ["MAX_CHARS", "PasswordProblem", "Passwords", "one_time_password", "problems"]

MAX_CHARS = 128
_WAIT_S = 5.0
# What zxcvbn's dictionaries, made from English-speaking sites, lack: habits of Chinese passwords.
_WORDS = (
    "woaini",
    "aini",
    "woaiwo",
    "mima",
    "wodemima",
    "zhongguo",
    "beijing",
    "shanghai",
    "admin",
    "abc",
    "qwe",
)
_NUMBERS = ("520", "521", "1314", "5201314", "888", "666", "168", "123", "1234", "123456", "2025", "2026")
_HABITS = (*_WORDS, *_NUMBERS, *(word + number for word in _WORDS for number in _NUMBERS))
_LETTERS = "abcdefghjkmnpqrstuvwxyz"  # without those that are misread


@dataclass(frozen=True, slots=True)
class PasswordProblem:
    """A rule that a password breaks.

    Args:
        rule: length, long, classes, contains, guessable, same or used.
        value: The number that the rule names, or 0.
    """

    rule: str
    value: int = 0


class Passwords:
    """Hashes and checks passwords, few at a time: each takes 64 MiB and all cores for a moment.

    Args:
        memory_kib: Argon2's memory; small values are for tests.
        at_once: Hashes computed at the same time; as many as there are cores where left out.
    """

    def __init__(self, memory_kib: int = 65_536, at_once: int | None = None) -> None:
        # RFC 9106 section 4, second recommended option: t=3, 64 MiB, p=4.
        self._hasher = PasswordHasher(
            time_cost=3, memory_cost=memory_kib, parallelism=4, hash_len=32, salt_len=16, type=Type.ID
        )
        self._slots = threading.BoundedSemaphore(at_once or max(1, min(4, os.cpu_count() or 1)))
        self._nobody = self._hasher.hash(secrets.token_hex(32))

    def hash(self, password: str) -> str:
        """Hash a new password. Raises: BusyError where too many wait."""
        with self._slot():
            return self._hasher.hash(password)

    def matches(self, hashed: str | None, password: str) -> bool:
        """Whether a password is the one. None takes as long, and is never it.

        Raises:
            BusyError: Too many checks wait.
        """
        with self._slot():
            try:
                self._hasher.verify(hashed or self._nobody, password[:MAX_CHARS])
            except (VerificationError, InvalidHashError):
                return False
        return hashed is not None and len(password) <= MAX_CHARS

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=_WAIT_S):
            raise BusyError(
                "Many people are signing in. Try again in a few seconds.",
                zh="正在登录的人较多，请几秒后再试。",
                retry_after=5,
            )
        try:
            yield
        finally:
            self._slots.release()


def problems(password: str, policy: Policy, about: Sequence[str]) -> list[PasswordProblem]:
    """Which rules a new password breaks, its history aside.

    Args:
        password: As typed.
        policy: With the numbers.
        about: What it must not contain: login, name, product.
    """
    found = []
    if len(password) < policy.password_min_length:
        found.append(PasswordProblem("length", policy.password_min_length))
    if len(password) > MAX_CHARS:
        return [PasswordProblem("long", MAX_CHARS)]
    if _classes(password) < policy.password_classes:
        found.append(PasswordProblem("classes", policy.password_classes))
    lower = password.lower()
    if any(len(word) >= 3 and word.lower() in lower for word in about):
        found.append(PasswordProblem("contains"))
    if not found and _score(password, about) < policy.password_score:
        found.append(PasswordProblem("guessable"))
    return found


def _classes(password: str) -> int:
    """Of lower case, upper case, digits and others, how many are there."""
    return sum(
        (
            any(c.islower() for c in password),
            any(c.isupper() for c in password),
            any(c.isdigit() for c in password),
            any(not c.isalnum() or (c.isalpha() and not c.islower() and not c.isupper()) for c in password),
        )
    )


def _score(password: str, about: Sequence[str]) -> int:
    """How hard it is to guess, 0 to 4 (Wheeler 2016, zxcvbn: Low-Budget Password Strength Estimation)."""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its dictionaries take a while to load, and few processes need them

    score: int = zxcvbn(password[:72], user_inputs=[*filter(None, about), *_HABITS])["score"]
    return score


def one_time_password() -> str:
    """To be told to somebody, typed once and changed: 16 characters in four groups, about 74 bits, all classes."""
    groups = ["".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3)]
    last = "".join(secrets.choice("23456789") for _ in range(4))
    return "-".join([groups[0].capitalize(), *groups[1:], last])
