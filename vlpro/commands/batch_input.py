"""What ``vlpro batch`` sends to the service, and how a batch begins."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, get_args

from vlpro.client import ApiError, Client
from vlpro.commands.terminal import progress, t
from vlpro.errors import BadRequestError
from vlpro.schema import batches as batch_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["MARK", "begun", "is_requests"]

MARK = {"by": "vlpro batch"}
"""The batches that this command began."""

_KINDS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pdf", ".zip")


def is_requests(paths: Sequence[Path]) -> bool:
    """Whether it is one file of requests."""
    return len(paths) == 1 and paths[0].suffix.lower() == ".jsonl"


def begun(
    client: Client, paths: Sequence[Path], instruction: str, template: str, window: str
) -> batch_schema.Batch:
    """Send the files, and begin; where it is broken off before, they are deleted again.

    Args:
        client: Of the service.
        paths: Files and folders, or one file of requests.
        instruction: What is asked about each; or empty.
        template: Which fields are extracted from each; or empty.
        window: How long it may take.

    Raises:
        BadRequestError: There is nothing to send, or the requests name no endpoint.
        ApiError: The service refused.
    """
    sent: list[str] = []
    try:
        if is_requests(paths):
            endpoint = _endpoint(paths[0])
            with paths[0].open("rb") as data:
                sent.append(client.add_file(paths[0].name, data, "batch").id)
            asked = batch_schema.NewBatch(
                input_file_id=sent[0], endpoint=endpoint, completion_window=window, metadata=MARK
            )
            return client.new_batch(asked)
        files = _files(paths)
        with progress(t("上传", "Sending")) as show:
            for number, (path, name) in enumerate(files, 1):
                with path.open("rb") as data:
                    sent.append(client.add_file(name, data, "user_data").id)
                show(number, len(files), f"{number}/{len(files)}")
        return client.new_batch(
            batch_schema.NewBatch(
                input=batch_schema.BatchInput(file_ids=sent),
                instruction=instruction,
                template=template,
                completion_window=window,
                metadata=MARK,
            )
        )
    except BaseException:
        with suppress(ApiError):
            for file_id in sent:
                client.delete_file(file_id)
        raise


def _endpoint(path: Path) -> batch_schema.Endpoint:
    """The endpoint that the first request names."""
    with path.open("rb") as data:
        line = next((line for line in data if line.strip()), b"")
    try:
        url = json.loads(line)["url"]
    except (ValueError, TypeError, LookupError):
        url = None
    known: tuple[batch_schema.Endpoint, ...] = get_args(batch_schema.Endpoint)
    found = next((endpoint for endpoint in known if endpoint == url), None)
    if found is None:
        raise BadRequestError(
            f"The first line names none of {', '.join(known)} as its url.",
            zh=f"第一行的 url 不是 {'、'.join(known)} 之一。",
        )
    return found


def _files(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """All files, each with its name as results have it; of folders those that can be read here."""
    found = []
    for path in paths:
        if not path.is_dir():
            found.append((path, path.name))
            continue
        found += [
            (each, each.relative_to(path).as_posix())
            for each in sorted(path.rglob("*"))
            if each.suffix.lower() in _KINDS and each.is_file()
        ]
    if not found:
        raise BadRequestError(
            f"There is no picture, PDF or zip ({' '.join(_KINDS)}).",
            zh=f"没有图片、PDF 或 zip（{' '.join(_KINDS)}）。",
        )
    return found
