"""deploy/offline: what its installer refuses, and which lines of the lock files a kit takes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.browser.server import ROOT
from tests.deploy.machine import machine

OFFLINE = ROOT / "deploy/offline"
_AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="needs root: a kit must be root's")


def module(name: str) -> ModuleType:
    """A file of deploy/offline, which is no package."""
    if name not in sys.modules or not str(sys.modules[name].__file__).startswith(str(OFFLINE)):
        spec = importlib.util.spec_from_file_location(name, OFFLINE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


lock, build = module("lock"), module("build")
DEBIAN = lock.Target("3.11", 36, "x86_64")


def make_key(path: Path) -> Path:
    subprocess.run(
        ["/usr/bin/openssl", "genpkey", "-algorithm", "ed25519", "-out", path],
        check=True,
        capture_output=True,
    )
    return path


def make_kit(folder: Path, key: Path, **about: str) -> Path:
    """A kit as the builder signs it, with one small file for all its wheels."""
    kit = folder / "kit"
    (kit / "wheels").mkdir(parents=True)
    (kit / "pip").mkdir()
    (kit / "wheels/one.whl").write_bytes(b"a wheel")
    (kit / "pip/pip-1.whl").write_bytes(b"a wheel")
    (kit / "requirements.txt").write_text("one==1\n", encoding="ascii")
    here = {"VERSION": "9.9", "PYTHON": "3.11", "GLIBC": "2.17", "MACHINE": os.uname().machine} | about
    (kit / "kit.env").write_text(
        "".join(f"{name}={value}\n" for name, value in here.items()), encoding="ascii"
    )
    build.copied(kit)
    build.signed(kit, key)
    return kit


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "kit.key")


@pytest.fixture
def kit(tmp_path: Path, key: Path) -> Path:
    return make_kit(tmp_path, key)


def fingerprint(kit: Path) -> str:
    return str(build.fingerprint((kit / "kit.pub").read_bytes()))


def python(folder: Path, version: str = "3.11 cpython") -> Path:
    """An interpreter that leaves a mark where it is started."""
    made = folder / "python"
    made.write_text(f"#!/bin/sh\ntouch {folder}/started\necho {version}\n", encoding="ascii")
    made.chmod(0o755)
    return made


def installed(
    kit: Path, *options: str | Path, told: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the installer; nothing of this machine is changed, since what it is given is refused, or a dry run."""
    command = [kit / "install.sh", *options, "--fingerprint", told or fingerprint(kit)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **variables},
        timeout=120,
    )


def test_a_kit_that_is_what_was_signed_is_told_so(kit: Path) -> None:
    done = installed(kit, "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "every file is what was signed" in done.stdout
    spoken = ":".join(fingerprint(kit).upper()[place : place + 2] for place in range(0, 64, 2))
    assert installed(kit, "verify", told=spoken).returncode == 0


def _changed(kit: Path) -> None:
    (kit / "wheels/one.whl").write_bytes(b"a wheeI")


def _added(kit: Path) -> None:
    (kit / "wheels/two.whl").write_bytes(b"another")


def _removed(kit: Path) -> None:
    (kit / "wheels/one.whl").unlink()


def _linked(kit: Path) -> None:
    (kit / "wheels/one.whl").unlink()
    (kit / "wheels/one.whl").symlink_to("/etc/hostname")


def _listed_anew(kit: Path) -> None:
    _changed(kit)
    sums = kit / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8").splitlines()
    digest = build.sha256(kit / "wheels/one.whl")
    lines = [f"{digest}  wheels/one.whl" if line.endswith("wheels/one.whl") else line for line in lines]
    sums.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _signed_by_another(kit: Path) -> None:
    _listed_anew(kit)
    for name in ("SHA256SUMS", "SHA256SUMS.sig", "kit.pub"):
        (kit / name).unlink()
    build.signed(kit, make_key(kit.parent / "another.key"))


def _unsigned(kit: Path) -> None:
    (kit / "SHA256SUMS.sig").unlink()


@pytest.mark.parametrize(
    ("attack", "sentence"),
    [
        (_changed, "This file was altered: wheels/one.whl"),
        (_added, "This file is missing, or was added: ./wheels/two.whl"),
        (_removed, "This file is missing, or was added: ./wheels/one.whl"),
        (_linked, "The kit holds a link"),
        (_listed_anew, "The signature of SHA256SUMS is wrong"),
        (_signed_by_another, "not the one whose fingerprint you were told"),
        (_unsigned, "The signature of SHA256SUMS is wrong"),
    ],
)
def test_what_was_not_signed_is_refused_before_anything_runs(
    kit: Path, tmp_path: Path, attack: Callable[[Path], None], sentence: str
) -> None:
    told = fingerprint(kit)
    attack(kit)
    done = installed(kit, "--address", "vl.example.cn", "--python", python(tmp_path), told=told)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("told", ["0" * 64, "0" * 63, "no fingerprint"])
def test_another_fingerprint_is_refused(kit: Path, told: str) -> None:
    done = installed(kit, "verify", told=told)
    assert done.returncode == 1
    assert "fingerprint" in done.stderr


@_AS_ROOT
@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"PYTHON": "3.12"}, "This kit is for CPython 3.12"),
        ({"MACHINE": "sparc64"}, "This kit is for sparc64; this machine is"),
        ({"GLIBC": "2.999"}, "This kit needs glibc 2.999 or newer"),
    ],
)
def test_a_kit_for_another_machine_is_refused(
    tmp_path: Path, key: Path, about: dict[str, str], sentence: str
) -> None:
    kit = make_kit(tmp_path, key, **about)
    done = installed(kit, "--dry-run", "--address", "vl.example.cn", "--python", python(tmp_path))
    assert done.returncode == 1
    assert sentence in done.stderr


@_AS_ROOT
def test_a_kit_to_which_others_may_write_is_refused(kit: Path, tmp_path: Path) -> None:
    (kit / "wheels/one.whl").chmod(0o666)
    done = installed(kit, "--dry-run", "--address", "vl.example.cn", "--python", python(tmp_path))
    assert done.returncode == 1
    assert "Others may write to this kit" in done.stderr


@_AS_ROOT
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Name it by --address"),
        (["--address", 'x"\nprofile = "local'], "The value of --address is not of its form"),
        (["--address", "vl.example.cn", "--profile", "open"], "The value of --profile is not of its form"),
        (
            ["--address", "vl.example.cn", "--database", "postgresql://a:secret@db/x"],
            "No password on the command line",
        ),
        (["--address", "vl.example.cn", "--engine", "openai"], "Engine openai needs --upstream"),
        (["--address", "vl.example.cn", "--certificate", "/etc/hostname"], "belong together"),
    ],
)
def test_what_cannot_be_is_refused_with_the_options_name(
    kit: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    done = installed(kit, "--dry-run", "--python", python(tmp_path), *options)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_it_speaks_chinese_where_the_terminal_does(kit: Path) -> None:
    assert "校验一致" in installed(kit, "verify", LANG="zh_CN.UTF-8").stdout
    _changed(kit)
    assert "文件已被改动" in installed(kit, "verify", LANG="zh_CN.UTF-8").stderr


def test_a_dry_run_changes_nothing(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    with machine(tmp_path / "machine") as there:
        there.do("cp", "-r", kit, "/opt/kit")
        before = there.do(
            "find", "/opt", "/etc", "/var/lib", "/usr/local", "-newer", "/opt/kit/SHA256SUMS.sig"
        )
        done = there.run(
            "/opt/kit/install.sh",
            "--dry-run",
            "--fingerprint",
            fingerprint(kit),
            "--address",
            "vl.example.cn",
        )
        assert done.returncode == 0, done.stderr
        assert "would write: /etc/vlpro/vlpro.toml" in done.stdout
        after = there.do(
            "find", "/opt", "/etc", "/var/lib", "/usr/local", "-newer", "/opt/kit/SHA256SUMS.sig"
        )
    assert after == before


def test_the_upstream_is_all_that_the_relay_is_told(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    with machine(tmp_path / "machine") as there:
        there.do("cp", "-r", kit, "/opt/kit")
        # The units alone: there is no program in this kit.
        there.do(
            "bash",
            "-c",
            "sed '/^arguments \"\\$@\"/,$d' /opt/kit/install.sh > /opt/kit/parts.sh; . /opt/kit/parts.sh; "
            "groupadd vlpro; useradd --system --gid vlpro vlpro; "
            "UPSTREAM=http://10.1.2.3:8000/v1 DATABASE=sqlite; units",
        )
        relay = there.do("cat", "/etc/systemd/system/vlpro-relay.service")
        service = there.do("cat", "/etc/systemd/system/vlpro.service")
    assert "vlpro relay /run/vlpro-relay/relay.sock 10.1.2.3:8000\nIPAddressAllow=10.1.2.3\n" in relay
    assert "192.0.2" not in relay.partition("[Service]")[2].replace("EDIT", "")
    assert "--relay /run/vlpro-relay/relay.sock" in service


def test_with_postgresql_its_socket_is_shown_to_the_service_and_to_backups(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    with machine(tmp_path / "machine") as there:
        there.do("cp", "-r", kit, "/opt/kit")
        there.do(
            "bash",
            "-c",
            "sed '/^arguments \"\\$@\"/,$d' /opt/kit/install.sh > /opt/kit/parts.sh; . /opt/kit/parts.sh; "
            "groupadd vlpro; useradd --system --gid vlpro vlpro; "
            "DATABASE=postgresql:///vlpro?host=/run/postgresql; units",
        )
        shown = there.do(
            "sh", "-c", "cd /etc/systemd/system; grep -l BindPaths=/run/postgresql *.d/20-postgresql.conf"
        )
    assert [line.partition(".")[0] for line in shown.split()] == [
        "vlpro-backup-check",
        "vlpro-backup",
        "vlpro",
    ]


def test_what_the_guides_run_can_be_run_from_the_archive(kit: Path, tmp_path: Path) -> None:
    build.packed(kit, tmp_path / "kit.tar")
    with tarfile.open(tmp_path / "kit.tar") as archive:
        scripts = {Path(one.name).name: one.mode for one in archive if one.name.endswith(".sh")}
        others = {one.mode for one in archive if one.isfile() and not one.name.endswith(".sh")}
    assert {"install.sh", "prepare.sh", "roles.sh", "base-backup.sh", "archive-wal.sh"} <= scripts.keys()
    assert set(scripts.values()) == {0o755}
    assert others == {0o644}


def test_a_builder_without_a_key_is_told_how_to_make_one(tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        OFFLINE / "build.py",
        "--signing-key",
        tmp_path / "none",
        "--output",
        tmp_path / "kit",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "openssl genpkey -algorithm ed25519" in done.stderr
    assert not (tmp_path / "kit").exists()


def test_what_is_downloaded_must_have_the_locked_hash(tmp_path: Path) -> None:
    (pin,) = (one for one in lock.read((ROOT / "requirements.txt").read_text()) if one.name == "pyotp")
    wrong = lock.Pin(pin.name, pin.version, ("sha256:" + "0" * 64,))
    with pytest.raises(subprocess.CalledProcessError):
        build.download(tmp_path, [wrong], DEBIAN)
    assert not list(tmp_path.iterdir())


def test_every_lock_file_can_be_read_and_holds_what_every_extra_needs() -> None:
    locks = [lock.read((ROOT / name).read_text(encoding="utf-8")) for name in build.LOCKS]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras: dict[str, Any] = tomllib.loads(text)["project"]["optional-dependencies"]
    assert set(build.EXTRAS) == set(extras) - {"dev"}
    for name in build.EXTRAS:
        roots = [
            said.partition("[")[0].partition(">")[0] for said in extras[name] if not said.startswith("torch")
        ]
        assert len(lock.wanted(roots, locks, DEBIAN)) == len(roots)


@pytest.mark.parametrize("line", ["pyotp>=2 --hash=sha256:" + "0" * 64, "pyotp==2.12.0", "-e ."])
def test_a_line_that_is_not_exact_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not an exact version"):
        lock.read(line)


def test_lines_are_taken_for_the_target_and_not_for_the_builder() -> None:
    text = "".join(
        f"numpy=={version} ; python_full_version {what} --hash=sha256:{'0' * 64}\n"
        for version, what in (("1.0", "< '3.12'"), ("2.0", ">= '3.12'"))
    )
    pins = lock.read(text)
    for python_version, expected in (("3.11", "1.0"), ("3.13", "2.0")):
        target = lock.Target(python_version, 28, "aarch64")
        assert [pin.version for pin in lock.wanted(["numpy"], [pins], target)] == [expected]
    tags = lock.Target("3.11", 28, "aarch64").platforms
    assert tags[0] == "manylinux_2_28_aarch64"
    assert "manylinux2014_aarch64" in tags
    assert "manylinux_2_29_aarch64" not in tags
