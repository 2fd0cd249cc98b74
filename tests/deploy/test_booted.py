"""deploy/systemd, its units as they are shipped, started by a systemd that is the first process of a machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.server import ROOT
from tests.deploy.booted import booted
from tests.deploy.kit import complete
from tests.deploy.machine import Machine
from tests.functional.server import eventually

_ENVIRONMENT = """
VLPRO_PROFILE=mlps3
VLPRO_PUBLIC_URL=https://vl.example.cn
VLPRO_TRUSTED_PROXIES=["unix"]
VLPRO_KEY_FILE=/etc/vlpro/keys/key
VLPRO_ENGINE=fake
VLPRO_AUDIT_COPY=/srv/audit-copy/checkpoints.jsonl
"""
COPY = "/srv/audit-copy/checkpoints.jsonl"
_PROGRAM = """#!/opt/vlpro/bin/python
from vlpro.commands.app import main
main()
"""
_INSTALL = """
python3 -m venv --without-pip /opt/vlpro
cp -r {root}/vlpro /opt/vlpro/lib/python3.*/site-packages/
useradd --system --home-dir /var/lib/vlpro --shell /usr/sbin/nologin vlpro
useradd --system --no-create-home --gid vlpro --shell /usr/sbin/nologin vlpro-relay
install -d -m 0750 -g vlpro /etc/vlpro
install -d -m 0700 -o vlpro -g vlpro /etc/vlpro/keys /var/lib/vlpro /var/backups/vlpro
install -m 0644 {root}/deploy/systemd/*.service {root}/deploy/systemd/*.timer /etc/systemd/system/
install -m 0755 {folder}/vlpro /opt/vlpro/bin/vlpro
install -m 0640 -g vlpro {folder}/service.env /etc/vlpro/service.env
install -m 0644 {root}/deploy/compose/healthy.py /usr/local/bin/healthy.py
install -d -m 0700 -o vlpro -g vlpro /srv/audit-copy
for unit in vlpro vlpro-backup; do
    install -d /etc/systemd/system/$unit.service.d
    printf '[Service]\\nReadWritePaths=/srv/audit-copy\\n' > /etc/systemd/system/$unit.service.d/30-audit-copy.conf
done
systemctl daemon-reload
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which relay and service were started, and the service answers."""
    folder = tmp_path_factory.mktemp("booted")
    (folder / "machine").mkdir()
    (folder / "service.env").write_text(_ENVIRONMENT, encoding="utf-8")
    (folder / "vlpro").write_text(_PROGRAM, encoding="utf-8")
    with booted(folder / "machine") as there:
        there.do("sh", "-ec", _INSTALL.format(root=ROOT, folder=folder))
        complete(there)
        there.do("runuser", "-u", "vlpro", "--", "/opt/vlpro/bin/vlpro", "key", "make", "/etc/vlpro/keys/key")
        there.do("systemctl", "enable", "--now", "vlpro-relay", "vlpro", "vlpro-backup.timer")
        eventually(lambda: asked(there, "www-data") or not active(there), timeout_s=180)
        assert active(there), there.do("journalctl", "--no-pager", "-u", "vlpro", "-u", "vlpro-relay")
        yield there


def asked(there: Machine, account: str) -> bool:
    """Whether the service answers an account."""
    command = ["python3", "-I", "/usr/local/bin/healthy.py", "/run/vlpro/service.sock", "/readyz"]
    return there.run("runuser", "-u", account, "--", *command).returncode == 0


def active(there: Machine) -> bool:
    """Whether neither unit failed, nor waits to be started again."""
    return there.run("systemctl", "is-active", "--quiet", "vlpro", "vlpro-relay").returncode == 0


def test_the_service_starts_sealed_and_answers_nginx_alone(served: Machine) -> None:
    eventually(lambda: asked(served, "www-data"))  # it has 4 seconds to answer
    assert not asked(served, "nobody")
    log = served.do("journalctl", "--no-pager", "-u", "vlpro", "-o", "cat")
    assert '"sealed": "yes' in log
    pid = served.do("systemctl", "show", "-P", "MainPID", "vlpro").strip()
    status = served.do("cat", f"/proc/{pid}/status")
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_a_backup_is_made_and_verified_by_their_units(served: Machine) -> None:
    copied = len(served.do("cat", COPY).splitlines())
    served.do("systemctl", "start", "vlpro-backup")
    assert len(served.do("cat", COPY).splitlines()) > copied
    served.do("systemctl", "start", "vlpro-backup-check")
    log = ("journalctl", "--no-pager", "-u", "vlpro-backup-check", "-o", "cat")
    eventually(lambda: "whole and unaltered" in served.do(*log))  # the journal may be behind
    assert "vlpro-backup.service" in served.do("systemctl", "list-timers", "--no-pager")


def test_a_stop_ends_well(served: Machine) -> None:
    served.do("systemctl", "stop", "vlpro")
    assert served.do("systemctl", "show", "-P", "Result", "vlpro").strip() == "success"
    assert not asked(served, "www-data")
    assert "ended with -15" not in served.do("journalctl", "--no-pager", "-u", "vlpro", "-o", "cat")
