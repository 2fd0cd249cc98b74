"""A machine of the tests' own as in ``machine``, and systemd is its first process: its units are really started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.server import ROOT
from tests.deploy.machine import Machine
from tests.functional.server import eventually

__all__ = ["booted"]

# Nothing of this machine's own is started, only journald and what a test starts; kernel and devices are left alone.
_SETUP = """
mount -t tmpfs tmpfs {folder}
mkdir {folder}/over {folder}/work {folder}/root {folder}/groups
mount -t cgroup2 cgroup2 {folder}/groups
mkdir {folder}/groups/{group}
echo 0 > {folder}/groups/{group}/cgroup.procs
umount {folder}/groups
exec unshare -C sh -ec '
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/over,workdir={folder}/work {folder}/root
cd {folder}/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
    touch dev/$name
    mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for name in {places}; do
    mkdir -p .$name
    mount --bind $name .$name
done
for name in etc/systemd/system lib/systemd/system-generators lib/systemd/system/*.target.wants; do
    mount -t tmpfs tmpfs $name
done
: > etc/fstab
printf "[Unit]\\nWants=systemd-journald.service systemd-journald.socket\\n" > etc/systemd/system/test.target
ip link set lo up
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=test.target --show-status=no
'
"""


@dataclass(frozen=True)
class Booted(Machine):
    """The machine.

    Args:
        pid: Its first process.
    """

    def command(self, *words: str | Path) -> list[str]:
        """What runs these words there."""
        return ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", "-C", "-r", "-w", "--", *map(str, words)]


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """One until the end of the block; skips where there can be none.

    Args:
        folder: An empty one.
    """
    if shutil.which("systemctl") is None or not Path("/lib/systemd/systemd").exists():
        pytest.skip("needs systemd: apt-get install systemd")
    if os.getuid() != 0:
        pytest.skip("needs root: it mounts, and makes accounts")
    mount = ["unshare", "-m", "--propagation", "private", "mount", "-t", "cgroup2", "cgroup2", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine mounts no control groups")
    places = " ".join(dict.fromkeys((str(ROOT), sys.prefix, sys.base_prefix, str(folder.parent))))
    group = f"tests-{os.getpid()}-{folder.parent.name}"
    script = _SETUP.format(folder=folder, places=places, group=group)
    command = ["unshare", "--kill-child", "-m", "-n", "-p", "-f", "-u", "-i", "--mount-proc"]
    command += ["--propagation", "private", "sh", "-ec", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            eventually(lambda: bool(children.read_text()))
            there = Booted(int(children.read_text()))
            eventually(lambda: _runs(there) or process.poll() is not None, timeout_s=120)
            assert process.stdout is not None
            assert process.poll() is None, f"it did not boot: {process.stdout.read()}"
            yield there
        finally:
            process.kill()  # and so all that is there
            eventually(lambda: _forgotten(group), timeout_s=60)


def _runs(there: Machine) -> bool:
    state = there.run("systemctl", "is-system-running").stdout.strip()
    return state in ("running", "degraded")


def _forgotten(group: str) -> bool:
    """Whether the control groups are gone, which a kernel keeps until somebody removes them."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines())
    left = [
        Path(place, group)
        for _, place, kind, *_ in mounts
        if kind == "cgroup2" and Path(place, group).is_dir()
    ]
    for place in left:
        for inner in sorted(place.glob("**/"), key=lambda path: len(path.parts), reverse=True):
            with suppress(OSError):
                inner.rmdir()
    return not any(place.exists() for place in left)
