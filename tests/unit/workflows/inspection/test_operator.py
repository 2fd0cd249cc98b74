from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.people import World
from vlpro.audit.recorder import ACTOR
from vlpro.db import sqlite_url
from vlpro.errors import ConfigError, ForbiddenError
from vlpro.identity.permissions import Role
from vlpro.identity.principal import LOCAL
from vlpro.workflows.inspection.operator import Operator


def test_where_there_are_accounts_one_is_named_and_may_use_workflows_now(tmp_path: Path) -> None:
    world = World(sqlite_url(tmp_path))
    security, system = world.found()
    li = world.person("liwei", Role.USER, by=(security, system))
    with pytest.raises(ConfigError, match=r"inspection\.mqtt\.account"):
        Operator(world.identity, " ", "mqtt")

    async def acting(login: str) -> tuple[str, str, str]:
        person = await Operator(world.identity, login, "mqtt").act()
        return person.id, ACTOR.get().login, ACTOR.get().address

    assert asyncio.run(acting("LiWei")) == (li.id, "liwei", "mqtt")
    for other in ("nobody", world.account(security).login):  # an administrator has no workflows
        with pytest.raises(ForbiddenError, match=other):
            asyncio.run(acting(other))
    world.identity.accounts.disable(li.id, by=system.id)
    with pytest.raises(ForbiddenError, match="liwei"):
        asyncio.run(acting("liwei"))
    world.close()


def test_in_profile_local_it_is_the_person_at_the_machine() -> None:
    assert asyncio.run(Operator(None, "", "folder").act()) == LOCAL.person
