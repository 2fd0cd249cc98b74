from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.people import Person, World


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """An empty database of each kind."""
    made = World(database_url)
    yield made
    made.close()


@pytest.fixture
def admins(world: World) -> tuple[Person, Person]:
    """The first two administrators: security, then system."""
    return world.found()
