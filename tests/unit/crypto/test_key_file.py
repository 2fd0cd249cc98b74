"""The key file: where it may lie, who may read it, what it may hold; and a service that reads it again."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vlpro.crypto import KeyFile, Keys, Sealer, make_key_file, read_key_file
from vlpro.crypto.ciphers import KEY_BYTES
from vlpro.errors import ConfigError, VlproError


def test_a_key_file(tmp_path: Path) -> None:
    data, path = tmp_path / "data", tmp_path / "key"
    data.mkdir()
    make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_key_file(path, data).sealing[0].secret) == 32
    with pytest.raises(ConfigError, match="never overwritten"):
        make_key_file(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    make_key_file(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key_file(path, tmp_path / "data")


def test_what_is_no_key_file(tmp_path: Path) -> None:
    data, path = tmp_path / "data", tmp_path / "key"
    data.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key_file(path, data)
    for content in ("", "xyz", "ab" * 31, "ab" * 33):
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(ConfigError, match="64 hexadecimal"):
            read_key_file(path, data)


def test_a_key_beside_its_data_is_refused(tmp_path: Path) -> None:
    inside, link = tmp_path / "data" / "sub" / "key", tmp_path / "link"
    inside.parent.mkdir(parents=True)
    make_key_file(inside)
    link.symlink_to(inside)
    for path in (inside, link, tmp_path / "data" / ".." / "data" / "sub" / "key"):
        with pytest.raises(ConfigError, match="inside the data folder"):
            read_key_file(path, tmp_path / "data")


def _age(sealer: Sealer) -> None:
    """A second passes."""
    sealer._looked -= 1


def test_its_lines_are_read_and_written(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key")
    file.make()
    (tmp_path / "key").chmod(0o400)
    first = file.read()
    file.replace(first.with_key(b"\x11" * KEY_BYTES, 1_795_000_000.0))
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    lines = (tmp_path / "key").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["#", "sign", "mac", "seal", "seal"]
    assert lines[-1] == f"seal {'11' * KEY_BYTES} 2026-11-18T11:06:40Z"
    both = file.read()
    assert [key.id for key in both.sealing][:1] == [first.sealing[0].id]
    assert [key.since for key in both.sealing] == [0.0, 1_795_000_000.0]
    assert (both.sign, both.mac) == (first.sign, first.mac)
    assert both.newest(1_794_999_999.0).id == first.sealing[0].id != both.newest(1_795_000_000.0).id
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]


@pytest.mark.parametrize(
    "content",
    [
        "sign {k}\n",
        "seal {k} 0\nseal {k} 0\n",
        "seal {k} 0\nsign {k}\nsign {k}\n",
        "seal {k} yesterday\n",
        "seal {k} 2026-13-01T00:00:00Z\n",
        "seal {k}0 0\n",
        "seal {k} 0\nmac {k} 0\n",
        "seal {k} 0\nopen {k}\n",
    ],
)
def test_odd_lines_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content.format(k="ab" * 32))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="64 hexadecimal"):
        read_key_file(path, tmp_path / "data")


def test_a_new_key_is_taken_up_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlpro.crypto.sealer._LOOK_S", 600.0)  # a second may pass before it is asked
    file = KeyFile(tmp_path / "key")
    file.make()
    one, other = Sealer(KeyFile(tmp_path / "key")), Sealer(KeyFile(tmp_path / "key"))
    old = one.seal(b"secret", "x")
    file.replace(file.read().with_key(os.urandom(KEY_BYTES), float(int(time.time()))))
    assert one.rewrapped(old, "x") is None  # it has not looked yet
    monkeypatch.setattr("vlpro.crypto.sealer._LOOK_S", 1.0)
    _age(one)
    new = one.rewrapped(old, "x")
    assert new is not None
    assert other.open(new, "x") == b"secret"  # at once: the key's id is unknown to it
    assert one.open(old, "x") == b"secret"


@pytest.mark.parametrize("broken", ["", "seal nonsense", "other"])
def test_a_key_file_that_is_broken_meanwhile_changes_nothing(
    tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "key"
    make_key_file(path)
    sealer = Sealer(KeyFile(path))
    sealed, mac = sealer.seal(b"secret", "x"), sealer.mac(b"d", "x")
    path.write_text("cd" * 32 if broken == "other" else broken)
    _age(sealer)
    with caplog.at_level(logging.ERROR):
        assert sealer.mac(b"d", "x") == mac
    assert "is not used" in caplog.text
    assert sealer.open(sealed, "x") == b"secret"


def test_a_key_file_that_could_not_be_read_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "key"
    make_key_file(path)
    sealer, rotated = Sealer(KeyFile(path)), KeyFile(path)
    rotated.replace(rotated.read().with_key(os.urandom(KEY_BYTES), 1.0))
    new = Sealer(rotated).seal(b"secret", "x")
    path.chmod(0o644)  # as a copy by hand leaves it
    monkeypatch.setattr("vlpro.crypto.sealer._AGAIN_S", 600.0)
    for _ in range(3):
        with pytest.raises(VlproError, match="cannot be opened"):
            sealer.open(new, "x")
    assert caplog.text.count("is not used") == 1
    path.chmod(0o600)  # its content and its time are as before
    monkeypatch.setattr("vlpro.crypto.sealer._AGAIN_S", 0.0)
    assert sealer.open(new, "x") == b"secret"


def test_one_rotation_at_a_time(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "key")
    file.make()
    (tmp_path / "key.new").touch()
    with pytest.raises(ConfigError, match="Is a rotation running"):
        file.replace(file.read())


def test_systemd_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd grants the service's user access by an ACL, which stat() shows as rights of the group."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match="LoadCredentialEncrypted=vlpro-key"):
        KeyFile(Path("credential:vlpro-key"))
    make_key_file(tmp_path / "vlpro-key")
    (tmp_path / "vlpro-key").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    file = KeyFile(Path("credential:vlpro-key"), tmp_path / "data")
    keys = file.read()
    assert len(keys.sealing) == 1
    with pytest.raises(ConfigError, match="systemd's copy"):
        file.replace(keys)
    for name in ("credential:../key", "credential:"):
        with pytest.raises(ConfigError, match="no credential"):
            KeyFile(Path(name))


def test_unknown_keys_do_not_open(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key")
    sealer = Sealer(KeyFile(tmp_path / "key"))
    foreign = Sealer(Keys([(b"\x01" * KEY_BYTES, 0.0)])).seal(b"secret", "x")
    with pytest.raises(VlproError, match="the key file is another one"):
        sealer.open(foreign, "x")


_SEALED = """
import sys
from pathlib import Path
from vlpro.crypto import KeyFile, Sealer
from vlpro.sealing.seal import seal_service
file = KeyFile(Path(sys.argv[1]))
sealer = Sealer(file)
seal_service(read=file.places, write=())
print("sealed", flush=True)
sys.stdin.readline()
sealer._looked -= 1
print(sealer.keys.newest(2e9).id.hex(), flush=True)
"""


def test_a_sealed_service_takes_a_new_key_up(tmp_path: Path) -> None:
    """Landlock knows files by their inodes; a rotation puts another one in the key file's place."""
    (tmp_path / "keys").mkdir()
    file = KeyFile(tmp_path / "keys" / "key")
    file.make()
    command = [sys.executable, "-c", _SEALED, str(file.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "sealed\n"
        file.replace(file.read().with_key(b"\x05" * KEY_BYTES, 1.0))
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == file.read().sealing[1].id.hex()
