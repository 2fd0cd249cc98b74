"""The commands about what was brought in: the model's files, packages, and what is known of their weaknesses."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlpro import config
from vlpro.config import Settings
from vlpro.engines.model_files import Manifest, find_manifest, sm3, verify
from vlpro.errors import ConfigError, ModelFilesError

if TYPE_CHECKING:
    from vlpro.compliance.advisories import Finding

__all__ = ["add", "verify_model"]

Words = Callable[[str, str], str]
Bar = Callable[[str], Callable[[int, int], None]]
_MOST_DAYS = 14


def add(commands: Any, of_model: Any, t: Words, bar: Bar) -> None:
    """Add the commands.

    Args:
        commands: Of ``vlpro``.
        of_model: Of ``vlpro model``.
        t: Chooses the sentence in the terminal's language: Chinese, English.
        bar: Makes a bar of progress.
    """
    one = of_model.add_parser(
        "report", help=t("检查校验报告的签名", "check the signature of a report of a verification")
    )
    one.add_argument("file", metavar="FILE")
    one.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="HEX",
        help=t("受信任的公钥；默认由密钥文件得出", "public key to trust; the key file's where left out"),
    )
    one.set_defaults(run=lambda options: _report(options, t))

    one = commands.add_parser(
        "sbom", help=t("物料清单（CycloneDX 1.6）", "a bill of materials (CycloneDX 1.6)")
    )
    one.add_argument("--output", metavar="FILE", help=t("默认标准输出", "stdout where left out"))
    one.set_defaults(run=lambda options: _sbom(options, t, bar))

    one = commands.add_parser(
        "advisories",
        help=t(
            "用带入的漏洞公告库检查已安装的软件包", "check what is installed against advisories carried in"
        ),
    )
    one.add_argument(
        "database",
        metavar="DATABASE",
        help=t("OSV 导出的 PyPI 公告：zip 或文件夹", "OSV's export for PyPI: a zip or a folder"),
    )
    one.add_argument(
        "--days",
        type=int,
        default=_MOST_DAYS,
        help=t(f"公告库最多多旧，默认 {_MOST_DAYS} 天", f"how old it may be; {_MOST_DAYS} where left out"),
    )
    one.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="ID",
        help=t(
            "接受的公告编号，或无法检查的软件包（“名称 版本”）",
            'an advisory that is accepted, or a package that cannot be checked ("NAME VERSION")',
        ),
    )
    one.add_argument("--json", action="store_true", help=t("供程序读取", "for programs"))
    one.set_defaults(run=lambda options: _advisories(options, t))


def verify_model(
    settings: Settings, folder: Path, manifest: Manifest, report: str | None, *, bar: Bar, work: str = ""
) -> None:
    """Check a model's folder, and write what was found.

    Args:
        settings: The settings.
        folder: The model's.
        manifest: What its files must be.
        report: File for the report; None: none is wanted.
        bar: Makes a bar of progress.
        work: Stands before the bar.

    Raises:
        ModelFilesError: Names the first file that is not what it must be; the report says so, too.
        ConfigError: The report cannot be written.
    """
    if report is None:
        verify(folder, manifest, progress=bar(work))
        return
    from vlpro.engines import model_report  # noqa: PLC0415 - the other commands need none of it

    if Path(report).resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            "Keep the report outside the model's folder: nothing else may lie in there.",
            zh="报告应放在模型文件夹之外：其中不能有其他文件。",
            param="report",
        )
    failure: ModelFilesError | None = None
    digests: dict[str, str] | None = None
    seed = _seed(settings)
    began = time.time()
    try:
        verify(folder, manifest, progress=bar(work))
        if settings.crypto == "gm":
            digests = sm3(folder, manifest, progress=bar("SM3"))
    except ModelFilesError as error:
        failure = error
    said = model_report.content(folder, manifest, began, failure=failure, sm3=digests)
    _write(report, model_report.written(said, seed))
    if failure is not None:
        raise failure


def _seed(settings: Settings) -> bytes | None:
    """Of the key that signs; None where profile ``local`` has not made one yet."""
    from vlpro.audit.place import audit_sealer  # noqa: PLC0415 - the other commands need none of it

    try:
        return audit_sealer(
            profile=settings.profile,
            data_dir=settings.data_dir,
            key_file=settings.key_file,
            key_token=settings.key_token,
            crypto=settings.crypto,
        ).signing_seed
    except ConfigError:
        if settings.profile == "local" and settings.key_file is None:
            return None
        raise


def _report(options: argparse.Namespace, t: Words) -> None:
    from vlpro.audit.checkpoint import public_key  # noqa: PLC0415 - the other commands need none of it
    from vlpro.engines import model_report  # noqa: PLC0415 - likewise

    try:
        keys = [bytes.fromhex(key) for key in options.key]
        text = Path(options.file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The report or the key cannot be read: {error}.",
            zh=f"无法读取报告或公钥：{error}。",
            param="report",
        ) from error
    if not keys:
        seed = _seed(config.load())
        keys = [public_key(seed)] if seed is not None else []
    said = model_report.opened(text, keys)
    for file in said["files"]:
        sys.stdout.write(f"{file['name']:<40}  {file['size']:>13,}  {file['sha256']}\n")
    of, refused = said["manifest"], said.get("refused")
    about = f"{of['name']} {of['revision']}".strip()
    sys.stdout.write(f"{about}  {said['folder']}  {said['host']}  {said['tool']}\n")
    if refused:
        raise ModelFilesError(
            f"The signature is right, and says that the folder was refused at {said['time']}: {refused['why']}",
            zh=f"签名正确。报告表明 {said['time']} 校验未通过：{refused['why']}",
            param=refused["file"],
        )
    sys.stdout.write(
        t(
            f"签名正确：{said['time']} 校验一致，共 {len(said['files'])} 个文件。\n",
            f"The signature is right: {len(said['files'])} files were what they must be at {said['time']}.\n",
        )
    )


def _sbom(options: argparse.Namespace, t: Words, bar: Bar) -> None:
    import sysconfig  # noqa: PLC0415 - the other commands need none of it

    from vlpro.compliance.installed import added_files, packages  # noqa: PLC0415 - likewise
    from vlpro.compliance.sbom import bill  # noqa: PLC0415 - likewise

    settings = config.load()
    model: tuple[Path, Manifest] | None = None
    if settings.model_dir:
        folder = Path(settings.model_dir)
        model = folder, find_manifest(settings.model_manifest, folder)
        verify(*model, progress=bar(t("校验模型", "model")))
    found = packages(progress=bar(t("软件包", "packages")))
    places = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    added = added_files([place for place in places if place])
    made = bill(found, time.time(), added=added, model=model)
    text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    if options.output:
        _write(options.output, text)
    else:
        sys.stdout.write(text)
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
    if wrong:
        sys.stderr.write("".join(f"{line}\n" for line in wrong))
        raise ConfigError(
            "The installation is not what was installed: see the files above. Install these packages again.",
            zh="已安装的文件与安装时不一致，见上列文件。请重新安装这些软件包。",
            param="installation",
        )


def _advisories(options: argparse.Namespace, t: Words) -> None:
    from vlpro.compliance.advisories import check  # noqa: PLC0415 - the other commands need none of it
    from vlpro.compliance.installed import packages  # noqa: PLC0415 - likewise

    found = packages(contents=False)
    report = check(found, Path(options.database), time.time(), most_days=options.days)
    accepted = frozenset(options.accept)
    open_ones = [one for one in report.findings if one.names.isdisjoint(accepted)]
    newest = "-" if report.newest is None else time.strftime("%Y-%m-%d", time.gmtime(report.newest))
    if options.json:
        listed = [
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
        ]
        whole = {"packages": report.packages, "advisories": report.advisories, "newest": newest}
        sys.stdout.write(json.dumps(whole | {"findings": listed}, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("".join(_line(one, t, accepted) for one in report.findings))
        sys.stdout.write(
            t(
                f"{report.packages} 个软件包，{report.advisories} 条公告（最新 {newest}）。"
                "解释器、OpenSSL、SQLite 和软件包自带的本地库不在 PyPI 公告之列，需另行检查（vlpro sbom）。\n",
                f"{report.packages} packages, {report.advisories} advisories, the newest of {newest}. Interpreter, "
                "OpenSSL, SQLite and native libraries in packages are not in PyPI's advisories: check them by vlpro "
                "sbom.\n",
            )
        )
    if open_ones:
        raise ConfigError(
            f"{len(open_ones)} findings. Bring in the fixed versions, or name with --accept what you accept.",
            zh=f"{len(open_ones)} 项发现。请升级到已修复的版本，或用 --accept 指明接受的项目。",
            param="installation",
        )


def _line(one: Finding, t: Words, accepted: frozenset[str]) -> str:
    kinds = {"vulnerable": t("有漏洞", "vulnerable"), "not checked": t("未检查", "not checked")}
    state = kinds[one.kind] if one.names.isdisjoint(accepted) else t("已接受", "accepted")
    names = " ".join([one.id, *one.aliases]).strip()
    fixed = t("；已修复于 ", "; fixed in ") + ", ".join(one.fixed) if one.fixed else ""
    return f"{state:<11}  {one.subject:<32}  {names:<30}  {t(one.zh, one.en)}{fixed}\n"


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.",
            zh=f"无法写入 {path}：{error.strerror}。",
            param="output",
        ) from error
