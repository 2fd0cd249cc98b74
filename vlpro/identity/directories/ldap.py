"""An LDAP directory: the person is searched for, then the password is tried by binding as that person."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from vlpro.errors import ConfigError
from vlpro.identity.directories.interface import DirectoryPerson, PasswordDirectory, person
from vlpro.identity.directories.options import LdapOptions
from vlpro.identity.directories.wire import connected, trusting

__all__ = ["LdapDirectory"]

log = logging.getLogger(__name__)

_MOST_GROUPS = 2001  # one more than a person may have
_NO_ATTRIBUTES = "1.1"
_NOWHERE = "ldapi://%2Fdev%2Fnull"
"""What libldap believes to be connected to: it must never open a connection by itself."""

Entry = tuple[str, Mapping[str, list[bytes]]]


class LdapDirectory(PasswordDirectory):
    """Checks passwords with an LDAP server.

    Args:
        options: How it is reached and read.

    Raises:
        ConfigError: The client is not installed, or the file of authorities cannot be used.
    """

    name = "ldap"

    def __init__(self, options: LdapOptions) -> None:
        self._ldap = _client()
        secure = options.start_tls or urlsplit(options.url).scheme == "ldaps"
        try:
            self._tls = trusting(options.ca) if secure else None
        except OSError as error:  # SSLError is one
            raise ConfigError(
                f"Setting ldap: ca: {options.ca} cannot be read as a PEM file of certificates "
                f"({error.strerror or error}).",
                zh=f"设置 ldap：无法将 ca 文件 {options.ca} 读取为 PEM 证书文件。",
                param="ldap.ca",
            ) from error
        self._options = options
        super().__init__(timeout_s=options.timeout_s)

    def _check(self, login: str, password: str, deadline: float) -> DirectoryPerson | None:
        try:
            with self._session(deadline) as session:
                return session.check(login, password)
        except self._ldap.LDAPError as error:
            # Without the rest of what the client tells, which may hold the person's DN.
            told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
            what = f"{type(error).__name__}: {told.get('desc', '')} {told.get('info', '')}"
            raise ConnectionError(what) from None

    @contextlib.contextmanager
    def _session(self, deadline: float) -> Iterator[_Session]:
        options = self._options
        with connected(options.url, self._tls, start_tls=options.start_tls, deadline=deadline) as near:
            # libldap closes the descriptor itself, so it must not be ours any more.
            connection = self._ldap.initialize(_NOWHERE, fileno=near.detach())
            try:
                connection.set_option(self._ldap.OPT_PROTOCOL_VERSION, self._ldap.VERSION3)
                connection.set_option(self._ldap.OPT_REFERRALS, self._ldap.OPT_OFF)
                connection.set_option(self._ldap.OPT_DEREF, self._ldap.DEREF_NEVER)
                yield _Session(self._ldap, connection, options, deadline)
            finally:
                with contextlib.suppress(self._ldap.LDAPError):
                    connection.unbind_s()


class _Session:
    """One check on one connection."""

    def __init__(self, client: ModuleType, connection: Any, options: LdapOptions, deadline: float) -> None:
        self._ldap = client
        self._connection = connection
        self._options = options
        self._deadline = deadline
        self._attributes = [
            name
            for name in (
                options.id_attribute,
                options.login_attribute,
                options.name_attribute,
                options.department_attribute,
                options.member_of_attribute,
            )
            if name
        ]

    def check(self, login: str, password: str) -> DirectoryPerson | None:
        options = self._options
        if options.user_dn_template:
            dn = options.user_dn_template.replace("{login}", self._ldap.dn.escape_dn_chars(login))
            if not self._is_password_of(dn, password):
                return None
            found = self._find(dn, self._ldap.SCOPE_BASE, login)
            return self._person(found, login) if found else None
        self._bind_as_service()
        found = self._find(options.base_dn, self._ldap.SCOPE_SUBTREE, login)
        if not found or not self._is_password_of(found[0], password):
            return None
        if options.group_base_dn and not options.member_of_attribute:
            self._bind_as_service()
        return self._person(found, login)

    def _bind_as_service(self) -> None:
        try:
            self._bind(self._options.bind_dn, self._options.bind_password.get_secret_value())
        except self._ldap.INVALID_CREDENTIALS:
            raise ConnectionError("the service account (bind_dn, bind_password) is refused") from None

    def _is_password_of(self, dn: str, password: str) -> bool:
        client = self._ldap
        if not dn or not password:  # either would be an anonymous bind, which succeeds
            return False
        try:
            self._bind(dn, password)
        except (
            client.INVALID_CREDENTIALS,  # also locked, expired and disabled with OpenLDAP and Active Directory
            client.INAPPROPRIATE_AUTH,  # has no password
            client.UNWILLING_TO_PERFORM,  # disabled with 389 Directory Server
            client.CONSTRAINT_VIOLATION,  # locked there
            client.NO_SUCH_OBJECT,  # gone in the meantime
        ) as error:
            log.info("directory ldap: a person is refused: %s", type(error).__name__)
            return False
        return True

    def _find(self, base: str, scope: int, login: str) -> Entry | None:
        """The one person of this login; None where there is none or more than one."""
        wanted = self._options.user_filter.replace("{login}", self._ldap.filter.escape_filter_chars(login))
        try:
            entries = self._search(base, scope, wanted, self._attributes, most=2)
        except self._ldap.SIZELIMIT_EXCEEDED:
            entries = []
            log.warning("directory ldap: several people have one login: make user_filter or base_dn narrower")
        except self._ldap.NO_SUCH_OBJECT:
            if scope != self._ldap.SCOPE_BASE:
                raise ConnectionError("there is no base_dn, or the service account may not see it") from None
            entries = []
        if len(entries) > 1:
            log.warning("directory ldap: several people have one login: make user_filter or base_dn narrower")
        return entries[0] if len(entries) == 1 else None

    def _person(self, found: Entry, login: str) -> DirectoryPerson:
        options, (dn, attributes) = self._options, found
        logins = _texts(attributes, options.login_attribute)
        typed = [value for value in logins if value.casefold() == login.casefold()]
        return person(
            "ldap",
            subject=self._subject(attributes),
            login=(typed or logins or [login])[0],
            name=(_texts(attributes, options.name_attribute) or [""])[0],
            department=(_texts(attributes, options.department_attribute) or [""])[0],
            groups=self._groups(dn, login, attributes),
        )

    def _subject(self, attributes: Mapping[str, list[bytes]]) -> str:
        values = attributes.get(self._options.id_attribute.lower(), [])
        if len(values) != 1:
            raise ValueError(
                "a person has no id_attribute, or several, or the service account may not read it"
            )
        if self._options.id_format == "text":
            return values[0].decode()
        if self._options.id_format == "guid":
            return str(uuid.UUID(bytes_le=values[0]))
        return values[0].hex()

    def _groups(self, dn: str, login: str, attributes: Mapping[str, list[bytes]]) -> set[str]:
        options, escape = self._options, self._ldap.filter.escape_filter_chars
        if not options.group_base_dn:
            return set()
        if options.member_of_attribute:
            listed = options.member_of_attribute.lower()
            if any(name.startswith(f"{listed};range=") for name in attributes):
                raise ValueError("more groups than the directory lists at once: use group_filter instead")
            return set(filter(None, map(self._name_of_group, _texts(attributes, listed))))
        # One pass, so that a login which holds {dn} stays what it is.
        parts = options.group_filter.split("{dn}")
        wanted = escape(dn).join(part.replace("{login}", escape(login)) for part in parts)
        name = options.group_name_attribute
        entries = self._search(
            options.group_base_dn, self._ldap.SCOPE_SUBTREE, wanted, [name], most=_MOST_GROUPS
        )
        return {value for _, held in entries for value in _texts(held, name)[:1]}

    def _name_of_group(self, dn: str) -> str | None:
        """Its name, where it lies below the base."""
        try:
            path, base = self._ldap.dn.str2dn(dn), self._ldap.dn.str2dn(self._options.group_base_dn)
        except self._ldap.DECODING_ERROR:
            return None
        if len(path) <= len(base) or _folded(path[-len(base) :]) != _folded(base):
            return None
        names = [
            value for kind, value, _ in path[0] if kind.lower() == self._options.group_name_attribute.lower()
        ]
        return names[0] if names else None

    def _bind(self, dn: str, password: str) -> None:
        self._answer(self._connection.simple_bind(dn, password))

    def _search(self, base: str, scope: int, wanted: str, names: list[str], *, most: int) -> list[Entry]:
        number = self._connection.search_ext(
            base, scope, wanted, names or [_NO_ATTRIBUTES], timeout=self._left(), sizelimit=most
        )
        # What has no DN points to another server, where nobody is asked.
        return [
            (dn, {name.lower(): values for name, values in attributes.items()})
            for dn, attributes in self._answer(number)
            if dn
        ]

    def _answer(self, number: int) -> list[Any]:
        _, data, _, _ = self._connection.result3(number, timeout=self._left())
        return data or []

    def _left(self) -> float:
        return max(0.05, self._deadline - time.monotonic())


def _texts(attributes: Mapping[str, list[bytes]], name: str) -> list[str]:
    return [value.decode() for value in attributes.get(name.lower(), [])]


def _folded(path: list[list[tuple[str, str, int]]]) -> list[list[tuple[str, str]]]:
    return [sorted((kind.lower(), value.casefold()) for kind, value, _ in step) for step in path]


def _client() -> ModuleType:
    try:
        import ldap  # noqa: PLC0415 - an extra, which need not be there
        import ldap.dn  # noqa: PLC0415
        import ldap.filter  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "Setting ldap needs the package python-ldap, which is not installed: run make ldap, or pip install "
            '"vlpro[ldap]" (compiled; on Debian first apt-get install gcc python3-dev libldap2-dev libsasl2-dev).',
            zh='设置 ldap 需要 python-ldap，但尚未安装：请运行 make ldap，或 pip install "vlpro[ldap]"（需要编译；'
            "在 Debian 上请先 apt-get install gcc python3-dev libldap2-dev libsasl2-dev）。",
            param="ldap",
        ) from error
    client: ModuleType = ldap
    return client
