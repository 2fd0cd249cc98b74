"""What the commands of the keys work on: the key file, the databases, and the audit."""

from __future__ import annotations

import getpass
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # making a key file needs no database, and takes a third of the time without
    from collections.abc import Iterator

    from vlpro.audit.recorder import LogRecorder
    from vlpro.crypto import KeyFile, Sealer
    from vlpro.crypto.stored import SealedColumn
    from vlpro.db import Database

__all__ = ["OpenedKeys", "opened_keys"]


class OpenedKeys:
    """The keys, the databases, and the audit."""

    def __init__(self, sealer: Sealer, main: Database, recorder: LogRecorder) -> None:
        from vlpro.sealed_columns import AUDIT, MAIN

        self.sealer = sealer
        self._recorder = recorder
        self.columns: tuple[tuple[Any, SealedColumn], ...] = (
            *((main, column) for column in MAIN),
            *((recorder.audit.database, column) for column in AUDIT),
        )

    @property
    def file(self) -> KeyFile:
        """The key file."""
        assert self.sealer.file is not None  # noqa: S101 - sealer_of reads one
        return self.sealer.file

    def record(self, what: str, key: str, **more: Any) -> None:
        """Put it on the record; before it is done, so that nothing is done without."""
        from vlpro.audit.events import Event

        self._recorder.note(Event.KEYS_CHANGED, object=key, detail={"what": what, **more})


@contextmanager
def opened_keys(*, record: bool = True) -> Iterator[OpenedKeys]:
    """The keys and what is sealed by them.

    Args:
        record: Whether something is done with them that belongs on the record.
    """
    from vlpro import config
    from vlpro.audit.record import Actor
    from vlpro.audit.recorder import ACTOR
    from vlpro.commands.audit_access import check_key
    from vlpro.gateway.profile import database_of, recorder_of, sealer_of

    settings = config.load()
    check_key(settings)
    sealer = sealer_of(settings)
    main = database_of(settings)
    recorder = recorder_of(settings, sealer)
    if record:
        recorder.audit.start()
        ACTOR.set(Actor(login=getpass.getuser(), role="machine"))
    try:
        yield OpenedKeys(sealer, main, recorder)
    finally:
        if record:
            recorder.audit.stop()
        recorder.audit.database.close()
        main.close()
