"""``vlpro sbom`` and ``vlpro advisories``: what is installed, and what is known of its weaknesses."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlpro.commands.terminal import Json, answer, print_json, progress, t, tell

if TYPE_CHECKING:
    from vlpro.compliance.advisories import Finding, Report
    from vlpro.compliance.installed import Package

__all__ = ["app"]

app = typer.Typer()


@app.command(help=t("物料清单（CycloneDX 1.6）", "a bill of materials (CycloneDX 1.6)"))
def sbom(
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help=t("默认标准输出", "stdout where left out")),
    ] = None,
) -> None:
    import sysconfig

    from vlpro import config
    from vlpro.commands.files import write_text
    from vlpro.compliance.installed import added_files, packages
    from vlpro.compliance.sbom import bill
    from vlpro.engines.model_files import Manifest, find_manifest, verify
    from vlpro.errors import ConfigError

    settings = config.load()
    model: tuple[Path, Manifest] | None = None
    if settings.model_dir:
        folder = Path(settings.model_dir)
        model = folder, find_manifest(settings.model_manifest, folder)
        with progress(t("校验模型", "model")) as show:
            verify(*model, progress=show)
    with progress(t("软件包", "packages")) as show:
        found = packages(progress=show)
    places = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    added = added_files([place for place in places if place])
    made = bill(found, time.time(), added=added, model=model)
    if output:
        from json import dumps

        write_text(output, dumps(made, indent=2, ensure_ascii=False) + "\n")
    else:
        print_json(made)
    if wrong := _altered(found, added):
        tell("\n".join(wrong))
        raise ConfigError(
            "The installation is not what was installed: see the files above. Install these packages again.",
            zh="已安装的文件与安装时不一致，见上列文件。请重新安装这些软件包。",
            param="installation",
        )


def _altered(found: list[Package], added: list[str]) -> list[str]:
    """A line for each file that is not as it was installed."""
    wrong = [f"{one.name} {one.version}: {file} ({how})" for one in found for file, how in one.altered]
    wrong += [t(f"{file}（不属于任何软件包）", f"{file} (of no package)") for file in added]
    wrong += [
        t(
            f"{one.name} {one.version}（没有 RECORD，无法核对）",
            f"{one.name} {one.version} (no RECORD to check by)",
        )
        for one in found
        if not one.record_sha256
    ]
    return wrong


@app.command(
    help=t("用带入的漏洞公告库检查已安装的软件包", "check what is installed against advisories carried in")
)
def advisories(
    *,
    database: Annotated[
        Path,
        typer.Argument(
            metavar="DATABASE",
            help=t("OSV 导出的 PyPI 公告：zip 或文件夹", "OSV's export for PyPI: a zip or a folder"),
        ),
    ],
    days: Annotated[
        int, typer.Option("--days", metavar="DAYS", help=t("公告库最多多旧", "how old it may be"))
    ] = 14,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="ID",
            help=t(
                "接受的公告编号，或无法检查的软件包（“名称 版本”）",
                'an advisory that is accepted, or a package that cannot be checked ("NAME VERSION")',
            ),
        ),
    ] = None,
    json: Json = False,
) -> None:
    from vlpro.compliance.advisories import check
    from vlpro.compliance.installed import packages
    from vlpro.errors import ConfigError

    if not database.exists():
        raise ConfigError(
            f"There is no {database}. Name OSV's export for PyPI, a zip or a folder (docs/supply-chain.md).",
            zh=f"没有 {database}。请指定 OSV 导出的 PyPI 公告：zip 或文件夹（docs/supply-chain.md）。",
            param="database",
        )
    report = check(packages(contents=False), database, time.time(), most_days=days)
    accepted = frozenset(accept or ())
    answer(_report_json(report, accepted), _report_text(report, accepted), json=json)
    open_ones = [one for one in report.findings if one.names.isdisjoint(accepted)]
    if open_ones:
        raise ConfigError(
            f"{len(open_ones)} findings. Bring in the fixed versions, or name with --accept what you accept.",
            zh=f"{len(open_ones)} 项发现。请升级到已修复的版本，或用 --accept 指明接受的项目。",
            param="installation",
        )


def _newest(report: Report) -> str:
    return "-" if report.newest is None else time.strftime("%Y-%m-%d", time.gmtime(report.newest))


def _report_json(report: Report, accepted: frozenset[str]) -> dict[str, object]:
    return {
        "packages": report.packages,
        "advisories": report.advisories,
        "newest": _newest(report),
        "findings": [
            {
                "kind": one.kind,
                "subject": one.subject,
                "id": one.id,
                "what": one.en,
                "fixed": one.fixed,
                "aliases": one.aliases,
                "accepted": not one.names.isdisjoint(accepted),
            }
            for one in report.findings
        ],
    }


def _report_text(report: Report, accepted: frozenset[str]) -> str:
    lines = [_line(one, accepted) for one in report.findings]
    lines.append(
        t(
            f"{report.packages} 个软件包，{report.advisories} 条公告（最新 {_newest(report)}）。"
            "解释器、OpenSSL、SQLite 和软件包自带的本地库不在 PyPI 公告之列，需另行检查（vlpro sbom）。",
            f"{report.packages} packages, {report.advisories} advisories, the newest of {_newest(report)}. "
            "Interpreter, OpenSSL, SQLite and native libraries in packages are not in PyPI's advisories: check them "
            "by vlpro sbom.",
        )
    )
    return "\n".join(lines)


def _line(one: Finding, accepted: frozenset[str]) -> str:
    kinds = {"vulnerable": t("有漏洞", "vulnerable"), "not checked": t("未检查", "not checked")}
    state = kinds[one.kind] if one.names.isdisjoint(accepted) else t("已接受", "accepted")
    names = " ".join([one.id, *one.aliases]).strip()
    fixed = t("；已修复于 ", "; fixed in ") + ", ".join(one.fixed) if one.fixed else ""
    return f"{state:<11}  {one.subject:<32}  {names:<30}  {t(one.zh, one.en)}{fixed}"
