"""What ``vlpro inspect`` does: sends a picture to a running service, and tells what was found."""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlpro.errors import ConfigError
from vlpro.schema.inspections import Inspection, NewInspection, PictureUrl
from vlpro.server_option import add_server, client_of

__all__ = ["add"]

Words = Callable[[str, str], str]

_TIMEOUT_S = 600.0


def add(commands: Any, t: Words) -> None:
    """Add the command.

    Args:
        commands: Of ``vlpro``.
        t: Chooses the sentence in the terminal's language: Chinese, English.
    """
    one = commands.add_parser(
        "inspect",
        help=t("检测一张图片（由运行中的服务完成）", "inspect a picture, by the service that runs"),
    )
    one.add_argument("file", metavar="FILE")
    one.add_argument(
        "--template",
        metavar="FILE",
        help=t("标准图；默认为产品已保存的", "the golden picture; the product's stored one where left out"),
    )
    one.add_argument("--product", default="", metavar="NAME", help=t("产品", "what it is"))
    one.add_argument("--station", default="", metavar="NAME", help=t("工位", "where it was taken"))
    one.add_argument(
        "--method",
        choices=("auto", "template", "thermal", "sight"),
        default="auto",
        help=t("检测方式，默认自动选择", "how; chosen by itself where left out"),
    )
    one.add_argument(
        "--instruction",
        default="",
        metavar="TEXT",
        help=t("要找什么（需要能看图的引擎）", "what to look for, for an engine that sees"),
    )
    one.add_argument(
        "--output",
        metavar="FILE",
        help=t("保存标出缺陷的图片（JPEG）", "write the picture with its defects, a JPEG"),
    )
    one.add_argument("--json", action="store_true", help=t("供程序读取", "for programs"))
    add_server(one, t)
    one.set_defaults(run=lambda options: _inspect(options, t))


def _inspect(options: argparse.Namespace, t: Words) -> None:
    image, template = _picture(options.file), _picture(options.template) if options.template else None
    try:
        asked = NewInspection(
            image=image,
            template_image=template,
            product=options.product,
            station=options.station,
            method=options.method,
            instruction=options.instruction,
            language="zh" if t("zh", "en") == "zh" else "en",
        )
    except ValidationError as error:
        name = ".".join(str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"])
        raise ConfigError(
            f"--{name} cannot be used: a name has up to 64 characters without / \\ # +, a text up to 2,000.",
            zh=f"--{name} 无法使用：名称最多 64 个字符且不含 / \\ # +，文字最多 2,000 个字符。",
            param=name,
        ) from error
    with closing(client_of(options, timeout_s=_TIMEOUT_S)) as client:
        found = client.inspect(asked)
        if options.output:
            data = client.inspection_picture(found.id)
            try:
                Path(options.output).write_bytes(data)
            except OSError as error:
                raise _unusable(options.output, error) from error
    sys.stdout.write(found.model_dump_json(indent=1) + "\n" if options.json else _told(found, t))


def _picture(name: str) -> PictureUrl:
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        raise _unusable(name, error) from error
    return PictureUrl(url=f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}")


def _unusable(name: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"{name}: {error.strerror}. Name a file that can be used.",
        zh=f"{name}：{error.strerror}。请换一个可用的文件。",
    )


def _told(found: Inspection, t: Words) -> str:
    verdicts = {
        "pass": t("合格", "PASS"),
        "fail": t("不合格", "FAIL"),
        "review": t("需人工复核", "TO BE LOOKED AT"),
    }
    lines = [f"{verdicts[found.verdict]}  {found.id}  {found.method}  {found.seconds:.2f} s"]
    for number, defect in enumerate(found.defects, 1):
        box = ", ".join(map(str, defect.box))
        lines.append(f"{number:>4}  {defect.kind:<10} [{box}]  {defect.score:.0%}  {defect.note}".rstrip())
    if found.screening:
        lines.append(t("模型初筛结果，请人工确认。", "A model's screening: a person must confirm it."))
    if found.message:
        lines.append(t(found.message_zh, found.message))
    if found.alert is not None:
        lines.append(f"{t('告警', 'Alert')} {found.alert.id} ({found.alert.state})")
    return "\n".join(lines) + "\n"
