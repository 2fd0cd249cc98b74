"""What profile ``mlps3`` needs before it starts, and the accounts that it comes with."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from vlpro.config import Settings
from vlpro.crypto import Sealer, read_key_file
from vlpro.db import Database, sqlite_url
from vlpro.errors import ConfigError
from vlpro.identity.directories.interface import PasswordDirectory
from vlpro.identity.directories.oidc import OidcProvider
from vlpro.identity.service import Identity

__all__ = ["database_of", "hosts_of", "identity_of", "oidc_of", "print_setup_secret"]


def identity_of(settings: Settings) -> Identity | None:
    """The accounts, over a database of this version; None in profile ``local``.

    Raises:
        ConfigError: A condition of the profile is missing; names it.
        DatabaseError: The database does not answer.
    """
    if settings.profile == "local":
        return None
    for name, value, en, zh in (
        (
            "public_url",
            settings.public_url.startswith("https://"),
            "the https:// address under which people find the service",
            "对外的 https:// 网址",
        ),
        (
            "key_file",
            settings.key_file,
            "the key to what is stored encrypted: vlpro key FILE",
            "密钥文件：vlpro key 文件",
        ),
        (
            "trusted_proxies",
            settings.trusted_proxies,
            'the proxy that brings TLS, such as ["127.0.0.1/32"] or ["unix"]',
            '提供 TLS 的反向代理，例如 ["127.0.0.1/32"] 或 ["unix"]',
        ),
    ):
        if not value:
            raise ConfigError(
                f"Profile mlps3 does not start without VLPRO_{name.upper()}: {en}.",
                zh=f"mlps3 模式需要设置 VLPRO_{name.upper()}：{zh}。",
                param=name,
            )
    key = read_key_file(settings.key_file or Path(), settings.data_dir)
    return Identity(
        database_of(settings),
        Sealer(key),
        settings.public_url,
        directory=_directory_of(settings),
        later=ThreadPoolExecutor(1, thread_name_prefix="identity").submit,
    )


def database_of(settings: Settings) -> Database:
    """The database, brought up to this version.

    Raises:
        ConfigError: It cannot be used.
        DatabaseError: It does not answer.
    """
    url = settings.database_url.get_secret_value()
    if not url:
        folder = settings.data_dir
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The data folder {folder} cannot be made: {error.strerror}.",
                zh=f"无法创建数据文件夹 {folder}：{error.strerror}。",
                param="data_dir",
            ) from error
        url = sqlite_url(folder.resolve())
    database = Database(url)
    database.migrate()
    return database


def oidc_of(settings: Settings) -> OidcProvider | None:
    """The company's OpenID provider; None: there is none."""
    return OidcProvider(settings.oidc) if settings.oidc is not None else None


def hosts_of(settings: Settings) -> tuple[str, ...]:
    """The host names under which the service may be addressed."""
    public = urlsplit(settings.public_url).hostname
    named = (f"[{public}]" if ":" in public else public,) if public else ()
    return (*settings.allowed_hosts, *named)


def print_setup_secret(identity: Identity, settings: Settings) -> None:
    """At the first start, tell on the terminal how the first administrators are made. It goes to no log."""
    secret = identity.setup.open()
    if secret is None:
        return
    until = datetime.now().astimezone().strftime("%H:%M")
    sys.stderr.write(
        f"\n  首次启动 First start ({until})\n"
        f"  {settings.public_url}/setup\n"
        f"  一次性密钥（1 小时内有效） one-time secret, good for an hour: {secret}\n\n"
    )
    sys.stderr.flush()


def _directory_of(settings: Settings) -> PasswordDirectory | None:
    if settings.ldap is None:
        return None
    from vlpro.identity.directories.ldap import LdapDirectory  # noqa: PLC0415 - its client may not be installed

    return LdapDirectory(settings.ldap)
