"""Unix sockets of other programs that this account could speak to: one may carry data out, as Docker's can."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from vlpro.sealing import landlock

__all__ = ["expect", "neighbours"]

_PLACES = ("/run", "/tmp", "/var/tmp", "/var/run", "/dev")  # noqa: S108 - it looks, and writes nothing
_JOURNAL = ("/run/systemd/journal", "/run/systemd/notify")  # what the service prints goes there anyway
_SCOPED = 6  # version of Landlock from which abstract sockets of others are closed


_expected: tuple[Path, ...] = ()


def expect(known: Iterable[Path]) -> None:
    """Tell which are meant to be reached; a fact of the process, as its seal is.

    Args:
        known: Sockets, or folders of sockets, that the settings name.
    """
    global _expected  # noqa: PLW0603 - as above
    _expected = tuple(known)


def neighbours() -> list[str]:
    """Paths of the others, sorted; abstract ones begin with @."""
    fine = {path.resolve() for path in (*_expected, *map(Path, _JOURNAL))}
    seen = {path for place in _PLACES for path in _below(place)}
    found = set()
    scoped = landlock.version() >= _SCOPED
    for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        parts = line.split(maxsplit=7)
        if len(parts) < 8:  # without a name: nobody finds it
            continue
        if parts[7].startswith("@"):
            if not scoped:
                found.add(parts[7])
        else:
            seen.add(parts[7])
    for path in seen:
        real = Path(path).resolve()
        if real.is_relative_to(
            "/proc"
        ):  # /dev/stdout is the journal's, say: it is held already, and takes no connection
            continue
        if _connects(path) and not fine.intersection((real, *real.parents)):
            found.add(str(real))
    return sorted(found)


def _below(place: str) -> Iterable[str]:
    try:
        entries = list(os.scandir(place))
    except OSError:
        return  # closed to this account: nothing in it can be reached
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)
        elif not entry.is_file(follow_symlinks=False):  # known without a look at it
            yield entry.path


def _connects(path: str) -> bool:
    """Whether this account may write to it, which is what connecting takes (unix(7))."""
    try:
        return Path(path).is_socket() and os.access(path, os.W_OK, effective_ids=True)
    except OSError:
        return False
