"""The command ``vlpro batch``: many files at once, through the API of a running service."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from vlpro.client import ApiError, Client
from vlpro.errors import BadRequestError
from vlpro.schema import batches as batch_schema
from vlpro.server_option import add_server, client_of

__all__ = ["add"]

Words = Callable[[str, str], str]

_KINDS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pdf", ".zip")
_FORMATS: tuple[batch_schema.ExportFormat, ...] = get_args(batch_schema.ExportFormat)
_LOOK_S = 0.5
_BAR = 24
_TIMEOUT_S = 600.0  # of an upload, or of a report with many pictures
_MARK = {"by": "vlpro batch"}
_OVER = ("completed", "failed", "cancelled", "expired")


def add(commands: Any, t: Words) -> None:
    """Add the command.

    Args:
        commands: Of ``vlpro``.
        t: Chooses the sentence in the terminal's language: Chinese, English.
    """
    one = commands.add_parser(
        "batch",
        help=t("一次处理很多文件", "many files at once, through a running service"),
        epilog=t(
            "退出码：0 全部完成；1 有失败的项；2 用法错误；130 已暂停（Ctrl+C）。",
            "Exit status: 0 all were answered; 1 some were not; 2 wrong usage; 130 paused (Ctrl+C).",
        ),
    )
    one.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help=t(
            "文件夹、zip、PDF 或图片；或一个 .jsonl 请求文件",
            "folders, zip archives, PDFs, pictures; or one .jsonl file of requests",
        ),
    )
    what = one.add_mutually_exclusive_group()
    what.add_argument(
        "--instruction",
        metavar="TEXT",
        help=t("对每张图片或每页提出的问题", "what is asked about each picture or page"),
    )
    what.add_argument(
        "--template",
        metavar="NAME",
        help=t("从每个文件提取哪些字段", "which fields are extracted from each file"),
    )
    what.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="ID",
        help=t(
            "继续暂停的批处理；省略编号时为最近一个", "go on with a paused batch; the last one without ID"
        ),
    )
    one.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=t("结果文件：.xlsx .csv .json .docx .pdf", "file of results: .xlsx .csv .json .docx .pdf"),
    )
    add_server(one, t)
    one.add_argument(
        "--window",
        default="7d",
        metavar="TIME",
        help=t("最长处理时间，如 24h、7d", "how long it may take: 24h, 7d where left out"),
    )
    one.add_argument("--json", action="store_true", help=t("供程序读取", "for programs"))
    one.set_defaults(run=lambda options: _run(options, one, t))


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser, t: Words) -> None:
    _check(options, parser, t)
    client = client_of(options, timeout_s=_TIMEOUT_S)
    try:
        batch = _resumed(client, options.resume) if options.resume is not None else _begun(client, options, t)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise SystemExit(130) from None
    try:
        batch = _followed(client, batch, t, quiet=options.json)
    except KeyboardInterrupt:
        _pause(client, batch.id, options, t)
        raise SystemExit(130) from None
    if options.out is not None:
        kind = options.out.suffix[1:].lower()
        options.out.write_bytes(client.batch_results(batch.id, kind, t("zh", "en")))  # type: ignore[arg-type]
    _tell(client, batch, options, t)
    counts = batch.request_counts
    raise SystemExit(0 if batch.status == "completed" and counts.completed == counts.total else 1)


def _check(options: argparse.Namespace, parser: argparse.ArgumentParser, t: Words) -> None:
    """End with status 2 where the arguments make no sense."""
    if options.out is not None and options.out.suffix[1:].lower() not in _FORMATS:
        parser.error(
            t(
                "--out 须以 .xlsx .csv .json .docx .pdf 结尾",
                "--out must end with .xlsx .csv .json .docx .pdf",
            )
        )
    if options.resume is not None:
        if options.paths:
            parser.error(t("--resume 不需要文件", "--resume takes no files"))
        return
    if not options.paths:
        parser.error(t("请给出文件夹、zip、PDF 或图片", "name a folder, zip, PDF or picture"))
    for path in options.paths:
        if not path.exists():
            parser.error(t(f"没有 {path}", f"there is no {path}"))
    requests = _is_requests(options.paths)
    if requests == bool((options.instruction or "").strip() or options.template):
        parser.error(
            t(
                "请给出 --instruction 或 --template；.jsonl 请求文件不需要",
                "give --instruction or --template; a .jsonl file of requests takes neither",
            )
        )


def _is_requests(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and paths[0].suffix.lower() == ".jsonl"


def _begun(client: Client, options: argparse.Namespace, t: Words) -> batch_schema.Batch:
    """Send the files, and begin; where it is broken off before, they are deleted again."""
    sent: list[str] = []
    files = list(_files(options.paths))
    if not files:
        raise BadRequestError(
            f"There is no picture, PDF or zip ({' '.join(_KINDS)}).",
            zh=f"没有图片、PDF 或 zip（{' '.join(_KINDS)}）。",
        )
    try:
        if _is_requests(options.paths):
            path = options.paths[0]
            endpoint = _endpoint(path)
            with path.open("rb") as data:
                sent.append(client.add_file(path.name, data, "batch").id)
            asked = batch_schema.NewBatch(
                input_file_id=sent[0], endpoint=endpoint, completion_window=options.window, metadata=_MARK
            )
            return client.new_batch(asked)
        for number, (path, name) in enumerate(files, 1):
            with path.open("rb") as data:
                sent.append(client.add_file(name, data, "user_data").id)
            _show(t("上传", "Sending"), number, len(files), "", quiet=options.json)
        return client.new_batch(
            batch_schema.NewBatch(
                input=batch_schema.BatchInput(file_ids=sent),
                instruction=options.instruction or "",
                template=options.template or "",
                completion_window=options.window,
                metadata=_MARK,
            )
        )
    except BaseException:
        for file_id in sent:
            try:
                client.delete_file(file_id)
            except ApiError:
                break
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


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """All files, each with its name as results have it; of folders those that can be read here."""
    for path in paths:
        if not path.is_dir():
            yield path, path.name
            continue
        for each in sorted(path.rglob("*")):
            if each.suffix.lower() in _KINDS and each.is_file():
                yield each, each.relative_to(path).as_posix()


def _resumed(client: Client, name: str) -> batch_schema.Batch:
    if not name:
        paused = [b for b in client.batches(limit=100).data if b.vlpro.paused and b.metadata == _MARK]
        if not paused:
            raise BadRequestError(
                "No batch of yours is paused.", zh="没有暂停的批处理。", code="nothing_to_resume"
            )
        name = paused[0].id
    batch = client.batch(name)
    return client.change_batch(name, "resume") if batch.vlpro.paused else batch


def _followed(client: Client, batch: batch_schema.Batch, t: Words, *, quiet: bool) -> batch_schema.Batch:
    """Show how it goes on until it is over; a service that is away for a while is waited for."""
    while batch.status not in _OVER:
        if batch.vlpro.paused:
            raise BadRequestError(
                f"The batch is paused ({batch.vlpro.why}). Go on with: vlpro batch --resume {batch.id}",
                zh=f"批处理已暂停（{batch.vlpro.why}）。继续：vlpro batch --resume {batch.id}",
                code="batch_paused",
            )
        counts = batch.request_counts
        if batch.status != "validating":
            done = counts.completed + counts.failed
            _show(t("处理", "Answering"), done, counts.total, _speed(batch, t), quiet=quiet)
        time.sleep(_LOOK_S)
        try:
            batch = client.batch(batch.id)
        except ApiError as error:
            if error.status not in (0, 502, 503, 504):
                raise
    counts = batch.request_counts
    if counts.total:
        _show(t("处理", "Answering"), counts.total, counts.total, "", quiet=quiet)
    return batch


def _speed(batch: batch_schema.Batch, t: Words) -> str:
    extra = batch.vlpro
    told = []
    if batch.request_counts.failed:
        told.append(t(f"失败 {batch.request_counts.failed}", f"{batch.request_counts.failed} failed"))
    if extra.waits_for:
        told.append(t(f"等待 {extra.waits_for}", f"waits for {extra.waits_for}"))
    if extra.per_second is not None and extra.seconds_left is not None:
        minutes, seconds = divmod(round(extra.seconds_left), 60)
        left = (
            f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
        )
        told.append(t(f"每秒 {extra.per_second:.1f}", f"{extra.per_second:.1f}/s"))
        told.append(t(f"剩余 {left}", f"{left} left"))
    return " · ".join(told)


_shown = ""


def _show(what: str, done: int, total: int, more: str, *, quiet: bool) -> None:
    """A bar on a terminal, else a line for each tenth."""
    global _shown  # noqa: PLW0603 - one terminal a process
    if quiet:
        return
    share = done / max(1, total)
    bar = "#" * int(share * _BAR)
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r\x1b[K{what} [{bar:<{_BAR}}] {done}/{total}  {more}{end}")
    elif (line := f"{what} {int(share * 10) * 10} %") != _shown:
        _shown = line
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _pause(client: Client, name: str, options: argparse.Namespace, t: Words) -> None:
    try:
        client.change_batch(name, "pause")
    except ApiError as error:
        sys.stderr.write("\n" + t(error.zh, error.message) + "\n")
        return
    out = f" --out {options.out}" if options.out is not None else ""
    command = f"vlpro batch --resume {name}{out}"
    sys.stderr.write("\n" + t(f"已暂停。继续：{command}", f"Paused. Go on with: {command}") + "\n")


def _tell(client: Client, batch: batch_schema.Batch, options: argparse.Namespace, t: Words) -> None:
    failed = list(_failed(client, batch)) if batch.request_counts.failed else []
    if options.json:
        told = batch.model_dump() | {"failed": [line.model_dump() for line in failed]}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    counts, state = batch.request_counts, batch.status
    total, done, wrong = counts.total, counts.completed, counts.failed
    words = {"completed": "已完成", "failed": "失败", "cancelled": "已取消", "expired": "已超时"}
    sys.stdout.write(
        t(
            f"{batch.id} {words.get(state, state)}：共 {total} 项，完成 {done}，失败 {wrong}\n",
            f"{batch.id} {state}: {total} lines, {done} completed, {wrong} failed\n",
        )
    )
    for line in failed:
        error = line.error or {}
        sentence = t(
            (error.get("vlpro") or {}).get("zh") or error.get("message", ""), error.get("message", "")
        )
        sys.stdout.write(f"  {line.custom_id}: {sentence}\n")
    for error in batch.errors.data if batch.errors is not None else ():
        sys.stdout.write("  " + t(error["vlpro"]["zh"], error["message"]) + "\n")
    if options.out is not None:
        sys.stdout.write(t(f"结果：{options.out}\n", f"Results: {options.out}\n"))


def _failed(client: Client, batch: batch_schema.Batch) -> Iterator[batch_schema.BatchLine]:
    after = 0
    while True:
        page = client.batch_lines(batch.id, after=after, limit=200, status="failed")
        yield from page.data
        if not page.has_more:
            return
        after = page.data[-1].number
