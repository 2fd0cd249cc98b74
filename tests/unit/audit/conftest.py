"""A filled log, of each kind of database; filled once, and put back before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgresql import Cluster
from tests.unit.audit.victim import Victim
from vlpro.db import sqlite_url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Victim, dict[str, list[dict[str, object]]]]]:
    """A log of 36 records with checkpoints of 11, 21, 31 and 36; and a backup of it."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("victim"))
    else:
        server: Cluster = request.getfixturevalue("postgresql")
        url = server.new()
    made = Victim(url)
    made.fill(35)
    yield made, made.dump()
    made.database.close()


@pytest.fixture
def victim(filled: tuple[Victim, dict[str, list[dict[str, object]]]]) -> Iterator[Victim]:
    """The filled log, for one attack."""
    made, backup = filled
    made.restore(backup)
    copied, now = list(made.copied), made.clock.now
    yield made
    made.copied[:], made.clock.now = copied, now
