"""All of identity, put together once."""

from __future__ import annotations

import time
from collections.abc import Callable

from vlpro.audit.recorder import NullRecorder, Recorder
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.identity.accounts import Accounts
from vlpro.identity.authentication import Authentication
from vlpro.identity.directories.interface import PasswordDirectory
from vlpro.identity.factors import Factors
from vlpro.identity.failures import Failures
from vlpro.identity.keys import Keys
from vlpro.identity.passwords import Passwords
from vlpro.identity.policy import PolicyStore
from vlpro.identity.sessions import Sessions
from vlpro.identity.setup import Setup
from vlpro.identity.sign_in import SignIn

__all__ = ["Identity"]


class Identity:
    """Who may do what, over one database.

    Args:
        database: Migrated.
        sealer: For secrets that must be read again.
        public_url: Where people find the service.
        directory: Of the company, that checks passwords; None: there is none.
        passwords: Of the usual cost where left out.
        clock: Unix time; for tests.
        later: Runs what need not be waited for; at once where it is left out.
        recorder: Of the audit. Left out: nothing is recorded, for tests.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        public_url: str,
        *,
        directory: PasswordDirectory | None = None,
        passwords: Passwords | None = None,
        clock: Callable[[], float] = time.time,
        later: Callable[[Callable[[], None]], object] = lambda work: work(),
        recorder: Recorder | None = None,
    ) -> None:
        recorder = recorder or NullRecorder()
        passwords = passwords or Passwords()
        self.database = database
        self.sealer = sealer
        self.policies = PolicyStore(database, recorder)
        self.failures = Failures(database, clock)
        self.accounts = Accounts(
            database, passwords, self.policies, self.failures, clock=clock, recorder=recorder
        )
        self.factors = Factors(database, sealer, public_url, clock=clock, recorder=recorder)
        self.sessions = Sessions(database, clock, recorder)
        self.keys = Keys(database, self.policies, clock, recorder)
        self.setup = Setup(database, passwords, clock, recorder)
        self.authentication = Authentication(database, self.policies, clock, later=later)
        self.sign_in = SignIn(
            database,
            passwords=passwords,
            policies=self.policies,
            failures=self.failures,
            factors=self.factors,
            directory=directory,
            sealer=sealer,
            clock=clock,
            recorder=recorder,
        )
