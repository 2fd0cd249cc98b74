"""``vlpro batch``: many files at once, through the API of a running service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlpro.commands.server_option import THIS_MACHINE, Server, client_of
from vlpro.commands.terminal import (
    Json,
    Progress,
    WrongUsageError,
    free_text,
    print_json,
    progress,
    say,
    t,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vlpro.client import Client
    from vlpro.schema import batches as batch_schema

__all__ = ["app"]

app = typer.Typer()

_FORMATS = ("csv", "xlsx", "json", "docx", "pdf")
_LOOK_S = 0.5
_TIMEOUT_S = 600.0  # of an upload, or of a report with many pictures
_OVER = ("completed", "failed", "cancelled", "expired")


@app.command(
    help=t("一次处理很多文件", "many files at once, through a running service"),
    epilog=t(
        "退出码：0 全部完成；1 有失败的项；2 用法错误；130 已暂停（Ctrl+C）。",
        "Exit status: 0 all were answered; 1 some were not; 2 wrong usage; 130 paused (Ctrl+C).",
    ),
)
def batch(
    *,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help=t(
                "文件夹、zip、PDF 或图片；或一个 .jsonl 请求文件；--resume 时为批处理编号",
                "folders, zip archives, PDFs, pictures; or one .jsonl file of requests; with --resume a batch's ID",
            ),
        ),
    ] = None,
    instruction: Annotated[
        str,
        free_text(
            "--instruction",
            "TEXT",
            t("对每张图片或每页提出的问题", "what is asked about each picture or page"),
        ),
    ] = "",
    template: Annotated[
        str,
        free_text(
            "--template", "NAME", t("从每个文件提取哪些字段", "which fields are extracted from each file")
        ),
    ] = "",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help=t(
                "继续暂停的批处理；省略编号时为最近一个", "go on with a paused batch; the last one without ID"
            ),
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=t("结果文件：.xlsx .csv .json .docx .pdf", "file of results: .xlsx .csv .json .docx .pdf"),
        ),
    ] = None,
    server: Server = THIS_MACHINE,
    window: Annotated[
        str,
        typer.Option(
            "--window", metavar="TIME", help=t("最长处理时间，如 24h", "how long it may take, such as 24h")
        ),
    ] = "7d",
    json: Json = False,
) -> None:
    named = paths or []
    _check(named, instruction, template, out, resume=resume)
    client = client_of(server, timeout_s=_TIMEOUT_S)
    try:
        if resume:
            running = _resumed(client, str(named[0]) if named else "")
        else:
            from vlpro.commands.batch_input import begun

            running = begun(client, named, instruction, template, window)
        try:
            ended = _followed(client, running)
        except KeyboardInterrupt:
            _pause(client, running.id, out)
            raise typer.Exit(130) from None
        if out is not None:
            from vlpro.commands.files import write_bytes

            kind = out.suffix[1:].lower()
            write_bytes(out, client.batch_results(ended.id, kind, t("zh", "en")))  # type: ignore[arg-type]
        _answer(client, ended, out, json=json)
    finally:
        client.close()
    counts = ended.request_counts
    if ended.status != "completed" or counts.completed != counts.total:
        raise typer.Exit(1)


def _check(paths: list[Path], instruction: str, template: str, out: Path | None, *, resume: bool) -> None:
    """Refuse what makes no sense."""
    from vlpro.commands.batch_input import is_requests

    if out is not None and out.suffix[1:].lower() not in _FORMATS:
        raise WrongUsageError(
            "--out must end with .xlsx .csv .json .docx .pdf",
            zh="--out 须以 .xlsx .csv .json .docx .pdf 结尾",
        )
    if resume:
        if len(paths) > 1 or instruction or template:
            raise WrongUsageError(
                "--resume takes the ID of one batch, and nothing else", zh="--resume 只接受一个批处理编号"
            )
        return
    if not paths:
        raise WrongUsageError("name a folder, zip, PDF or picture", zh="请给出文件夹、zip、PDF 或图片")
    for path in paths:
        if not path.exists():
            raise WrongUsageError(f"there is no {path}", zh=f"没有 {path}")
    if instruction and template:
        raise WrongUsageError(
            "give --instruction or --template, not both", zh="--instruction 和 --template 只能给出一个"
        )
    if is_requests(paths) == bool(instruction.strip() or template):
        raise WrongUsageError(
            "give --instruction or --template; a .jsonl file of requests takes neither",
            zh="请给出 --instruction 或 --template；.jsonl 请求文件不需要",
        )


def _resumed(client: Client, name: str) -> batch_schema.Batch:
    from vlpro.commands.batch_input import MARK
    from vlpro.errors import BadRequestError

    if not name:
        paused = [b for b in client.batches(limit=100).data if b.vlpro.paused and b.metadata == MARK]
        if not paused:
            raise BadRequestError(
                "No batch of yours is paused.", zh="没有暂停的批处理。", code="nothing_to_resume"
            )
        name = paused[0].id
    found = client.batch(name)
    return client.change_batch(name, "resume") if found.vlpro.paused else found


def _followed(client: Client, running: batch_schema.Batch) -> batch_schema.Batch:
    """Show how it goes on until it is over; a service that is away for a while is waited for."""
    with progress(t("处理", "Answering")) as show:
        while running.status not in _OVER:
            _refuse_paused(running)
            _show(running, show)
            time.sleep(_LOOK_S)
            running = _looked(client, running)
        if total := running.request_counts.total:
            show(total, total, f"{total}/{total}")
    return running


def _looked(client: Client, running: batch_schema.Batch) -> batch_schema.Batch:
    from vlpro.client import ApiError

    try:
        return client.batch(running.id)
    except ApiError as error:
        if error.status not in (0, 502, 503, 504):
            raise
        return running


def _refuse_paused(running: batch_schema.Batch) -> None:
    from vlpro.errors import BadRequestError

    if running.vlpro.paused:
        raise BadRequestError(
            f"The batch is paused ({running.vlpro.why}). Go on with: vlpro batch --resume {running.id}",
            zh=f"批处理已暂停（{running.vlpro.why}）。继续：vlpro batch --resume {running.id}",
            code="batch_paused",
        )


def _show(running: batch_schema.Batch, show: Progress) -> None:
    counts, extra = running.request_counts, running.vlpro
    if running.status == "validating":
        return
    done = counts.completed + counts.failed
    told = [f"{done}/{counts.total}"]
    if counts.failed:
        told.append(t(f"失败 {counts.failed}", f"{counts.failed} failed"))
    if extra.waits_for:
        told.append(t(f"等待 {extra.waits_for}", f"waits for {extra.waits_for}"))
    if extra.per_second is not None:
        told.append(t(f"每秒 {extra.per_second:.1f}", f"{extra.per_second:.1f}/s"))
    show(done, counts.total, " · ".join(told))


def _pause(client: Client, name: str, out: Path | None) -> None:
    from vlpro.client import ApiError

    try:
        client.change_batch(name, "pause")
    except ApiError as error:
        tell("\n" + t(error.zh, error.message))
        return
    command = f"vlpro batch --resume {name}" + (f" --out {out}" if out is not None else "")
    tell("\n" + t(f"已暂停。继续：{command}", f"Paused. Go on with: {command}"))


def _answer(client: Client, ended: batch_schema.Batch, out: Path | None, *, json: bool) -> None:
    failed = list(_failed(client, ended)) if ended.request_counts.failed else []
    if json:
        print_json(ended.model_dump() | {"failed": [line.model_dump() for line in failed]})
        return
    counts, state = ended.request_counts, ended.status
    total, done, wrong = counts.total, counts.completed, counts.failed
    words = {"completed": "已完成", "failed": "失败", "cancelled": "已取消", "expired": "已超时"}
    lines = [
        t(
            f"{ended.id} {words.get(state, state)}：共 {total} 项，完成 {done}，失败 {wrong}",
            f"{ended.id} {state}: {total} lines, {done} completed, {wrong} failed",
        )
    ]
    for line in failed:
        error = line.error or {}
        sentence = error.get("message", "")
        lines.append(f"  {line.custom_id}: {t((error.get('vlpro') or {}).get('zh') or sentence, sentence)}")
    if ended.errors is not None:
        lines += ["  " + t(error["vlpro"]["zh"], error["message"]) for error in ended.errors.data]
    if out is not None:
        lines.append(t(f"结果：{out}", f"Results: {out}"))
    say("\n".join(lines))


def _failed(client: Client, ended: batch_schema.Batch) -> Iterator[batch_schema.BatchLine]:
    after = 0
    while True:
        page = client.batch_lines(ended.id, after=after, limit=200, status="failed")
        yield from page.data
        if not page.has_more:
            return
        after = page.data[-1].number
