from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import ask, picture
from vlpro import errors
from vlpro.engines.interface import Delta, Message, Request, ResponseFormat, Usage
from vlpro.engines.worker import wire


def test_a_request_arrives_as_it_was_sent() -> None:
    first, second = picture(31, 17, seed=1), picture(5, 90, seed=2)
    request = Request(
        (
            Message("system", ("规则",)),
            Message("user", (first, "两张图", second)),
            Message("assistant", ("好",)),
        ),
        response_format=ResponseFormat({"type": "object"}),
        language="zh",
        reading=True,
    )
    memory = wire.pixels_to_memory(request.pictures)
    try:
        arrived = wire.decode_request(wire.encode_request(request), memory)
    finally:
        os.close(memory)
    for sent, got in zip(request.pictures, arrived.pictures, strict=True):
        assert np.array_equal(sent.pixels, got.pixels)
        assert replace(got, pixels=sent.pixels).__repr__() == sent.__repr__()
    assert [m.text for m in arrived.messages] == [m.text for m in request.messages]
    assert (arrived.sampling, arrived.response_format, arrived.language, arrived.reading) == (
        request.sampling,
        request.response_format,
        "zh",
        True,
    )


def test_pixels_cannot_be_changed_by_either_side() -> None:
    memory = wire.pixels_to_memory((picture(),))
    try:
        with pytest.raises(PermissionError):
            os.pwrite(memory, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(memory, 1)
        frame = wire.encode_request(ask("?", picture()))
        arrived = wire.decode_request(frame, memory).pictures[0].pixels
        assert not arrived.flags.writeable
    finally:
        os.close(memory)


@given(st.builds(Delta, st.text(), st.sampled_from([None, "stop", "length"]), st.just(Usage(3, 4))))
def test_pieces_survive_the_way(delta: Delta) -> None:
    assert wire.decode_delta(wire.encode_delta(delta)) == delta


def test_errors_keep_their_kind_and_words() -> None:
    sent = errors.UnsupportedError("no", zh="不", param="messages", code="why")
    got = wire.decode_error(wire.encode_error(sent))
    assert type(got) is errors.UnsupportedError
    assert (got.message, got.zh, got.param, got.code) == ("no", "不", "messages", "why")
    strange = wire.decode_error({**wire.encode_error(sent), "error": "annotations"})
    assert type(strange) is errors.EngineError


@pytest.mark.anyio
@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x05{}", b"\x00\x00\x00\x02[]"])
async def test_what_is_no_frame_is_refused(data: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    with pytest.raises(ConnectionError):
        await wire.read_frame(reader)


@pytest.mark.anyio
async def test_the_end_of_a_stream_is_no_error() -> None:
    reader = asyncio.StreamReader()
    reader.feed_eof()
    assert await wire.read_frame(reader) is None
