"""Sealed values: what opens, where, and what is noticed."""

from __future__ import annotations

import pytest

from vlpro.crypto import Cipher, Keys, Sealer
from vlpro.errors import VlproError

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


@pytest.mark.parametrize("first", list(Cipher))
def test_both_ciphers_open_whichever_is_set(first: Cipher) -> None:
    one, place = Sealer(KEY, first), "totps.secret:usr_1"
    other = Sealer(KEY, Cipher.SM4_GCM if first is Cipher.AES_256_GCM else Cipher.AES_256_GCM)
    sealed = one.seal(b"secret", place)
    assert sealed[1] == first
    assert other.open(sealed, place) == b"secret"
    again = other.rewrapped(sealed, place)
    assert again is not None
    assert again[1] == other.cipher != first
    assert one.open(again, place) == b"secret"


@pytest.mark.parametrize("cipher", list(Cipher))
def test_every_changed_byte_of_a_secret_is_noticed_and_its_place_named(cipher: Cipher) -> None:
    sealer = Sealer(KEY, cipher)
    sealed = sealer.seal(b"secret", "t.c:1")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(VlproError, match=r"\(t\.c:1\)") as raised:
            sealer.open(bytes(altered), "t.c:1")
        assert raised.value.code == "integrity_error"


def test_the_newest_key_seals_and_all_open() -> None:
    clock = [100.0]
    before = Sealer(Keys([(KEY, 0.0)]))
    after = Sealer(Keys([(KEY, 0.0)]).with_key(KEY[::-1], 200.0), clock=lambda: clock[0])
    early = after.seal(b"secret", "x")
    assert before.open(early, "x") == b"secret"  # the new key is known, but does not seal yet
    clock[0] = 200.0
    late = after.seal(b"secret", "x")
    assert after.open(late, "x") == after.open(early, "x") == b"secret"
    with pytest.raises(VlproError):
        before.open(late, "x")
    moved = after.rewrapped(early, "x")
    assert moved is not None
    only_new = Sealer(after.keys.without(before.keys.sealing[0].id))
    assert only_new.open(moved, "x") == b"secret"
    with pytest.raises(VlproError):
        only_new.open(early, "x")


def test_a_rotation_changes_neither_signatures_nor_keyed_hashes() -> None:
    before = Sealer(KEY)
    keys = before.keys.with_key(KEY[::-1], 200.0)
    for after in (Sealer(keys), Sealer(keys.without(before.keys.sealing[0].id))):
        assert after.signing_seed == before.signing_seed
        assert after.mac(b"code", "p") == before.mac(b"code", "p")


def test_nothing_sealed_tells_how_often_the_same_was_sealed() -> None:
    sealer = Sealer(KEY)
    many = [sealer.seal(b"same", "x") for _ in range(200)]
    assert len({sealed[6:22] for sealed in many}) == len({sealed[22:34] for sealed in many}) == 200
