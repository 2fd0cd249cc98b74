"""deploy/compose, as far as it can be seen without an engine: its rules, its scripts, its health check.

What was run on an engine, by hand, is in deploy/compose/README.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.browser.server import ROOT
from tests.functional.server import eventually
from tests.postgresql import cluster
from vlpro.config import Settings
from vlpro.crypto import read_key_file

COMPOSE = ROOT / "deploy/compose"
Json = dict[str, Any]
_MLPS3 = {
    "VLPRO_PROFILE": "mlps3",
    "VLPRO_PUBLIC_URL": "https://localhost",
    "VLPRO_TRUSTED_PROXIES": '["unix"]',
}


@pytest.fixture(scope="module")
def compose() -> Json:
    return dict(yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def services(compose: Json) -> Json:
    return dict(compose["services"])


def test_only_nginx_has_a_port_and_a_network_that_leads_outside(compose: Json, services: Json) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    open_ = {name for name, network in compose["networks"].items() if not (network or {}).get("internal")}
    assert open_ == {"edge"}
    assert [name for name, service in services.items() if open_ & set(service.get("networks", ()))] == [
        "nginx"
    ]
    for name, service in services.items():  # who names no network gets one that leads outside
        assert service.get("networks") or service.get("network_mode") == "none", name


def test_every_container_is_hardened_and_bounded(services: Json) -> None:
    for name, service in services.items():
        assert service["read_only"] or name == "elasticsearch", name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "pid", "ipc", "userns_mode", "devices"} & service.keys(), name
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= limits.keys(), name
        assert service.get("user", "0") not in ("0", "root") or name == "vllm", name
        assert not [one for one in service.get("volumes", ()) if "docker.sock" in str(one)], name


def test_images_are_pinned_and_never_pulled(services: Json) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"[\w./-]+:(v?\d[\w.-]*|\$\{VLPRO_VERSION:-[\d.]+\})", service["image"]), name
        assert service["pull_policy"] == "never", name
    assert re.search(r"^ARG BASE=python:3\.\d+-slim-\w+$", (COMPOSE / "Dockerfile").read_text(), re.MULTILINE)


def test_secrets_are_files_and_there_is_no_default(compose: Json, services: Json) -> None:
    used = {
        one["source"] if isinstance(one, dict) else one
        for service in services.values()
        for one in service.get("secrets", ())
    }
    assert used == compose["secrets"].keys()
    for name, secret in compose["secrets"].items():
        assert re.match(r"\$\{VLPRO_SECRETS:\?", secret["file"]), name
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search(r"password|secret|token|api_key", variable, re.IGNORECASE):
                assert str(value).startswith("/run/secrets/"), (name, variable)
    text = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
    assert "Run prepare.sh first" in text


def test_the_image_runs_as_nobody_and_holds_no_secret() -> None:
    lines = (COMPOSE / "Dockerfile").read_text(encoding="utf-8").splitlines()
    final = lines[max(place for place, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "USER 10001:10001" in final
    assert any(line.startswith("HEALTHCHECK ") for line in final)
    copied = [line.split()[1:] for line in lines if line.startswith("COPY ")]
    assert sorted(word for words in copied for word in words[:-1] if not word.startswith("--")) == sorted(
        ["pip/", "wheels/", "requirements.txt", "/opt/postgresql", "/opt/vlpro", "deploy/compose/healthy.py"]
    )


def test_the_image_keeps_the_lock_where_the_report_looks_for_it() -> None:
    text = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")
    assert "&& install -m 644 requirements.txt /opt/vlpro/\n" in text
    assert "COPY --from=build /opt/vlpro /opt/vlpro\n" in text


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after prepare.sh, twice."""
    if os.getuid() != 0:
        pytest.skip("needs root: the files belong to accounts inside the containers")
    folder = tmp_path_factory.mktemp("compose")
    shutil.copytree(ROOT / "deploy/nginx", folder / "nginx")
    shutil.copytree(COMPOSE, folder / "compose", ignore=shutil.ignore_patterns("secrets", "site", ".env"))
    (folder / "server.pem").write_text("certificate", encoding="ascii")
    (folder / "server.key").write_text("key", encoding="ascii")
    command: list[str | Path] = [folder / "compose/prepare.sh", "--address", "vl.example.cn"]
    command += ["--certificate", folder / "server.pem", "--certificate-key", folder / "server.key"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    return folder / "compose"


def test_prepare_makes_each_secret_and_closes_it(prepared: Path, compose: Json) -> None:
    made = {path.name: path for path in (prepared / "secrets").iterdir()}
    assert made.keys() == compose["secrets"].keys()
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.values()} == {0o400}
    random = [
        path.read_text() for name, path in made.items() if name.endswith("password") or name == "vlpro_key"
    ]
    assert len(set(random)) == len(random) >= 6
    key = prepared / "key"
    shutil.copy(made["vlpro_key"], key)
    read_key_file(key, prepared / "data")  # raises where it is none
    site = (prepared / "site/conf.d/vlpro.conf").read_text(encoding="utf-8")
    assert "server_name vl.example.cn;" in site
    assert "unix:/run/vlpro/service.sock" in site
    assert "ssl_certificate_key /run/secrets/tls_key;" in site
    assert "VLPRO_SECRETS=./secrets" in (prepared / ".env").read_text(encoding="utf-8")


def test_each_secret_is_of_the_user_who_reads_it(prepared: Path, services: Json) -> None:
    """Without a capability root reads no other's file either."""
    for name, service in services.items():
        user = int(service.get("user", "0").partition(":")[0])
        for one in service.get("secrets", ()):
            file = prepared / "secrets" / (one["source"] if isinstance(one, dict) else one)
            assert file.stat().st_uid == user, (name, file.name)
    assert (prepared / "backups").stat().st_uid == int(services["gateway"]["user"].partition(":")[0])
    keys = {(prepared / "secrets" / name).read_text() for name in ("vllm_api_key", "vlpro_upstream_key")}
    assert len(keys) == 1


def test_an_answer_under_way_comes_to_its_end_when_all_is_stopped(prepared: Path, services: Json) -> None:
    """nginx stops before the gateway that it depends on, so it must wait as long."""
    site = (prepared / "site/nginx.conf").read_text(encoding="utf-8")
    (bound,) = re.findall(r"^worker_shutdown_timeout (\d+)s;$", site, re.MULTILINE)
    assert services["nginx"]["stop_signal"] == "SIGQUIT"
    grace = {
        name: int(services[name]["stop_grace_period"].removesuffix("s")) for name in ("nginx", "gateway")
    }
    longest = Settings.model_fields["stop_timeout_s"].default
    assert grace["nginx"] > int(bound) >= longest
    assert grace["gateway"] > longest


def test_nginx_writes_to_memory_alone(prepared: Path) -> None:
    site = (prepared / "site/nginx.conf").read_text(encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    assert [kind for kind in kinds if f"{kind}_temp_path /tmp/" not in site] == []
    assert "pid /tmp/" in site


def test_prepare_without_a_certificate_is_refused(prepared: Path) -> None:
    done = subprocess.run(
        [prepared / "prepare.sh", "--address", "vl.example.cn"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "--certificate FILE" in done.stderr


def test_the_roles_scripts_passwords_and_rights(prepared: Path, tmp_path: Path) -> None:
    files = {"SECRETS": str(prepared / "secrets"), "ROLES": str(ROOT / "deploy/postgresql/roles.sql")}
    with cluster() as server:
        admin = server.new()
        folder = admin.partition("host=")[2]
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("CREATE DATABASE vlpro")

        def roles() -> None:
            script = [COMPOSE / "roles.sh"]
            subprocess.run(script, env={**os.environ, **files, "PGHOST": folder}, check=True, timeout=120)

        roles()
        (tmp_path / "key").write_text("ab" * 32, encoding="ascii")
        (tmp_path / "key").chmod(0o600)
        owner = f"postgresql://vlpro_owner@/vlpro?host={folder}"
        settings = {"VLPRO_DATABASE_URL": owner, "VLPRO_KEY_FILE": str(tmp_path / "key"), **_MLPS3}
        command = [sys.executable, "-m", "vlpro", "migrate"]
        subprocess.run(
            command, env={**os.environ, **settings}, cwd=ROOT, check=True, capture_output=True, timeout=120
        )
        roles()
        with psycopg.connect(f"postgresql://postgres@/vlpro?host={folder}") as connection:
            hashed = connection.execute(
                "SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$%'"
            )
            assert {row[0] for row in hashed} == {"vlpro_owner", "vlpro_app", "vlpro_ship"}
        with psycopg.connect(f"postgresql://vlpro_ship@/vlpro?host={folder}", autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM audit_records").fetchone() is not None
            for forbidden in (
                "SELECT * FROM accounts",
                "DELETE FROM audit_records",
                "SELECT * FROM audit_contents",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(forbidden)


def test_on_a_read_only_system_each_way_out_is_refused() -> None:
    """As in the container: its system is read-only, what it may write to is a volume and memory."""
    if os.getuid() != 0:
        pytest.skip("needs root: it mounts")
    script = (
        "mount -o remount,ro,bind / && mount -t tmpfs tmpfs /tmp && "
        'for folder in /var /var/tmp; do ! mountpoint -q "$folder" || mount -o remount,ro,bind "$folder"; done && '
        'exec "$0" -m vlpro.sealing.probes'
    )
    command = ["unshare", "-m", "--propagation", "private", "sh", "-ec", script, sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    attempts = {one["way"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert [one for one in attempts.values() if not one["refused"]] == []
    assert attempts["a file elsewhere"]["told"] == "EACCES"  # by the seal, not by the mount


def test_the_health_check_tells_running_from_not(service: Path, tmp_path: Path) -> None:
    def said(*what: str | Path) -> int:
        command = [sys.executable, "-I", COMPOSE / "healthy.py", *what]
        return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode

    eventually(lambda: said(service) == 0)  # which has 4 seconds to answer
    assert said(service, "/v1/models") == 1
    assert said(tmp_path / "none") == 1
