"""A sealed file: what was done to it shows, and is named."""

from __future__ import annotations

import io
import os
import struct
import zlib

import pytest

from vlpro.backup import stream
from vlpro.backup.stream import MAGIC, SealedReader, SealedWriter
from vlpro.crypto import Cipher, Keys, Sealer
from vlpro.errors import BackupError

KEY = b"k" * 32
CONTENT = os.urandom(2 * 2**20 + 700_000) + b"a" * 2**20  # four frames, one of which is compressed


def sealed(content: bytes = CONTENT, sealer: Sealer | None = None) -> bytes:
    out = io.BytesIO()
    writer = SealedWriter(out, sealer or Sealer(KEY))
    for start in range(0, len(content), 300_000):
        writer.write(content[start : start + 300_000])
    writer.finish()
    return out.getvalue()


def opened(data: bytes, sealer: Sealer | None = None) -> bytes:
    reader = SealedReader(io.BytesIO(data), sealer or Sealer(KEY))
    found = bytearray()
    while piece := reader.read(70_000):
        found += piece
    return bytes(found)


def frames(data: bytes) -> tuple[bytes, list[bytes]]:
    """What stands before the frames, and each with its length."""
    (size,) = struct.unpack(">H", data[len(MAGIC) : len(MAGIC) + 2])
    place = len(MAGIC) + 2 + size
    head, found = data[:place], []
    while place < len(data):
        end = place + 4 + struct.unpack(">I", data[place : place + 4])[0]
        found.append(data[place:end])
        place = end
    return head, found


@pytest.mark.parametrize("cipher", Cipher)
@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, len(CONTENT)])
def test_what_was_written_is_read(cipher: Cipher, size: int) -> None:
    content = CONTENT[len(CONTENT) - size :]
    data = sealed(content, Sealer(KEY, cipher))
    assert opened(data) == content
    assert size < 64 or content[:64] not in data


def test_text_takes_less_room_and_ciphertext_no_more() -> None:
    noise = os.urandom(2**20)
    assert len(sealed(b"the same line\n" * 70_000)) < 20_000
    assert len(sealed(noise)) < len(noise) + 300


def test_every_way_to_alter_it_shows() -> None:
    data = sealed()
    head, parts = frames(data)
    assert len(parts) == 4

    def refused(altered: bytes, words: str) -> None:
        with pytest.raises(BackupError, match=words):
            opened(altered)

    refused(b"", "no backup")
    refused(b"PK\3\4" + data[4:], "no backup")
    refused(data[: len(head) - 5], "beginning of the backup was altered")
    refused(data[: len(MAGIC) + 3] + b"\xff" + data[len(MAGIC) + 4 :], "altered")
    refused(head, "was cut")
    refused(data[:-1], "was cut")
    refused(b"".join([head, *parts[:-1]]), "was cut")  # at the end of a frame
    refused(data + b"x", "was cut")  # a frame that ends early
    refused(data + parts[-1], "added behind the end")
    refused(b"".join([head, parts[1], parts[0], *parts[2:]]), "Part 1 .* altered, moved or left out")
    refused(b"".join([head, parts[0], *parts[2:]]), "Part 2 ")
    refused(b"".join([head, parts[0], parts[0], *parts[1:]]), "Part 2 ")
    for place in (len(head), len(head) + 2, len(head) + 4, len(head) + 5000, len(data) - 1):
        bad = bytearray(data)
        bad[place] ^= 1
        refused(bytes(bad), "altered|cut")


def test_frames_of_another_backup_do_not_fit() -> None:
    head, parts = frames(sealed())
    _, others = frames(sealed())
    with pytest.raises(BackupError, match="Part 2 "):
        opened(b"".join([head, parts[0], others[1], *parts[2:]]))


def test_another_key_file_is_named_by_the_key_that_is_missing() -> None:
    key_id = Keys([(KEY, 0.0)]).sealing[0].id.hex()
    with pytest.raises(BackupError, match=f"under key {key_id}.*VLPRO_KEY_FILE") as refused:
        opened(sealed(), Sealer(b"o" * 32))
    assert refused.value.param == "key_file"


def test_a_rotated_key_file_still_opens_it() -> None:
    rotated = Keys([(KEY, 0.0), (b"n" * 32, 1.0)])
    assert opened(sealed(), Sealer(rotated)) == CONTENT


@pytest.mark.parametrize(
    "text",
    [
        b"\1" + zlib.compress(bytes(64 * 2**20)),  # a bomb
        b"\1" + zlib.compress(b"x")[:-1],
        b"\1" + zlib.compress(b"x") + b"y",
        b"\1nonsense",
        b"\2x",
        b"\0",
    ],
)
def test_a_frame_opens_to_no_more_than_its_size(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_packed", lambda _: text)
    data = sealed(bytes(2**20 + 1))
    with pytest.raises(BackupError, match="altered"):
        opened(data)
