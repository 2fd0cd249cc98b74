"""deploy/systemd and deploy/nftables, as far as they can be seen without a booted machine (test_booted)."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.server import ROOT
from tests.deploy.lab import OUTSIDE, SINK, UPSTREAM, Lab, lab
from vlpro.config import Settings

SYSTEMD, RULES = ROOT / "deploy/systemd", ROOT / "deploy/nftables/vlpro.nft"
SERVICE, RELAY, SHIP = 64_001, 64_002, 64_003

# As an account: connect, and tell what became of it.
_TRY = """
import encodings.idna, os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
try:
    if sys.argv[4] == "udp":
        made = socket.socket(type=socket.SOCK_DGRAM)
        made.connect((sys.argv[2], int(sys.argv[3])))
        made.send(b"x")
        made.send(b"x")
    else:
        socket.create_connection((sys.argv[2], int(sys.argv[3])), 20)
    print("sent")
except OSError as error:
    print(type(error).__name__)
"""

# As in a unit with SystemCallArchitectures=native: try each way out.
_AS_UNIT = """
import ctypes, struct
libc = ctypes.CDLL(None)
steps = ((0x20, 0, 0, 4), (0x15, 0, 3, 0xC000003E), (0x20, 0, 0, 0), (0x35, 1, 0, 0x40000000),
         (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0))  # another architecture, or x32: the thread is ended
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0
from vlpro.sealing import probes
probes.main()
"""


def units(folder: Path) -> list[Path]:
    """The units, with a program in place of the installed one."""
    program = folder / "vlpro"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    made = []
    for unit in (*SYSTEMD.glob("*.service"), ROOT / "deploy/elk/vlpro-audit-ship.service"):
        made.append(folder / unit.name)
        made[-1].write_text(unit.read_text(encoding="utf-8").replace("/opt/vlpro/bin/vlpro", str(program)))
    assert len(made) == 5
    return made


def test_systemd_understands_every_line_and_calls_it_safe(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    files = [str(unit) for unit in units(tmp_path)]
    timers = []
    for timer in SYSTEMD.glob("*.timer"):
        timers.append(str(tmp_path / timer.name))
        shutil.copy(timer, tmp_path)
    assert len(timers) == 2
    done = subprocess.run(
        [program, "verify", *files, *timers], capture_output=True, text=True, check=False, timeout=60
    )
    about_ours = [line for line in done.stderr.splitlines() if "vlpro" in line]
    assert (done.returncode, about_ours) == (0, [])
    for file in files:
        command = [program, "security", "--offline=yes", "--threshold=20", file]
        scored = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert scored.returncode == 0, scored.stdout[-200:]  # exposure of 2.0 of 10 at most


def test_the_units_name_options_that_there_are() -> None:
    for unit in SYSTEMD.glob("*.service"):
        (line,) = re.findall(
            r"^ExecStart=/opt/vlpro/bin/(vlpro .*)$", unit.read_text(encoding="utf-8"), re.MULTILINE
        )
        words = line.split()
        shown = subprocess.run(
            [sys.executable, "-m", "vlpro", words[1], "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert [word for word in words if word.startswith("--") and word not in shown] == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: it mounts")
def test_where_a_unit_hides_and_ends_who_tries_each_way_out_is_refused() -> None:
    """SystemCallArchitectures=native ends the thread that makes such a call; ProtectProc= and ProcSubset= hide the
    parent, and what is no process.
    """
    under = ["unshare", "-m", "-p", "-f", "--mount-proc", "--propagation", "private", "sh", "-ec"]
    script = 'mount -t proc -o subset=pid proc /proc; mount -t tmpfs tmpfs /proc/1; "$0" -c "$1"; exit'
    done = subprocess.run(
        [*under, script, sys.executable, _AS_UNIT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    attempts = {one["way"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert [one for one in attempts.values() if not one["refused"]] == []
    assert attempts["x32"]["told"] == "ENOSYS"  # who tried was ended
    assert attempts["another process's memory"]["told"] == "EACCES"


def test_the_journal_that_a_unit_prints_to_is_no_neighbour() -> None:
    """A service with PostgreSQL starts only where it can reach no other program's socket; /dev/stdout is one here."""
    code = "import sys; from vlpro.sealing.neighbours import neighbours; sys.stderr.write(str(neighbours()))"
    ours, journal = socket.socketpair()
    with ours, journal:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=journal.fileno(),
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
    assert "/proc/" not in done.stderr


def test_a_stop_is_for_the_service_and_not_for_its_workers() -> None:
    """Answers come to their end by workers, whom systemd would ask to end at once (systemd.kill, KillMode=)."""
    unit = (SYSTEMD / "vlpro.service").read_text(encoding="utf-8")
    assert re.findall(r"^KillMode=(\w+)$", unit, re.MULTILINE) == ["mixed"]
    (patience,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(patience) > Settings.model_fields["stop_timeout_s"].default


def test_the_folder_of_the_socket_is_for_nginx_last_of_all() -> None:
    """Before each process of a unit, also of ExecStart=, systemd gives RuntimeDirectory= to User= and Group=."""
    unit = (SYSTEMD / "vlpro.service").read_text(encoding="utf-8")
    assert re.findall(r"^Exec\w+=\+/usr/bin/chgrp .*$", unit, re.MULTILINE) == [
        "ExecStartPost=+/usr/bin/chgrp www-data /run/vlpro"
    ]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A machine with the rules, for accounts that are numbers."""
    if shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip("needs nft: apt-get install nftables")
    if os.getuid() != 0:
        pytest.skip("needs root: the rules tell accounts apart")
    folder = tmp_path_factory.mktemp("guarded")
    rules = RULES.read_text(encoding="utf-8")
    for name, number in (("vlpro", SERVICE), ("vlpro-relay", RELAY), ("vlpro-audit-ship", SHIP)):
        rules = rules.replace(f'skuid "{name}"', f"skuid {number}")
    rules = rules.replace("192.0.2.10 . 8000", f"{OUTSIDE} . {UPSTREAM}")
    (folder / "rules").write_text(rules, encoding="utf-8")
    with lab(folder) as made:
        for _ in range(2):  # the second time in place of the first
            subprocess.run(made.inside(["nft", "-f", str(folder / "rules")]), check=True, timeout=20)
        yield made


def tried(machines: Lab, account: int, port: int, kind: str = "tcp", host: str = OUTSIDE) -> str:
    command = [sys.executable, "-c", _TRY, str(account), host, str(port), kind]
    done = subprocess.run(machines.inside(command), capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def refused(machines: Lab) -> int:
    """Packets that were counted."""
    shown = subprocess.run(
        machines.inside(["nft", "list", "counter", "inet", "vlpro", "refused"]),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    (count,) = re.findall(r"packets (\d+)", shown.stdout)
    return int(count)


@pytest.mark.parametrize("account", [SERVICE, RELAY, SHIP])
def test_an_account_sends_to_its_address_only(guarded: Lab, account: int) -> None:
    before, seen = refused(guarded), len(guarded.seen())
    assert tried(guarded, account, SINK) == "ConnectionRefusedError"
    assert tried(guarded, account, 53, "udp") == "PermissionError"
    assert refused(guarded) > before
    expected = "sent" if account == RELAY else "ConnectionRefusedError"
    assert tried(guarded, account, UPSTREAM) == expected
    assert tried(guarded, account + 100, SINK) == "sent", "another account's"
    wanted = {SINK, UPSTREAM} if account == RELAY else {SINK}
    assert {port for _, port in guarded.seen()[seen:]} == wanted
