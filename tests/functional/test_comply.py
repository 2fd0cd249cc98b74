"""A system that is weakened in one thing fails in the clauses of that thing, and in no other."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.requests import Request

from tests.clauses import failed, tried
from tests.functional.company import company, settings_of
from tests.people import Clock, World
from vlpro.audit.events import Event
from vlpro.audit.place import audit_sealer
from vlpro.audit.record import Entry
from vlpro.audit.service import open_log
from vlpro.compliance.checks import cards
from vlpro.compliance.clause import Verdict
from vlpro.compliance.options import ComplianceOptions
from vlpro.config import Settings
from vlpro.crypto import read_key_file
from vlpro.db import Database, sqlite_url
from vlpro.device import DeviceMonitor
from vlpro.engines.interface import Forgotten
from vlpro.gateway import deps, guard
from vlpro.identity import authentication, sign_in, totp
from vlpro.identity.factors import Factors
from vlpro.identity.failures import Failures
from vlpro.identity.permissions import Role
from vlpro.identity.tables import accounts, policies
from vlpro.schema import Gpu

STORED = (
    "policy_passwords", "policy_lock", "policy_factors", "policy_stale", "policy_images", "accounts_in_use",
    "roles_held", "factors_held", "password_hashes", "audit_verified", "live_record_fields", "key_outside",
    "data_folder", "retention", "backups",
)  # fmt: skip
"""Checks of what is stored: they need no scratch system."""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[Settings, World]]:
    """A live system in profile mlps3, all whose stored things are as they should be."""
    settings = settings_of(tmp_path)
    settings.data_dir.mkdir(mode=0o700)
    world = World(
        sqlite_url(settings.data_dir),
        clock=Clock(time.time()),
        key=read_key_file(tmp_path / "key", settings.data_dir),
    )
    both = world.found()
    world.person("liwei", Role.USER, by=both)
    world.person("auditor", Role.AUDIT, by=both)
    # Hashes of the tests are cheaper than the service's.
    strong = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA"
    with world.identity.database.write() as connection:
        connection.execute(sa.update(accounts).values(password=strong))
    database = Database(sqlite_url(settings.data_dir, "audit"))
    log = open_log(
        database,
        audit_sealer(profile="mlps3", data_dir=settings.data_dir, key_file=settings.key_file),
        every_records=2,
    )
    log.start()
    for _ in range(5):
        log.record(Entry(Event.SIGN_IN))
    log.stop()
    database.close()
    backed_up(settings, hours=1)
    yield settings, world
    world.close()


def backed_up(settings: Settings, *, hours: float) -> None:
    at = time.time() - hours * 3600
    state = {"at": at, "file": "x", "audit_sequence": 1, "verified": {"at": at, "file": "x"}}
    (settings.data_dir / "backup-state.json").write_text(json.dumps(state))


def decided(**content: Any) -> Callable[[Settings, World], None]:
    def weaken(_: Settings, world: World) -> None:
        current = world.identity.policies.current().policy.model_dump(mode="json")
        with world.identity.database.write() as connection:
            connection.execute(
                sa.insert(policies).values(
                    version=1, content=current | content, note="", author=None, created_at=time.time()
                )
            )

    return weaken


def in_accounts(statement: sa.Update) -> Callable[[Settings, World], None]:
    def weaken(_: Settings, world: World) -> None:
        with world.identity.database.write() as connection:
            connection.execute(statement)

    return weaken


def altered_record(settings: Settings, _: World) -> None:
    with closing(sqlite3.connect(settings.data_dir / "audit.db")) as file:
        file.execute(
            "UPDATE audit_records SET data = CAST(replace(CAST(data AS TEXT), 'begun', 'Begun') AS BLOB)"
        )
        file.commit()


def no_auditor(_: Settings, world: World) -> None:
    world.identity.accounts.disable(
        next(a.id for a in world.identity.accounts.find() if a.login == "auditor"), by="usr_x"
    )


@pytest.mark.parametrize(
    ("weaken", "clauses"),
    [
        pytest.param(lambda *_: None, set(), id="nothing"),
        pytest.param(decided(password_min_length=8), {"8.1.4.1 a"}, id="short passwords"),
        pytest.param(decided(lock_after_failures=10), {"8.1.4.1 b"}, id="late lock"),
        pytest.param(decided(idle_minutes=30), {"8.1.4.1 b"}, id="long idle"),
        pytest.param(decided(second_factor="administrators"), {"8.1.4.1 d"}, id="one factor"),
        pytest.param(decided(sessions_per_account=20), {"8.1.4.2 c"}, id="shared accounts"),
        pytest.param(decided(keep_images=True), {"8.1.4.11 a"}, id="pictures kept"),
        pytest.param(
            in_accounts(sa.update(accounts).where(accounts.c.login == "liwei").values(login="admin")),
            {"8.1.4.2 b", "8.1.4.2 c"},
            id="default login",
        ),
        pytest.param(
            in_accounts(sa.update(accounts).where(accounts.c.login == "liwei").values(active_at=1.0)),
            {"8.1.4.2 b", "8.1.4.2 c"},
            id="stale account",
        ),
        pytest.param(
            in_accounts(sa.update(accounts).where(accounts.c.login == "liwei").values(password="md5")),
            {"8.1.4.1 a"},
            id="weak hash",
        ),
        pytest.param(
            in_accounts(sa.update(accounts).where(accounts.c.login == "liwei").values(signed_in_at=1.0)),
            {"8.1.4.1 d"},
            id="no second factor",
        ),
        pytest.param(no_auditor, {"8.1.4.2 d", "8.1.5.1", "8.1.5.2", "8.1.5.3"}, id="no audit administrator"),
        pytest.param(altered_record, {"8.1.4.3 c"}, id="altered record"),
        pytest.param(lambda s, _: os.chmod(s.data_dir, 0o755), {"8.1.4.2 a"}, id="open folder"),  # noqa: PTH101, S103
        pytest.param(lambda s, _: backed_up(s, hours=72), {"8.1.4.9 a"}, id="old backup"),
    ],
)
def test_what_is_stored(
    live: tuple[Settings, World], weaken: Callable[[Settings, World], None], clauses: set[str]
) -> None:
    weaken(*live)
    assert failed(live[0], STORED) == clauses


def locks_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Failures, "locked_minutes", lambda *_: 0)


def takes_any_code(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Factors, "check_totp", lambda *_: totp.Code(step=1))


def forgets_passwords(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sign_in, "earlier_passwords", lambda *_: [])


def asks_no_permission(patch: pytest.MonkeyPatch) -> None:
    async def anybody(_: deps.Needs, request: Request) -> Any:
        return deps.principal_of(request)

    patch.setattr(deps.Needs, "__call__", anybody)


def describes_itself_to_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(guard, "_OPEN", guard._OPEN | {"/v1/openapi.json"})


@pytest.mark.parametrize(
    ("weaken", "names", "clauses"),
    [
        pytest.param(
            lambda _: None,
            ("anonymous_walk", "policy_authority", "labels", "session_cap"),
            set(),
            id="nothing",
        ),
        pytest.param(locks_nobody, ("lockout", "session_cap"), {"8.1.4.1 b"}, id="no lock"),
        pytest.param(forgets_passwords, ("password_rules", "session_cap"), {"8.1.4.1 a"}, id="no history"),
        pytest.param(takes_any_code, ("two_factors", "session_cap"), {"8.1.4.1 d"}, id="any code"),
        pytest.param(
            asks_no_permission,
            ("policy_authority", "anonymous_walk", "session_cap"),
            {"8.1.4.2 e", "8.1.5.3"},
            id="no permissions",
        ),
        pytest.param(
            describes_itself_to_nobody, ("anonymous_walk", "session_cap"), {"8.1.4.2 a"}, id="open route"
        ),
    ],
)
def test_what_the_software_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    weaken: Callable[[pytest.MonkeyPatch], None],
    names: tuple[str, ...],
    clauses: set[str],
) -> None:
    weaken(monkeypatch)
    assert failed(Settings(data_dir=tmp_path / "data"), names) == clauses


HOME = {"user_addresses": ["10.0.0.0/8"], "administration_addresses": ["10.9.0.0/24", "127.0.0.0/8"]}


@pytest.mark.parametrize(
    ("policy", "weaken", "clauses"),
    [
        pytest.param(HOME, lambda _: None, set(), id="of their own"),
        pytest.param({}, lambda _: None, {"8.1.4.4 c"}, id="as the software comes"),
        pytest.param(
            HOME | {"administration_addresses": ["0.0.0.0/0"]}, lambda _: None, {"8.1.4.4 c"}, id="the world"
        ),
        pytest.param(
            HOME,
            lambda patch: patch.setattr(
                authentication, "addresses_of", lambda _, policy: policy.user_addresses
            ),
            {"8.1.4.4 c"},
            id="not looked at",
        ),
    ],
)
def test_from_where_administrators_come(
    live: tuple[Settings, World],
    monkeypatch: pytest.MonkeyPatch,
    policy: dict[str, Any],
    weaken: Callable[[pytest.MonkeyPatch], None],
    clauses: set[str],
) -> None:
    decided(**policy)(*live)
    weaken(monkeypatch)
    assert failed(live[0], ("addresses_of_administrators",)) == clauses


GIB = 1 << 30


@pytest.mark.parametrize(
    ("kept", "used", "verdict"),
    [
        pytest.param(Forgotten(2, 300, GIB), (4 * GIB, 3 * GIB), Verdict.PASS, id="less than before"),
        pytest.param(Forgotten(2, 300, GIB), (4 * GIB, 4 * GIB), Verdict.FAIL, id="as much as before"),
        pytest.param(
            Forgotten(2, 300, GIB, confirmed=False), (4 * GIB, 3 * GIB), Verdict.NOT_EVALUATED, id="busy"
        ),
        pytest.param(None, (4 * GIB, 3 * GIB), Verdict.NOT_EVALUATED, id="another server's engine"),
    ],
)
def test_what_cards_hold_of_a_cleared_conversation(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: Forgotten | None,
    used: tuple[int, int],
    verdict: Verdict,
) -> None:
    """The running service is a real one; its cards, and what its engine keeps, are told by the test."""

    async def forget(*_: object, **__: object) -> Forgotten | None:
        return kept

    with company(tmp_path, sqlite_url(tmp_path)) as firm:
        told = [Gpu(name="card", memory_used=one, memory_total=80 * GIB) for one in used]
        monkeypatch.setattr(DeviceMonitor, "_gpus", lambda _: [told.pop(0)] if told else [])
        monkeypatch.setattr(cards, "probe", lambda: SimpleNamespace(cards=("card",)))
        monkeypatch.setattr(type(firm.server.services.chat.engine), "forget", forget)
        settings = firm.server.services.settings.model_copy(
            update={"compliance": ComplianceOptions(url=firm.server.url)}
        )
        key = firm.key(scopes=["chat:answer:create", "chat:conversation:use"])
        assert tried(settings, "gpu_memory").verdict is Verdict.NOT_EVALUATED  # without a key nobody is asked
        assert tried(settings, "gpu_memory", key="vlp_wrong").verdict is Verdict.NOT_EVALUATED
        found = tried(settings, "gpu_memory", key=key)
        assert found.verdict is verdict, found.found.en
        with firm.client(Role.USER) as client:
            assert client.get("/v1/conversations").json()["data"] == []
