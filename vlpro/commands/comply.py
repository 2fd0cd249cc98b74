"""``vlpro comply``: a compliance report made, verified, and compared with another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vlpro.commands.server_option import key_given
from vlpro.commands.terminal import Json, WrongUsageError, answer, print_json, progress, say, t, tell

__all__ = ["app"]

app = typer.Typer(invoke_without_command=True, help=t("等保三级合规报告", "compliance with MLPS level 3"))

_ED25519_BYTES, _SM2_BYTES = 32, 65
_MARKS = {"pass": ("通过", "pass"), "fail": ("不通过", "FAIL"), "not_evaluated": ("未评估", "not evaluated"),
          "outside": ("范围之外", "outside")}  # fmt: skip


@app.callback()
def comply(
    context: typer.Context,
    *,
    json: Json = False,
    url: Annotated[
        str,
        typer.Option("--url", metavar="URL", help=t("运行中服务的网址", "address of the running service")),
    ] = "",
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca", metavar="FILE", help=t("其证书机构（PEM）", "authority of its certificate (PEM)")
        ),
    ] = None,
    port: Annotated[
        list[int] | None,
        typer.Option(
            "--port",
            metavar="PORT",
            min=1,
            max=65_535,
            help=t("应对外监听的端口", "a port that is meant to listen"),
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="ID",
            help=t(
                "接受的公告，或无法检查的软件包（“名称 版本”）",
                'an advisory or "NAME VERSION" that is accepted',
            ),
        ),
    ] = None,
    lock: Annotated[
        Path | None,
        typer.Option("--lock", metavar="FILE", help=t("锁定文件", "the lock of what is installed")),
    ] = None,
    advisories: Annotated[
        Path | None,
        typer.Option("--advisories", metavar="FILE", help=t("漏洞公告库（OSV）", "advisories (OSV)")),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FOLDER", help=t("写到何处", "where it is written")),
    ] = None,
) -> None:
    """Make a report, where no other command is named."""
    if context.invoked_subcommand is not None:
        return
    import getpass
    import logging
    import os

    from vlpro import config
    from vlpro.compliance.options import ComplianceOptions
    from vlpro.compliance.report_store import folder_of
    from vlpro.compliance.reporting import make_report
    from vlpro.gateway.complying import context_of
    from vlpro.process import keep_memory_private
    from vlpro.sealing.offline import OFFLINE

    settings = config.load()
    # What the service gives its process before all else, so that the same is tried here.
    os.environ.update(OFFLINE)
    keep_memory_private()
    given = {"url": url, "ca": ca, "ports": port, "advisories": advisories, "accepted": accept, "lock": lock}
    known = (settings.compliance or ComplianceOptions()).model_dump()
    told = ComplianceOptions(**known | {name: value for name, value in given.items() if value})
    logging.disable(logging.ERROR)  # what the scratch system says of refusals and failures that checks want
    with (
        context_of(settings.model_copy(update={"compliance": told}), key=key_given()) as made,
        progress(t("检查", "checks")) as show,
    ):
        content = make_report(
            made,
            by=getpass.getuser(),
            folder=output,
            tell=lambda done, total, result: show(done, total, result.check.name),
        )
    logging.disable(logging.NOTSET)
    place = output or folder_of(settings.data_dir) / str(content["id"])
    answer({**content, "folder": str(place)}, _text(content, place), json=json)
    if content["totals"]["fail"]:
        raise typer.Exit(1)


_Trusted = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="HEX",
        help=t("信任的公钥；默认本服务的公钥", "a public key that is trusted; the service's own if left out"),
    ),
]


@app.command(help=t("核验一份报告", "verify a report"))
def verify(
    *,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=t("报告文件夹", "of the report"))],
    key: _Trusted = None,
    json: Json = False,
) -> None:
    from vlpro.compliance.report_errors import ReportVerificationError

    try:
        content = _verified(folder, key)
    except ReportVerificationError as error:
        answer(
            {"verified": False, "file": error.file, "error": str(error)},
            t(f"未通过：{error.diagnostics(chinese=True)}", f"Not as it was signed: {error.diagnostics()}"),
            json=json,
        )
        raise typer.Exit(1) from error
    answer(
        {"verified": True, "id": content["id"], "totals": content["totals"]},
        t(f"报告 {content['id']} 与签名时一致。", f"Report {content['id']} is as it was signed."),
        json=json,
    )


@app.command(help=t("两份报告的差异，先核验两者", "what differs between two reports, once both are verified"))
def diff(
    *,
    old: Annotated[
        Path, typer.Argument(metavar="OLD", help=t("较早的报告文件夹", "folder of the earlier one"))
    ],
    new: Annotated[
        Path, typer.Argument(metavar="NEW", help=t("较新的报告文件夹", "folder of the later one"))
    ],
    key: _Trusted = None,
    json: Json = False,
) -> None:
    from vlpro.compliance.report import difference
    from vlpro.compliance.report_errors import ReportVerificationError

    contents = []
    for folder in (old, new):
        try:
            contents.append(_verified(folder, key))
        except ReportVerificationError as error:
            tell(f"{folder}: {error.diagnostics(chinese=t('zh', 'en') == 'zh')}")
            raise typer.Exit(1) from error
    changed = difference(*contents)
    if json:
        print_json({"since": contents[0]["id"], "clauses": changed})
        return
    for change in changed:
        say(f"{change['id']}: {_mark(change['from'])} → {_mark(change['to'])}")
    if not changed:
        say(t("没有变化。", "Nothing has changed."))


def _verified(folder: Path, given: list[str] | None) -> dict[str, Any]:
    """What a report says, its signature being one of a key that is trusted. Raises: ReportVerificationError."""
    from vlpro import config
    from vlpro.commands.audit_access import sealer
    from vlpro.compliance.report_signature import Keys
    from vlpro.compliance.report_verify import verify as verified
    from vlpro.compliance.reporting import trusted_keys
    from vlpro.errors import ConfigError

    if not folder.is_dir():
        raise ConfigError(
            f"There is no folder {folder}. Name that of a report, such as cr_…, as it was unpacked.",
            zh=f"没有文件夹 {folder}。请指定解压后的报告文件夹，例如 cr_…。",
            param="folder",
        )

    if given:
        try:
            keys = [bytes.fromhex(each) for each in given]
        except ValueError as error:
            raise WrongUsageError("--key is no hexadecimal number.", zh="--key 不是十六进制数。") from error
        if not {len(key) for key in keys} <= {_ED25519_BYTES, _SM2_BYTES}:
            raise WrongUsageError(
                f"--key takes {_ED25519_BYTES} bytes (Ed25519) or {_SM2_BYTES} (SM2), in hexadecimal.",
                zh=f"--key 应为 {_ED25519_BYTES} 字节（Ed25519）或 {_SM2_BYTES} 字节（SM2）的十六进制数。",
            )
        trusted = Keys(
            [key for key in keys if len(key) == _ED25519_BYTES],
            [key for key in keys if len(key) == _SM2_BYTES],
        )
    else:
        settings = config.load()
        trusted = trusted_keys(settings, sealer(settings))
    return dict(verified(folder, trusted).content)


def _mark(verdict: str | None) -> str:
    return t(*_MARKS[verdict]) if verdict in _MARKS else "-"


def _text(content: dict[str, Any], place: Path) -> str:
    """The report for a terminal: what passed in a line, the rest with what was found."""
    language = t("zh", "en")
    lines = []
    for clause in content["clauses"]:
        lines.append(f"[{_mark(clause['verdict'])}] {clause['id']}  {clause['title'][language]}")
        lines += [
            f"    {check['name']}: {check['found'][language]}"
            for check in clause["checks"]
            if check["verdict"] != "pass"
        ]
    counted = ", ".join(f"{_mark(verdict)} {count}" for verdict, count in content["totals"].items())
    return "\n".join([*lines, counted, str(place)])
