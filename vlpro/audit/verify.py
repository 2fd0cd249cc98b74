"""Whether a whole record is what was written: every byte, every place, every signature, in one pass.

The rules (:mod:`vlpro.audit.verifier`) read nothing; :mod:`vlpro.audit.sources` reads. What is wrong is raised, never
returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from vlpro.audit.copies import Copy
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.sources import Source
from vlpro.audit.summary import Summary
from vlpro.audit.verifier import Verifier

__all__ = ["verify"]


def verify(
    source: Source,
    *,
    keys: Sequence[bytes],
    archives: Iterable[Source] | None = None,
    copies: Sequence[Copy] = (),
    log_id: str | None = None,
    cosigned: Cosigned | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Summary:
    """Verify a record.

    Args:
        source: Where it is read from.
        keys: Public keys whose signatures are trusted, 32 bytes each.
        archives: The archives before it, in order; None: they are not at hand, and what lies in them is only told.
        copies: Of checkpoints, kept elsewhere (:func:`vlpro.audit.copies.read_copies`).
        log_id: The log that it must be; None: whichever the record says.
        cosigned: Checks signatures with SM2; None: by the keys that the log names.
        progress: Is given how many records were read, and about how many there are.

    Raises:
        VerificationError: Something is not what it must be; it names the first record where this shows.
        AuditError: OpenSSL has failed at a signature with SM2.
        DatabaseError: The database does not answer.
    """
    parts = list(archives) if archives is not None else []
    total = sum(part.count() for part in (*parts, source))
    cosigned = cosigned or Cosigned()
    state = Verifier(
        keys, copies, log_id, cosigned, whole=archives is not None, progress=progress, total=total
    )
    try:
        for part in parts:
            state.read(part)
        state.begin_last()
        state.read(source)
        summary = state.end()
    finally:
        cosigned.finish()  # what is wrong with an earlier checkpoint comes first
    progress(max(1, total), max(1, total))
    return replace(summary, sm2=cosigned.right, sm2_unchecked=cosigned.unchecked)
