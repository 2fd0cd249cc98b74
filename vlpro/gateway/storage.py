"""Where everything but the audit is stored."""

from __future__ import annotations

from typing import NamedTuple

from vlpro.crypto import Sealer
from vlpro.db import Database

__all__ = ["Storage"]


class Storage(NamedTuple):
    """One database for all services, and what seals it there."""

    database: Database
    sealer: Sealer
