from __future__ import annotations

from pathlib import Path

import pytest

from vlpro.crypto import Cipher, Sealer, make_key_file, read_key_file
from vlpro.errors import ConfigError, VlproError

KEY = bytes(range(32))


def test_what_is_sealed_opens_in_its_place_only() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(b"secret", "totps.secret:usr_1")
    assert b"secret" not in sealed
    assert sealed != sealer.seal(b"secret", "totps.secret:usr_1")
    assert sealer.open(sealed, "totps.secret:usr_1") == b"secret"
    for place in ("totps.secret:usr_2", "offer:usr_1", ""):
        with pytest.raises(VlproError, match="cannot be opened"):
            sealer.open(sealed, place)
    with pytest.raises(VlproError):
        Sealer(KEY[::-1]).open(sealed, "totps.secret:usr_1")


def test_every_changed_byte_is_noticed() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(b"secret", "x")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(VlproError):
            sealer.open(bytes(altered), "x")
    for length in range(len(sealed)):
        with pytest.raises(VlproError):
            sealer.open(sealed[:length], "x")


def test_keyed_hashes_depend_on_key_place_and_data() -> None:
    found = {
        Sealer(key).mac(data, place)
        for key in (KEY, KEY[::-1])
        for data in (b"a", b"b")
        for place in ("p", "q")
    }
    assert len(found) == 8
    assert all(len(mac) == 32 for mac in found)


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


def test_what_the_first_version_sealed_opens_still() -> None:
    sealer, place = Sealer(KEY), "totps.secret:usr_1"
    old = bytes.fromhex("011441641d49c3639f540ff0af366f909cb7452c7e7f6819f8ada0a331bc0810ae2f42")
    assert sealer.open(old, place) == b"secret"
    with pytest.raises(VlproError, match=r"totps\.secret:usr_2"):
        sealer.open(old, "totps.secret:usr_2")
    renewed = sealer.rewrapped(old, place)
    assert renewed is not None
    assert sealer.open(renewed, place) == b"secret"
    assert sealer.rewrapped(renewed, place) is None
    assert sealer.mac(b"a", "p").hex() == "8208aa3e1f905e0902b73f2283c968944a0ad2718f5e4d663dc10fb5f076398f"
    assert sealer.signing_seed.hex() == "664f62b408839a9712445d299c0724862e52026a0b8549483b3dc586bff7a3bf"


@pytest.mark.parametrize("cipher", list(Cipher))
def test_a_data_key_opens_what_it_sealed_in_its_place_and_version(cipher: Cipher) -> None:
    sealer = Sealer(KEY, cipher)
    key, wrapped = sealer.new_data_key("conversations.key:cnv_1")
    sealed = key.seal("答案".encode(), "messages.text:msg_1", 7)
    again = Sealer(KEY).data_key(wrapped, "conversations.key:cnv_1")
    assert again.open(sealed, "messages.text:msg_1", 7) == "答案".encode()
    for place, version in (("messages.text:msg_2", 7), ("messages.text:msg_1", 6), ("", 7)):
        with pytest.raises(VlproError) as raised:
            again.open(sealed, place, version)
        assert raised.value.code == "integrity_error"
        assert place in raised.value.message
    with pytest.raises(VlproError, match="cnv_2"):
        sealer.data_key(wrapped, "conversations.key:cnv_2")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(VlproError, match=r"messages\.text:msg_1"):
            key.open(bytes(altered), "messages.text:msg_1", 7)
    for length in range(len(sealed)):
        with pytest.raises(VlproError):
            key.open(sealed[:length], "messages.text:msg_1", 7)
