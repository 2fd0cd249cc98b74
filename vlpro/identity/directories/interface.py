"""What every directory that checks passwords keeps to, and the person that it tells of."""

from __future__ import annotations

import logging
import time
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from vlpro.errors import DirectoryUnavailableError

__all__ = ["DirectoryPerson", "PasswordDirectory", "is_login", "person", "unavailable"]

log = logging.getLogger(__name__)

_MAX_LOGIN = 256
_MAX_PASSWORD = 1024
_MAX_TEXT = 256
_MAX_SUBJECT = 1024
_MAX_GROUPS = 2000
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class DirectoryPerson:
    """A person whom a directory vouches for.

    Attributes:
        source: The kind of directory.
        subject: What the person is known by for ever there: entryUUID or objectGUID; issuer + "|" + sub. Accounts
            are matched by it and by nothing else: a login may pass to another person.
        login: As the directory writes it; may change.
        name: To be shown; the login where the directory has none.
        department: Empty where it has none.
        groups: Names of the groups that count.
    """

    source: Literal["ldap", "oidc"]
    subject: str
    login: str
    name: str
    department: str
    groups: frozenset[str]


def person(
    source: Literal["ldap", "oidc"],
    *,
    subject: str,
    login: str,
    name: str = "",
    department: str = "",
    groups: Iterable[str] = (),
) -> DirectoryPerson:
    """Make a person of what a directory said.

    What is shown only (name, department) is cut and cleaned; what decides (subject, login, groups) is taken as it is
    or refused.

    Raises:
        ValueError: It cannot be taken; holds no value of the person.
    """
    if not subject or len(subject) > _MAX_SUBJECT or not _printable(subject):
        raise ValueError("the person's lasting identifier is missing, too long or not printable")
    if not is_login(login):
        raise ValueError("the person's login is missing, too long or not printable")
    held = frozenset(groups)
    if len(held) > _MAX_GROUPS:
        raise ValueError(f"the person is in more than {_MAX_GROUPS} groups: narrow what counts as a group")
    if not all(group and len(group) <= _MAX_TEXT and _printable(group) for group in held):
        raise ValueError("the name of a group is empty, too long or not printable")
    return DirectoryPerson(source, subject, login, _shown(name) or login, _shown(department), held)


def is_login(login: str) -> bool:
    """Whether a text can be a login at all: not empty, not long, no control characters or half letters."""
    return 0 < len(login) <= _MAX_LOGIN and _printable(login)


def unavailable() -> DirectoryUnavailableError:
    """What the person is told; the reason is for the log."""
    return DirectoryUnavailableError(
        "The company's directory does not answer, so nobody can sign in with it now. Try again in a minute; if it "
        "goes on, tell your administrator.",
        zh="公司目录暂时没有响应，目前无法通过它登录。请一分钟后重试；若仍不行，请联系管理员。",
    )


class PasswordDirectory(ABC):
    """Checks passwords with a company's directory.

    An implementation writes :meth:`_check`; the base guards it: nothing senseless is sent, no check outlasts the time
    limit, and whatever goes wrong inside leaves as :class:`DirectoryUnavailableError`.

    Args:
        timeout_s: Seconds that one check may take, waiting for its turn included.
    """

    name: str

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="directory")

    def close(self) -> None:
        """Take no more checks; those under way end within their time."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @abstractmethod
    def _check(self, login: str, password: str, deadline: float) -> DirectoryPerson | None:
        """Ask the directory.

        Args:
            login: Printable, 1 to 256 characters.
            password: 1 to 1024 characters.
            deadline: When it must end by itself, on the monotonic clock.

        Returns:
            None where the person is unknown or the password wrong; anything else is raised.
        """

    def check(self, login: str, password: str) -> DirectoryPerson | None:
        """Tell who somebody is. Blocks: call it from a worker thread.

        Args:
            login: As typed.
            password: As typed.

        Returns:
            None where there is no such person, the person may not sign in, or the password is wrong; which of them is
            not told.

        Raises:
            DirectoryUnavailableError: The directory does not answer in time, or answers nonsense.
        """
        # An empty password would be an unauthenticated bind, which servers answer with success (RFC 4513, 5.1.2).
        if not is_login(login) or not 0 < len(password) <= _MAX_PASSWORD or not _whole(password):
            return None
        deadline = time.monotonic() + self._timeout_s
        answer = self._threads.submit(self._check, login, password, deadline)
        try:
            return answer.result(self._timeout_s)
        except DirectoryUnavailableError:
            raise
        except TimeoutError as error:
            answer.cancel()
            log.warning("directory %s: no answer within %g s", self.name, self._timeout_s)
            raise unavailable() from error
        except Exception as error:
            # A failing connection needs no stack; anything else is a mistake of ours or a strange directory.
            said = ascii(str(error))[:300]
            log.warning("directory %s: %s", self.name, said, exc_info=not isinstance(error, OSError))
            raise unavailable() from error


def _printable(text: str) -> bool:
    return not any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in text)


def _whole(password: str) -> bool:
    return "\0" not in password and not any("\ud800" <= letter <= "\udfff" for letter in password)


def _shown(text: str) -> str:
    return "".join(letter if _printable(letter) else " " for letter in text[:_MAX_TEXT]).strip()
