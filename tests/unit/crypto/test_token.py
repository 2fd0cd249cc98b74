"""A key file that a hardware security module opens: SoftHSM over PKCS#11."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.softhsm import MODULE, PIN, new_token
from vlpro.crypto import KeyFile, Sealer
from vlpro.crypto.token import token_of
from vlpro.errors import ConfigError


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not MODULE.exists():
        pytest.skip("SoftHSM is not installed")
    yield new_token(tmp_path_factory.mktemp("hsm"))
    os.environ.pop("SOFTHSM2_CONF", None)


def test_without_the_module_the_file_is_nothing(uri: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    KeyFile(path, token=uri).make()
    assert path.stat().st_mode & 0o777 == 0o600
    sealer = Sealer(KeyFile(path, token=uri))
    assert sealer.open(sealer.seal(b"secret", "x"), "x") == b"secret"
    content = path.read_text()
    assert bytes(sealer.keys.sealing[0].secret).hex() not in content
    with pytest.raises(ConfigError, match="wrapped by a token"):
        KeyFile(path).read()
    with pytest.raises(ConfigError, match="cannot be used"):
        KeyFile(path, token=uri.replace("object=kek", "object=other")).read()
    path.write_text(content[:-3] + ("0" if content[-3] != "0" else "1") + content[-2:])
    with pytest.raises(ConfigError, match="cannot be used"):
        KeyFile(path, token=uri).read()


def test_rotation_with_a_token(uri: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    file = KeyFile(path, token=uri)
    file.make()
    running = Sealer(KeyFile(path, token=uri))
    old = running.seal(b"secret", "x")
    file.replace(file.read().with_key(b"\x07" * 32, 1.0))
    new = Sealer(file).rewrapped(old, "x")
    assert new is not None
    assert running.open(new, "x") == b"secret"


def test_a_plain_file_is_not_taken_for_a_wrapped_one(uri: str, tmp_path: Path) -> None:
    KeyFile(tmp_path / "key").make()
    with pytest.raises(ConfigError, match="vlpro key wrap"):
        KeyFile(tmp_path / "key", token=uri).read()


def test_several_at_once(uri: str, tmp_path: Path) -> None:
    """Signing in and out of a token is the process's: one must not sign another out."""
    path = tmp_path / "key"
    KeyFile(path, token=uri).make()
    read: list[bytes] = []

    def look() -> None:
        read.extend(KeyFile(path, token=uri).read().sealing[0].id for _ in range(10))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 40
    assert len(set(read)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("token=vlpro", "token=missing"), "no such token"),
        (("object=kek", "object=missing"), "0 AES keys fit"),
        (("object=kek", "object=twice"), "2 AES keys fit"),
        ((str(MODULE), "/nonexistent.so"), "nonexistent"),
        (("pin-source=file:", "pin-source=file:/nonexistent"), "PIN cannot be read"),
        (("pin-source=", "pin-value=4711&pin-source="), "pin-value would stand in the settings"),
        (("object=kek;", ""), "RFC 7512"),
        (("token=vlpro", "slot-id=1"), "RFC 7512"),
        (("type=secret-key", "type=private"), "RFC 7512"),
        (("pkcs11:", "pkcs12:"), "RFC 7512"),
    ],
)
def test_what_is_wrong_is_said(uri: str, tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        KeyFile(tmp_path / "key", token=uri.replace(*change)).make()
    assert raised.value.param == "key_token"
    assert not (tmp_path / "key").exists()
    assert PIN not in raised.value.message


def test_the_pin(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, pin, mode in (("good", PIN, 0o600), ("wrong", "0000", 0o600), ("open", PIN, 0o640)):
        (tmp_path / name).write_text(pin)
        (tmp_path / name).chmod(mode)
    start = uri.partition("pin-source=")[0]

    def make(source: str) -> None:
        KeyFile(tmp_path / f"key-{source[-4:]}", token=f"{start}pin-source={source}").make()

    make(f"file:{tmp_path}/good")
    with pytest.raises(ConfigError, match="PIN is wrong"):
        make(f"file:{tmp_path}/wrong")
    with pytest.raises(ConfigError, match="chmod 600"):
        make(f"file:{tmp_path}/open")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    make("credential:good".replace("good", "open"))  # systemd's own rights


def test_names_are_percent_encoded() -> None:
    token = token_of("pkcs11:token=the%20token;id=%01%ff?module-path=/a%3bb.so&pin-source=/pin")
    assert (token.label, token.key_id, token.module, token.pin_source) == (
        "the token",
        b"\x01\xff",
        "/a;b.so",
        "/pin",
    )
