"""A company with accounts: the product in profile mlps3 behind TLS, and people who have signed in."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyotp
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.browser.server import ROOT, await_start
from tests.ports import free_port
from tests.support import end
from vlpro.crypto import Sealer, make_key_file, read_key_file
from vlpro.db import Database, sqlite_url
from vlpro.identity.labels import Level
from vlpro.identity.passwords import Passwords
from vlpro.identity.permissions import Role
from vlpro.identity.service import Identity
from vlpro.identity.sessions import open_session
from vlpro.identity.setup import FirstAdministrator
from vlpro.identity.tables import accounts, sessions

__all__ = ["Company", "company"]

_AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36"


@dataclass(frozen=True)
class Company:
    """The running product.

    Args:
        base: Its address, with https.
        inside: The same without TLS, for programs.
        identity: Its accounts, over the same database.
        security: Id of the security administrator "sec".
        system: Id of the system administrator "sys".
    """

    base: str
    inside: str
    identity: Identity
    security: str
    system: str

    def person(
        self,
        login: str,
        name: str,
        department: str = "",
        *,
        role: Role | None = Role.USER,
        level: Level = Level.INTERNAL,
    ) -> str:
        """Make an account; returns its id."""
        account, _ = self.identity.accounts.create(login, name, department, by=self.system)
        if role is not None:
            self.identity.accounts.grant(account.id, role, by=self.security)
        self.identity.accounts.label(account.id, level, by=self.security)
        return account.id

    def session(self, account: str) -> str:
        """Sign somebody in; returns the token for the cookie."""
        now = time.time()
        with self.identity.database.write() as connection:
            policy = self.identity.policies.current().policy
            return open_session(
                connection,
                account,
                policy,
                sealer=self.identity.sealer,
                now=now,
                address="127.0.0.1",
                agent=_AGENT,
                factor="totp",
            )

    def unused(self, account: str, minutes: float) -> None:
        """Let somebody's sessions have been unused for so long."""
        with self.identity.database.write() as connection:
            connection.execute(
                sa.update(sessions)
                .where(sessions.c.account == account)
                .values(seen_at=time.time() - minutes * 60)
            )

    def ends(self, account: str) -> None:
        """End all of somebody's sessions, as an administrator does."""
        self.identity.sessions.end_all(account)

    def password(self, account: str, password: str) -> None:
        """Give somebody a password of their own, which they need not change."""
        hashed = Passwords(64).hash(password)
        with self.identity.database.write() as connection:
            connection.execute(
                sa.update(accounts)
                .where(accounts.c.id == account)
                .values(password=hashed, password_at=time.time() - 172_800, must_change=False)
            )

    def authenticator(self, account: str, login: str) -> pyotp.TOTP:
        """Give somebody an authenticator app."""
        from vlpro.identity.factors import Place  # noqa: PLC0415 - one test only

        if (rest := 30 - time.time() % 30) < 5:  # a code of the step before would soon be one too old
            time.sleep(rest)
        now = time.time()
        with self.identity.database.write() as connection:
            policy = self.identity.policies.current().policy
            open_session(
                connection,
                account,
                policy,
                sealer=self.identity.sealer,
                now=now,
                address="",
                agent="",
                factor="none",
            )
            place = connection.execute(
                sa.select(sessions.c.id).where(sessions.c.account == account, sessions.c.agent == "")
            ).scalar_one()
        offer = self.identity.factors.offer_totp(Place(sessions, place), account, login)
        app = pyotp.TOTP(offer.secret.replace(" ", ""))
        # Of the step before this one, so that the next sign-in repeats none.
        result = self.identity.factors.accept_totp(Place(sessions, place), account, app.at(now - 30))
        assert result.step is not None
        self.identity.sessions.end_all(account)
        return app


@contextmanager
def company(folder: Path, **settings: str) -> Iterator[Company]:
    """The product with accounts, until the end of the block.

    Args:
        folder: For its key, its database and its log.
        **settings: Environment variables, without ``VLPRO_``.
    """
    port, outside = free_port(), free_port()
    base, inside = f"https://localhost:{outside}", f"http://127.0.0.1:{port}"
    data = folder / "data"
    data.mkdir(mode=0o700)
    key = folder / "key"
    make_key_file(key)
    database = Database(sqlite_url(data))
    database.migrate()
    identity = Identity(database, Sealer(read_key_file(key, data)), base, passwords=Passwords(64))
    secret = identity.setup.open()
    assert secret is not None
    identity.setup.complete(
        secret,
        FirstAdministrator("sec", "张安全", "First-41-Password-x"),
        FirstAdministrator("sys", "李系统", "First-42-Password-y"),
    )
    made = {account.login: account.id for account in identity.accounts.find()}
    own = {
        "profile": "mlps3",
        "public_url": base,
        "key_file": str(key),
        "data_dir": str(data),
        "trusted_proxies": '["127.0.0.1/32"]',
        "engine": "fake",
        **settings,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    environment |= {f"VLPRO_{name.upper()}": value for name, value in own.items()}
    log = folder / "log"
    command = [sys.executable, "-m", "vlpro", "serve", "--port", str(port)]
    with log.open("wb") as output, _tls(folder, outside, port):
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            await_start(process, inside, log)
            yield Company(base, inside, identity, made["sec"], made["sys"])
        finally:
            end(process)
            database.close()


@contextmanager
def _tls(folder: Path, outside: int, inside: int) -> Iterator[None]:
    """What a proxy does for the tests: TLS outside, plain inside."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()
    writers: set[asyncio.StreamWriter] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, here = await asyncio.open_connection("127.0.0.1", inside)
        except OSError:
            writer.close()
            return
        writers.update((here, writer))
        await asyncio.gather(carry(reader, here), carry(there, writer))
        writers.difference_update((here, writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", outside, ssl=context)
        ready.set()
        await stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:  # at once: a farewell would outlive the loop
            writer.transport.abort()
        await asyncio.sleep(0.1)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


def _certificate(folder: Path) -> Path:
    """A certificate for localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
