"""A system that is weakened in one thing fails in the clauses of that thing, and in no other."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.requests import Request

from tests.functional.company import settings_of
from tests.people import Clock, World
from vlpro.audit.events import Event
from vlpro.audit.place import audit_sealer
from vlpro.audit.record import Entry
from vlpro.audit.service import open_log
from vlpro.compliance.clause import Verdict, run
from vlpro.compliance.clauses import CLAUSES
from vlpro.config import Settings
from vlpro.crypto import read_key_file
from vlpro.db import Database, sqlite_url
from vlpro.gateway import deps, guard
from vlpro.gateway.complying import context_of
from vlpro.identity import totp
from vlpro.identity.factors import Factors
from vlpro.identity.failures import Failures
from vlpro.identity.permissions import Role
from vlpro.identity.tables import accounts, policies

STORED = (
    "policy_passwords", "policy_lock", "policy_factors", "policy_stale", "policy_images", "accounts_in_use",
    "roles_held", "factors_held", "password_hashes", "audit_verified", "live_record_fields", "key_outside",
    "data_folder", "retention", "backups",
)  # fmt: skip
"""Checks of what is stored: they need no scratch system."""


def failed(settings: Settings, names: Sequence[str]) -> dict[str, list[str]]:
    """The clauses that fail, and by which of some checks."""
    clauses = [replace(c, checks=tuple(k for k in c.checks if k.name in names)) for c in CLAUSES]
    with context_of(settings) as context:
        results = run([clause for clause in clauses if clause.checks], context)
    wrong = {
        result.clause.id: [each.check.name for each in result.checks if each.verdict is Verdict.FAIL]
        for result in results
        if result.verdict is Verdict.FAIL
    }
    assert {each.check.name for result in results for each in result.checks} == set(names)
    return wrong


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
    assert set(failed(live[0], STORED)) == clauses


def locks_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Failures, "locked_minutes", lambda *_: 0)


def takes_any_code(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Factors, "check_totp", lambda *_: totp.Code(step=1))


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
    assert set(failed(Settings(data_dir=tmp_path / "data"), names)) == clauses
