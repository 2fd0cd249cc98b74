"""docs/operations.md, followed to the letter on a machine that knows no network; and docs/backup.md, to restore."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.browser.server import ROOT
from tests.deploy.kit import Kit, bare, complete, environment
from tests.deploy.machine import Machine, machine
from tests.functional.server import eventually

GUIDE = ROOT / "docs/operations.md"
RESTORE = ROOT / "docs/backup.md"
URL = "https://vl.example.cn"
_STEP = re.compile(r"^<!-- (run|people): (\w+) -->\n(?:```sh\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
_KINDS = {"builder", "debian", "machine", "proof", "restore", "service", "systemd"}
_PEOPLE = {"authority", "administrators", "stop"}


def steps() -> list[tuple[str, str, str]]:
    """Kind, name and commands of everything that is marked, in the guide's order; the restore before its last one."""
    found = [
        (step[1], step[2], step[3] or "")
        for page in (GUIDE, RESTORE)
        for step in _STEP.finditer(page.read_text(encoding="utf-8"))
    ]
    assert [name for _, name, _ in found[-2:]] == ["machine", "restore"]
    return [*found[:-2], found[-1], found[-2]]


@dataclass
class Operator:
    """Who follows the guide.

    Args:
        machine: The bare machine.
        folder: On the connected one.
        stack: Ends what was started.
        serving: Ends the first start.
        seen: What each block printed, by its first command.
    """

    machine: Machine
    folder: Path
    stack: ExitStack
    serving: ExitStack = field(default_factory=ExitStack)
    seen: dict[str, str] = field(default_factory=dict)
    kit: Kit | None = None
    report: dict[str, Any] = field(default_factory=dict)

    def builder(self, commands: str) -> None:
        (self.folder / "deploy").symlink_to(ROOT / "deploy")
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=environment(self.folder / "bin"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.kit = Kit(Path(self.folder / done.stdout.strip()), self.folder / "kit.key", done.stderr)
        assert f"by another way than the archive's: {self.kit.fingerprint}" in done.stderr
        # ... and it is carried over, and its fingerprint told by telephone.
        self.machine.do("mkdir", "-p", "/media/kit")
        self.machine.do("cp", self.kit.archive, "/media/kit")
        self.machine.do("sh", "-c", "echo 127.0.0.1 vl.example.cn >> /etc/hosts")
        for number in range(5, 9):  # by which others know it, and administrators' machines
            self.machine.do("ip", "address", "add", f"10.20.0.{number}/16", "dev", "lo")

    def debian(self, commands: str) -> None:
        """The packages are there already."""
        packages = commands.split()[4:]
        assert "nginx-light" in packages
        self.machine.do("sh", "-c", "command -v python3 openssl nginx curl")

    def machine_(self, commands: str) -> None:
        assert self.kit is not None
        if "uninstall" in commands:
            bare(self.machine)
        done = self.machine.run(
            "bash", "-euo", "pipefail", "-c", commands, cwd="/root", FINGERPRINT=self.kit.fingerprint
        )
        assert done.returncode == 0, (commands, done.stdout[-3000:], done.stderr[-3000:])
        self.seen[commands.partition("\n")[0]] = done.stdout
        if "--certificate " in commands:
            complete(self.machine)

    def service(self, commands: str) -> None:
        """The last command goes on in a terminal while the others are done."""
        *before, last = commands.strip().splitlines()
        self.machine_("\n".join(before))
        output = self.folder / "service"
        self.stack.push(self.serving)
        terminal = ["script", "--quiet", "--flush", "--return", "--command", f"exec {last}", "/dev/null"]
        self.serving.enter_context(self.machine.running(output, *terminal))
        eventually(lambda: "one-time secret" in output.read_text(encoding="utf-8"), timeout_s=120)
        answers = f"curl --silent --fail --cacert /srv/tls/ca.pem {URL}/healthz"
        eventually(lambda: self.machine.run("sh", "-c", answers).returncode == 0, timeout_s=120)

    def systemd(self, commands: str) -> None:
        """No systemd is here: the units are checked by its own checker, and nginx is started by hand."""
        for unit in re.findall(r"vlpro[\w-]*", commands):
            file = f"/etc/systemd/system/{unit}.service"
            done = self.machine.run("systemd-analyze", "verify", file)
            about_ours = [line for line in done.stderr.splitlines() if unit in line]
            assert (done.returncode, about_ours) == (0, [])
        if "nginx" in commands and "nginx" not in self.seen:
            self.seen["nginx"] = "started"
            output = self.folder / "nginx"
            self.stack.enter_context(self.machine.running(output, "nginx", "-g", "daemon off;"))

    def proof(self, commands: str) -> None:
        """With the service that systemd would have started, as in its unit."""
        folder = "install -d -o vlpro -g www-data -m 710 /run/vlpro; exec vlpro serve --sealed --socket"
        output = self.folder / "again"
        with self.machine.running(output, "bash", "-c", f"{folder} /run/vlpro/service.sock"):
            answers = f"curl --silent --fail --cacert /srv/tls/ca.pem {URL}/readyz"
            eventually(lambda: self.machine.run("sh", "-c", answers).returncode == 0, timeout_s=120)
            done = self.machine.run("bash", "-c", f"{commands.strip()} --json", cwd="/root")
        self.report = json.loads(done.stdout)

    def restore(self, commands: str) -> None:
        """Of the newest backup; no systemd is here, and the service is stopped."""
        done = commands.replace("systemctl stop vlpro vlpro-audit-ship\n", "")
        done = done.replace("systemctl start vlpro && ", "")
        assert "systemctl" not in done
        self.machine_(done.replace(" FILE ", ' "$(ls /var/backups/vlpro/*.vlbackup | tail -n 1)" '))
        self.seen["restored"] = self.machine.do(
            "sh", "-c", "vlpro audit verify; vlpro user list; vlpro selftest"
        )

    def authority(self) -> None:
        self.machine.do(
            "sh",
            "-ec",
            "cd /srv/tls; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 "
            "-subj /CN=authority -keyout /media/ca.key -out ca.pem; "
            "openssl x509 -req -in server.csr -CA ca.pem -CAkey /media/ca.key -days 1 -copy_extensions copy "
            "-out server.pem",
        )

    def stop(self) -> None:
        self.serving.close()

    def administrators(self) -> None:
        said = (self.folder / "service").read_text(encoding="utf-8")
        (secret,) = re.findall(r"one-time secret, good for an hour: (\S+)", said)
        fields = [f"secret={secret}"]
        words = {"security": "Kupfer-47-Wolke-fern", "system": "Segel-63-Ofen-leise"}
        for who, word in words.items():
            fields += [f"{who}_login={who}1", f"{who}_name=Zhang", f"{who}_password={word}"]
        form = [part for one in fields for part in ("--data-urlencode", one)]
        curl = ["curl", "--silent", "--fail", "--cacert", "/srv/tls/ca.pem", "--header", f"Origin: {URL}"]
        self.machine.do(*curl, *form, f"{URL}/setup")
        again = self.machine.run(*curl, *form, f"{URL}/setup")
        assert again.returncode == 22, "the secret is good for one use"
        script = Path(__file__).with_name("administrators.py")
        people = [f"{who}1={word}" for who, word in words.items()]
        self.machine.do(sys.executable, script, URL, "/srv/tls/ca.pem", *people)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("operations")
    (folder / "machine").mkdir()
    with machine(folder / "machine") as bare, ExitStack() as stack:
        yield Operator(bare, folder, stack)


def test_every_step_is_one_that_is_followed() -> None:
    names = {kind: {name for of, name, _ in steps() if of == kind} for kind in ("run", "people")}
    assert names == {"run": _KINDS, "people": _PEOPLE}
    assert all(commands for kind, _, commands in steps() if kind == "run")


def test_the_guide_leads_from_a_bare_machine_to_production(followed: Operator) -> None:
    for kind, name, commands in steps():
        if kind == "people":
            getattr(followed, name)()
        else:
            getattr(followed, {"machine": "machine_"}.get(name, name))(commands)
    accounts = followed.seen["vlpro user list"]  # and what follows it in that block
    assert "security1" in accounts
    assert "system1" in accounts
    assert "whole and unaltered" in accounts
    assert '"ready"' in accounts or "ok" in accounts
    verdicts = {
        clause["id"]: {
            check["name"]: check["verdict"] for check in clause["checks"] if check["verdict"] != "pass"
        }
        for clause in followed.report["clauses"]
    }
    assert "fail" not in {verdict for checks in verdicts.values() for verdict in checks.values()}, verdicts
    # No database of advisories is here, no shipper runs, no model is there, no card; the small kit's lock names few.
    open_ = {"advisories", "audit_copy", "gpu_memory", "installed_lock", "model_verified"}
    assert set().union(*verdicts.values()) == open_
    passed = {clause for clause, checks in verdicts.items() if not checks}
    assert {"8.1.4.1 c", "8.1.4.2 a", "8.1.4.4 b", "8.1.4.4 c", "8.1.4.9 a", "F5"} <= passed
    restored = followed.seen["restored"]
    assert "whole and unaltered" in restored
    assert "system1" in restored
    gone = followed.machine.run("test", "-e", "/opt/vlpro")
    assert gone.returncode == 1
    assert "/var/backups/vlpro/" in followed.seen["vlpro backup --to /var/backups/vlpro --keep 14"]
    kept = followed.machine.do(
        "ls", "/etc/vlpro/keys/key", "/var/lib/vlpro/vlpro.db", "/var/lib/vlpro/audit/audit.db"
    )
    assert len(kept.split()) == 3
