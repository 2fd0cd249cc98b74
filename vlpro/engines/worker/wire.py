"""What passes between gateway and worker.

Two kinds of Unix sockets, neither with a name that anyone else could open. One *control* pair (sequenced packets)
lives as long as the worker; each question gets a *stream* pair of its own, whose end travels to the worker through
the control pair together with one sealed memory file that holds the pixels of all pictures. Closing the stream
cancels the question. Pictures to forget are named in the control packet itself; its stream is closed when it is done.

On the stream: the request as one frame, then one frame for each piece of the answer. A frame is a length
(4 bytes, big-endian) and JSON.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import mmap
import os
import struct
from dataclasses import asdict, astuple
from typing import Any

import numpy as np

from vlpro import errors
from vlpro.engines.interface import Delta, Message, Request, ResponseFormat, Sampling, Usage
from vlpro.imaging.picture import Picture

__all__ = [
    "MAX_FRAME",
    "decode_delta",
    "decode_error",
    "decode_request",
    "encode_delta",
    "encode_error",
    "encode_request",
    "pixels_to_memory",
    "read_frame",
    "write_frame",
]

MAX_FRAME = 16_000_000
_LENGTH = struct.Struct(">I")
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

Json = dict[str, Any]


async def read_frame(reader: asyncio.StreamReader) -> Json | None:
    """Next frame, or None at the end of the stream.

    Raises:
        ConnectionError: The other side sent what is not a frame, or went away within one.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MAX_FRAME:
            raise ConnectionError(f"a frame of {length} bytes")
        frame = json.loads(await reader.readexactly(length))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ConnectionError("the stream ended within a frame") from error
        return None
    if not isinstance(frame, dict):
        raise ConnectionError("a frame that is no object")
    return frame


async def write_frame(writer: asyncio.StreamWriter, frame: Json) -> None:
    """Send a frame; waits while the other side is slow."""
    data = json.dumps(frame, ensure_ascii=False).encode()
    writer.write(_LENGTH.pack(len(data)) + data)
    await writer.drain()


def pixels_to_memory(pictures: tuple[Picture, ...]) -> int:
    """Put the pixels of all pictures, one after the other, into an anonymous sealed memory file.

    Returns:
        Its descriptor, the caller's to close.
    """
    memory = os.memfd_create("vlpro-pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for picture in pictures:
            left = np.ascontiguousarray(picture.pixels).data.cast("B")
            while left:
                left = left[os.write(memory, left) :]
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(memory)
        raise
    return memory


def encode_request(request: Request) -> Json:
    """A request without its pixels, which travel as memory in the order of ``request.pictures``."""
    return {
        "messages": [
            {"role": m.role, "parts": [p if isinstance(p, str) else _picture_header(p) for p in m.parts]}
            for m in request.messages
        ],
        "sampling": asdict(request.sampling),
        "response_format": (
            None if request.response_format is None else {"schema": request.response_format.schema}
        ),
        "language": request.language,
        "owner": request.owner,
        "conversation": request.conversation,
        "ahead": request.ahead,
        "reading": request.reading,
    }


def _picture_header(picture: Picture) -> Json:
    return {
        "width": picture.width,
        "height": picture.height,
        "sha256": picture.sha256,
        "pixels_sha256": picture.pixels_sha256,
        "format": picture.format,
        "size": picture.size,
        "original_width": picture.original_width,
        "original_height": picture.original_height,
    }


def decode_request(frame: Json, memory: int | None) -> Request:
    """The request, its pictures read-only views of the memory file.

    Args:
        frame: From :func:`encode_request`.
        memory: Descriptor of the pixels, None without pictures. It may be closed afterwards.
    """
    pixels = np.empty(0, np.uint8)
    if memory is not None:
        pixels = np.frombuffer(mmap.mmap(memory, 0, prot=mmap.PROT_READ), np.uint8)
    offset = 0

    def part(value: str | Json) -> str | Picture:
        nonlocal offset
        if isinstance(value, str):
            return value
        width, height = value.pop("width"), value.pop("height")
        begin, offset = offset, offset + width * height * 3
        return Picture(pixels=pixels[begin:offset].reshape(height, width, 3), **value)

    response_format = frame["response_format"]
    return Request(
        messages=tuple(Message(m["role"], tuple(part(p) for p in m["parts"])) for m in frame["messages"]),
        sampling=Sampling(**frame["sampling"]),
        response_format=None if response_format is None else ResponseFormat(response_format["schema"]),
        language=frame["language"],
        owner=frame["owner"],
        conversation=frame["conversation"],
        ahead=frame["ahead"],
        reading=frame["reading"],
    )


def encode_delta(delta: Delta) -> Json:
    """A piece of an answer as a frame."""
    frame: Json = {"text": delta.text}
    if delta.finish_reason is not None:
        frame["finish_reason"] = delta.finish_reason
    if delta.usage is not None:
        frame["usage"] = astuple(delta.usage)
    return frame


def decode_delta(frame: Json) -> Delta:
    """The piece in a frame."""
    usage = frame.get("usage")
    return Delta(frame["text"], frame.get("finish_reason"), Usage(*usage) if usage else None)


def encode_error(error: errors.VlproError) -> Json:
    """An error as a frame."""
    return {
        "error": type(error).__name__,
        "message": error.message,
        "zh": error.zh,
        "param": error.param,
        "code": error.code,
    }


def decode_error(frame: Json) -> errors.VlproError:
    """The error in a frame; an unknown kind is an EngineError."""
    kind = getattr(errors, frame["error"], None) if frame["error"] in errors.__all__ else None
    if kind is None or kind is errors.BusyError:
        kind = errors.EngineError
    error: errors.VlproError = kind(
        frame["message"], zh=frame["zh"], param=frame["param"], code=frame["code"]
    )
    return error
