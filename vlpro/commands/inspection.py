"""``vlpro inspect``: sends a picture to a running service, and tells what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vlpro.commands.server_option import THIS_MACHINE, Server, client_of
from vlpro.commands.terminal import Json, answer, free_text, t

if TYPE_CHECKING:
    from vlpro.schema.inspections import Inspection, NewInspection, PictureUrl

__all__ = ["app"]

app = typer.Typer()

_TIMEOUT_S = 600.0

Method = Literal["auto", "template", "thermal", "sight"]


@app.command(help=t("检测一张图片（由运行中的服务完成）", "inspect a picture, by the service that runs"))
def inspect(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help=t("图片", "the picture"))],
    template: Annotated[
        Path | None,
        typer.Option(
            "--template",
            metavar="FILE",
            help=t(
                "标准图；默认为产品已保存的", "the golden picture; the product's stored one where left out"
            ),
        ),
    ] = None,
    product: Annotated[str, free_text("--product", "NAME", t("产品", "what it is"))] = "",
    station: Annotated[str, free_text("--station", "NAME", t("工位", "where it was taken"))] = "",
    method: Annotated[
        Method,
        typer.Option("--method", help=t("检测方式；auto 为自动选择", "how; auto: chosen by itself")),
    ] = "auto",
    instruction: Annotated[
        str,
        free_text(
            "--instruction",
            "TEXT",
            t("要找什么（需要能看图的引擎）", "what to look for, for an engine that sees"),
        ),
    ] = "",
    knowledge_base: Annotated[
        list[str] | None,
        typer.Option(
            "--knowledge-base",
            metavar="ID",
            help=t(
                "知识库编号；其中的内容用来说明检测结果，可多次给出",
                "a knowledge base whose passages explain what is found; may be given several times",
            ),
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help=t("保存标出缺陷的图片（JPEG）", "write the picture with its defects, a JPEG"),
        ),
    ] = None,
    server: Server = THIS_MACHINE,
    json: Json = False,
) -> None:
    from contextlib import closing

    asked = _asked(
        image=_picture(file),
        template_image=_picture(template) if template else None,
        product=product,
        station=station,
        method=method,
        instruction=instruction,
        language="zh" if t("zh", "en") == "zh" else "en",
        knowledge_base=knowledge_base or None,
    )
    with closing(client_of(server, timeout_s=_TIMEOUT_S)) as client:
        found = client.inspect(asked)
        if output:
            from vlpro.commands.files import write_bytes

            write_bytes(output, client.inspection_picture(found.id))
    answer(found.model_dump(mode="json"), _text(found), json=json)


def _asked(**fields: object) -> NewInspection:
    from pydantic import ValidationError

    from vlpro.errors import ConfigError
    from vlpro.schema.inspections import NewInspection

    try:
        return NewInspection.model_validate(fields)
    except ValidationError as error:
        place = error.errors(include_url=False, include_input=False)[0]["loc"]
        if place[0] == "knowledge_base":
            raise ConfigError(
                "--knowledge-base cannot be used: give the IDs of 1 to 16 knowledge bases, such as kb_0123….",
                zh="--knowledge-base 无法使用：请给出 1 到 16 个知识库编号，如 kb_0123…。",
                param="knowledge_base",
            ) from error
        name = ".".join(str(part) for part in place)
        raise ConfigError(
            f"--{name} cannot be used: a name has up to 64 characters without / \\ # +, a text up to 2,000.",
            zh=f"--{name} 无法使用：名称最多 64 个字符且不含 / \\ # +，文字最多 2,000 个字符。",
            param=name,
        ) from error


def _picture(path: Path) -> PictureUrl:
    import base64

    from vlpro.errors import ConfigError
    from vlpro.schema.inspections import PictureUrl

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}. Name a file that can be used.",
            zh=f"{path}：{error.strerror}。请换一个可用的文件。",
        ) from error
    return PictureUrl(url=f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}")


def _text(found: Inspection) -> str:
    verdicts = {
        "pass": t("合格", "PASS"),
        "fail": t("不合格", "FAIL"),
        "review": t("需人工复核", "TO BE LOOKED AT"),
    }
    lines = [f"{verdicts[found.verdict]}  {found.id}  {found.method}  {found.seconds:.2f} s"]
    for number, defect in enumerate(found.defects, 1):
        box = ", ".join(map(str, defect.box))
        lines.append(f"{number:>4}  {defect.kind:<10} [{box}]  {defect.score:.0%}  {defect.note}".rstrip())
    for cited in found.citations or []:
        where = t(f"《{cited.document}》第 {cited.page} 页", f"{cited.document}, page {cited.page}")
        lines.append(f"[{cited.number}] {where}: {' '.join(cited.text.split())}")
    if found.citations == []:
        lines.append(t("知识库中没有相关说明。", "The knowledge bases say nothing about it."))
    if found.screening:
        lines.append(t("模型初筛结果，请人工确认。", "A model's screening: a person must confirm it."))
    if found.message:
        lines.append(t(found.message_zh, found.message))
    if found.alert is not None:
        lines.append(f"{t('告警', 'Alert')} {found.alert.id} ({found.alert.state})")
    return "\n".join(lines)
