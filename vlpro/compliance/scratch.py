"""A scratch system: the real application in profile mlps3 on a folder of its own, spoken to in memory.

It has the live system's settings and policy as far as they decide what is allowed; its key, its accounts and its data
are its own and go with it. Each check makes the accounts that it needs, so that none depends on another.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pyotp
import sqlalchemy as sa
from PIL import Image

from vlpro.audit.alerts.options import AlertOptions
from vlpro.audit.events import Event
from vlpro.audit.tables import records
from vlpro.client import SESSION_COOKIE
from vlpro.compliance.clause import FailedError, NotEvaluatedError
from vlpro.config import Settings
from vlpro.crypto import make_key_file
from vlpro.db import Database
from vlpro.identity import totp
from vlpro.identity.passwords import Passwords
from vlpro.identity.permissions import Role
from vlpro.identity.policy import Policy
from vlpro.identity.sessions import open_session
from vlpro.identity.setup import FirstAdministrator
from vlpro.identity.tables import accounts, totps

if TYPE_CHECKING:
    from vlpro.compliance.context import Application, Context

__all__ = ["FOREIGN", "METRICS", "PASSWORD", "Browser", "Json", "Person", "Scratch", "picture"]

T = TypeVar("T")
Json = dict[str, Any]
PASSWORD = "Kiesel-73-Laterne-Sued-Wolke-41-Regen-Hafen-58-Kupfer-Amsel-96-Tor"  # noqa: S105
"""Of people who do not exist; good under the strictest policy."""
_URL = "https://scratch.invalid"
_WAIT_S = 60.0
_SOON_S = 3.0
METRICS = "198.51.100.7"
"""From where the scratch system's metrics may be read (RFC 5737: an address for documentation)."""
FOREIGN = "203.0.113.7"
"""An address that no policy lists (likewise)."""


@dataclass
class Person:
    """Somebody of the scratch system.

    Args:
        id: Of the account.
        login: Its login.
        password: One-time, until it is changed.
        secret: Of the authenticator app; empty: there is none yet.
    """

    id: str
    login: str
    password: str
    secret: str = ""


class Browser:
    """Speaks to the scratch system; keeps cookies, follows nothing by itself.

    Args:
        run: Runs a coroutine where the application is.
        asgi: The application.
        address: Where it is.
        headers: With each request.
    """

    def __init__(
        self,
        run: Callable[[Coroutine[Any, Any, httpx.Response]], httpx.Response],
        asgi: Any,
        address: str,
        headers: Mapping[str, str],
    ) -> None:
        self._run = run
        self.address = address
        transport = httpx.ASGITransport(asgi, raise_app_exceptions=False, client=(address, 50_000))
        self.http = httpx.AsyncClient(
            transport=transport,
            base_url=_URL,
            headers={"origin": _URL, "accept-language": "en", **headers},
            timeout=_WAIT_S,
            trust_env=False,
        )

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, with httpx's options."""
        return self._run(self.http.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """POST, a JSON value where one is given."""
        return self.send("POST", path, **({"json": body} if body is not None else {}), **options)

    def form(self, path: str, **fields: str) -> httpx.Response:
        """Send a form, as a page without scripts does."""
        return self.send("POST", path, data=fields, headers={"accept": "text/html"})

    def page(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.send("GET", path, headers={"accept": "text/html"})

    @property
    def session(self) -> str:
        """The session's cookie; empty where there is none."""
        return self.http.cookies.get(SESSION_COOKIE) or ""


@dataclass
class _Running:
    """The application's loop, in a thread of its own."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    ready: threading.Event = field(default_factory=threading.Event)
    end: asyncio.Event | None = None
    error: BaseException | None = None


class Scratch:
    """The scratch system, started.

    Args:
        context: Of the live system.

    Raises:
        FailedError: It does not start, or the first administrators cannot be made.
    """

    def __init__(self, context: Context) -> None:
        folder = context.folder / "scratch"
        folder.mkdir(mode=0o700)
        make_key_file(folder / "key")
        self.folder = folder / "data"
        self.key_file = folder / "key"
        self.settings = _settings(context.settings, folder)
        self.application: Application = context.application(self.settings)
        self.identity = self.application.identity
        self.policy, self.users, self.administration = _policy(context)
        self._addresses = count(1)
        with self.database.read() as connection:
            accounts = sa.text("SELECT count(*) FROM accounts")
            self.accounts_at_first = int(connection.execute(accounts).scalar_one())
        self._people = count(1)
        self._of_role: dict[Role, Person] = {}
        self._browsers: dict[Role, Browser] = {}
        self._running = _Running()
        self._thread = threading.Thread(target=self._serve, name="scratch", daemon=True)
        self._found()
        self._thread.start()
        self._running.ready.wait(_WAIT_S)
        if self._running.error is not None:
            raise self._running.error
        self.identity.policies.decide(
            self.policy.model_dump(mode="json"), base=0, note="scratch", author=self.security.id
        )

    def close(self) -> None:
        """End it."""
        running = self._running
        if running.end is not None and self._thread.is_alive():
            running.loop.call_soon_threadsafe(running.end.set)
        self._thread.join(_WAIT_S)

    # --- inside

    @property
    def database(self) -> Database:
        """Its accounts, conversations, and the rest."""
        return self.identity.database

    @property
    def audit(self) -> Database:
        """Its record."""
        return self.application.recorder.audit.database

    def sql(self, statement: sa.Executable) -> int:
        """Arrange a state that time would bring; the number of rows that changed."""
        with self.database.write() as connection:
            return int(connection.execute(statement).rowcount)

    def last(self) -> int:
        """The number of the last record."""
        with self.audit.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(records.c.seq))).scalar_one() or 0)

    def records(self, after: int = 0, *, login: str | None = None, event: Event | None = None) -> list[Json]:
        """Records after a number.

        Args:
            after: The number.
            login: Whose; None: everybody's.
            event: Of which kind; None: of each.
        """
        query = sa.select(records.c.data).where(records.c.seq > after).order_by(records.c.seq)
        if login is not None:
            query = query.where(records.c.login == login)
        if event is not None:
            query = query.where(records.c.event == str(event))
        with self.audit.read() as connection:
            return [json.loads(bytes(data)) for data in connection.execute(query).scalars()]

    def eventually(self, found: Callable[[], T], *, seconds: float = 10.0) -> T:
        """What a function finds, as soon as that is something; else its last answer."""
        until = time.monotonic() + seconds
        while not (result := found()) and time.monotonic() < until:
            time.sleep(0.02)
        return result

    # --- people

    def browser(
        self, who: Person | None = None, *, address: str = "", administers: bool = False, **headers: str
    ) -> Browser:
        """A browser of somebody with a session; None: of nobody.

        Args:
            who: Whose.
            address: Where from; left out: another one each time, of those that the policy lets users in from.
            administers: Of those that it lets administrators in from.
            **headers: With each request.
        """
        if not address:
            network = self.administration if administers else self.users
            address = _host_in(network, next(self._addresses))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if who is not None:
            named["cookie"] = f"{SESSION_COOKIE}={self.session(who, address=address)}"
        return Browser(self.run, self.application.asgi, address, named)

    def session(self, person: Person, *, address: str = "") -> str:
        """A session without the way to it."""
        with self.database.write() as connection:
            return open_session(
                connection,
                person.id,
                self.policy,
                sealer=self.identity.sealer,
                now=time.time(),
                address=address or _host_in(self.users, 0),
                agent="comply",
                factor="totp",
            )

    def person(self, role: Role | None = Role.USER) -> Person:
        """A new account, made by the administrators through the API.

        Args:
            role: Its role; None: none.

        Raises:
            FailedError: The administrators cannot make one.
        """
        login = f"comply{next(self._people)}"
        made = self.system_browser.post("/v1/accounts", {"login": login, "name": login})
        if made.status_code != 201:
            raise _no_people(made)
        person = Person(made.json()["account"]["id"], login, made.json()["password"])
        if role is not None:
            granted = self.security_browser.send(
                "PUT", f"/v1/accounts/{person.id}/role", json={"role": role.value}
            )
            if granted.status_code != 200:
                raise _no_people(granted)
        return person

    def enrolled(self, role: Role = Role.USER) -> Person:
        """A new account as a first sign-in leaves it: own password, authenticator app; without the way there."""
        person = self.person(role)
        person.password, person.secret = PASSWORD, totp.new_secret()
        sealed = self.identity.sealer.seal(person.secret.encode(), f"totps.secret:{person.id}")
        now = time.time()
        with self.database.write() as connection:
            connection.execute(
                sa.update(accounts)
                .where(accounts.c.id == person.id)
                .values(password=self._hashed, password_at=now, must_change=False)
            )
            connection.execute(
                sa.insert(totps).values(account=person.id, secret=sealed, last_step=0, created_at=now)
            )
        return person

    @cached_property
    def _hashed(self) -> str:
        return Passwords().hash(PASSWORD)

    def role_browser(self, role: Role) -> Browser:
        """A browser of somebody who has this role, with a session of its own if the last one ended."""
        person = self._of_role.get(role)
        if person is None:
            person = self._of_role[role] = self.person(role)
        known = self._browsers.get(role)
        if known is None or known.get("/v1/account").status_code != 200:
            known = self._browsers[role] = self.browser(person, administers=role is not Role.USER)
        return known

    def sign_in(self, person: Person, browser: Browser) -> list[str]:
        """Go through a sign-in as its pages lead; returns them, ``session`` where it ends with one.

        Args:
            person: Whose; what is set up on the way is kept there.
            browser: Where.
        """
        steps = ["login"]
        reply = browser.form("/login", login=person.login, password=person.password)
        for _ in range(6):
            if reply.status_code != 303:
                return [*steps, f"status {reply.status_code}"]
            page = browser.page("/login/continue")
            if browser.session:
                return [*steps, "session"]
            if 'name="new"' in page.text:
                steps.append("password")
                person.password = PASSWORD if person.password != PASSWORD else PASSWORD + "-2"
                new = person.password
                reply = browser.form("/login/password", new=new, repeat=new)
            elif found := re.search(r'id="secret">([A-Z2-7 ]+)<', page.text):
                steps.append("enrol")
                person.secret = found[1].replace(" ", "")
                reply = browser.form("/login/enrol", code=self.code(person))
            elif 'name="kept"' in page.text:
                steps.append("recovery codes")
                reply = browser.form("/login/recovery-codes", kept="yes")
            else:
                steps.append("code")
                reply = browser.form("/login/code", method="totp", code=self.code(person))
        return steps

    @staticmethod
    def code(person: Person, *, steps: int = 0) -> str:
        """What the person's app shows, so many steps of 30 s from now; without an app, what none shows."""
        return pyotp.TOTP(person.secret).at(int(time.time()) + 30 * steps) if person.secret else "000000"

    def becomes(self, status: int, browser: Browser, path: str) -> int:
        """The status of a path, as soon as it is the expected one; else its last one: who asks is known for a second.

        Args:
            status: The expected one.
            browser: Whose.
            path: To get.
        """
        until = time.monotonic() + _SOON_S
        while (found := browser.get(path).status_code) != status and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def together(self, requests: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """What several requests bring, two of which are on their way at once."""

        async def all_of_them() -> list[T]:
            slots = asyncio.Semaphore(2)

            async def one(request: Coroutine[Any, Any, T]) -> T:
                async with slots:
                    return await request

            return list(await asyncio.gather(*map(one, requests)))

        return self.run(all_of_them())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the application is."""
        return asyncio.run_coroutine_threadsafe(work, self._running.loop).result(_WAIT_S)

    # ---

    def _found(self) -> None:
        """The first start, as its one-time secret allows it; before the service starts, which would print one."""
        self.application.recorder.audit.start()
        setup = self.identity.setup
        secret = setup.open()
        if secret is None:
            raise FailedError(
                "A fresh database has accounts already.",
                "全新的数据库中已有账号。",
                {"accounts": self.accounts_at_first},
            )
        setup.complete(
            secret,
            FirstAdministrator("comply-sec", "comply-sec", PASSWORD + "-1"),
            FirstAdministrator("comply-sys", "comply-sys", PASSWORD + "-2"),
        )
        made = {account.login: account.id for account in self.identity.accounts.find()}
        self.security = Person(made["comply-sec"], "comply-sec", PASSWORD + "-1")
        self.system = Person(made["comply-sys"], "comply-sys", PASSWORD + "-2")

    @cached_property
    def system_browser(self) -> Browser:
        """The system administrator's."""
        return self.browser(self.system, administers=True)

    @cached_property
    def security_browser(self) -> Browser:
        """The security administrator's."""
        return self.browser(self.security, administers=True)

    def _serve(self) -> None:
        running = self._running
        asyncio.set_event_loop(running.loop)

        async def serve() -> None:
            running.end = asyncio.Event()
            async with self.application.asgi.router.lifespan_context(self.application.asgi):
                running.ready.set()
                await running.end.wait()

        try:
            running.loop.run_until_complete(serve())
        except BaseException as error:  # noqa: BLE001 - told to who started it
            running.error = error
        finally:
            running.ready.set()
            running.loop.close()


def _settings(live: Settings, folder: Path) -> Settings:
    """The live settings, but for what is the live system's own: its data, its key, its neighbours."""
    defaults = Settings.model_fields
    ours = {
        "profile": "mlps3",
        "engine": "fake",
        "data_dir": folder / "data",
        "key_file": folder / "key",
        "public_url": _URL,
        "trusted_proxies": ("192.0.2.1/32",),
        "audit_copy": folder / "checkpoints",
        "alerts": AlertOptions(poll_s=0.2, thresholds=(live.alerts or AlertOptions()).thresholds),
        "batch": live.batch.model_copy(update={"ray_address": ""}) if live.batch is not None else None,
        "metrics_addresses": live.metrics_addresses or (METRICS,),
        "model_check": "always",
    }
    neighbours = (
        "database_url", "audit_database_url", "key_token", "audit_ship", "ldap", "oidc", "upstream_url",
        "upstream_socket", "upstream_ca", "model_dir", "model_manifest", "allowed_hosts", "delivery", "inspection",
        "report", "knowledge", "fake_delay_s",
    )  # fmt: skip
    without = {name: defaults[name].get_default(call_default_factory=True) for name in neighbours}
    return live.model_copy(update=without | ours)


def _policy(context: Context) -> tuple[Policy, str, str]:
    """The live policy, and a network of users and of administrators that it lets in."""
    try:
        _, policy = context.live.policy()
    except (NotEvaluatedError, FailedError):
        policy = Policy()  # as the software comes
    return (
        policy,
        (*policy.user_addresses, "127.0.0.0/8")[0],
        (*policy.administration_addresses, "127.0.0.0/8")[0],
    )


def _host_in(network: str, number: int) -> str:
    """An address of a network; they come round again where there are few."""
    listed = ipaddress.ip_network(network)
    return str(listed[number % listed.num_addresses])


def _no_people(reply: httpx.Response) -> FailedError:
    return FailedError(
        "The administrators cannot make an account.",
        "管理员无法创建账号。",
        {"status": reply.status_code},
    )


def picture(width: int = 64, height: int = 48) -> bytes:
    """A picture as a file; each is another one."""
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), secrets.token_bytes(width * height * 3)).save(out, "PNG")
    return out.getvalue()
