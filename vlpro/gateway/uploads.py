"""Forms with a file in them (RFC 7578), read as they come: the file is not put on the disk, nor held as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from vlpro.errors import BadRequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["Form"]

_MOST_FIELDS = 16
_FIELD_BYTES = 1_000
_HEADER_BYTES = 4_000


class Form:
    """A form with one file.

    Args:
        request: Of which nothing was read yet.

    Attributes:
        fields: Those that came so far, the file excepted; all of them once :meth:`file` has ended.
        filename: Of the file; empty where there is none.

    Raises:
        BadRequestError: The request is no form.
    """

    def __init__(self, request: Request) -> None:
        media, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        if media != b"multipart/form-data" or not boundary:
            raise BadRequestError(
                "Send the file as multipart/form-data, with the fields file and purpose.",
                zh="请以 multipart/form-data 发送文件，包含字段 file 和 purpose。",
                code="invalid_content_type",
            )
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._request = request
        self._found_file = False
        self._pieces: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value, self._size = bytearray(), bytearray(), 0
        self._field: str | None = None  # None: what comes is the file's
        self._text = bytearray()
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._part_begins,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    async def file(self) -> AsyncIterator[bytes]:
        """The file's bytes.

        Raises:
            BadRequestError: The form is malformed, or has no file.
        """
        try:
            async for chunk in self._request.stream():
                self._parser.write(chunk)
                pieces, self._pieces = self._pieces, []
                for piece in pieces:
                    yield piece
            self._parser.finalize()
        except FormParserError as error:
            raise _malformed() from error
        if not self._found_file:
            raise BadRequestError(
                "Missing required parameter: file.",
                zh="缺少必填参数：file。",
                param="file",
                code="missing_required_parameter",
            )

    def _part_begins(self) -> None:
        self._headers.clear()
        self._size = 0

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._count(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count(end - start)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > _HEADER_BYTES:
            raise _malformed()

    def _header_ends(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name == "file":
            if self._found_file:
                raise BadRequestError(
                    "Send one file in a request.", zh="每个请求只能上传一个文件。", param="file"
                )
            self._found_file, self._field = True, None
            self.filename = _safe(options.get(b"filename", b"").decode("utf-8", "replace"))
            return
        if name in self.fields or len(self.fields) >= _MOST_FIELDS or not name:
            raise _malformed()
        self._field = name[:80]
        self._text.clear()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._pieces.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _FIELD_BYTES:
            raise BadRequestError(
                f"{self._field} is too long.", zh=f"{self._field} 过长。", param=self._field
            )

    def _part_ends(self) -> None:
        if self._field is not None:
            self.fields[self._field] = self._text.decode("utf-8", "replace")
            self._field = None


def _safe(name: str) -> str:
    """As a name to show: folders stay where they lead downward."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "".join(c if c.isprintable() else "�" for c in "/".join(parts))[-200:] or "file"


def _malformed() -> BadRequestError:
    return BadRequestError(
        "The form is malformed (multipart/form-data).", zh="表单格式不正确（multipart/form-data）。"
    )
