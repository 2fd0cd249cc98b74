"""The machine: what is installed, which ports listen (8.1.4.4, F4)."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from vlpro.compliance import advisories
from vlpro.compliance.clause import Check, FailedError, Finding, NotEvaluatedError, Sentence
from vlpro.compliance.context import Context
from vlpro.compliance.installed import packages
from vlpro.errors import ConfigError

__all__ = ["ADVISORIES", "INSTALLED", "LOCKED", "PORTS"]

_PIN = re.compile(r"^[A-Za-z0-9].*?==.*?(?=\s--hash|\s*[#\\]|$)", re.MULTILINE)
_OLD_DAYS = 14
_LOCKS = (Path(sys.prefix) / "requirements.txt", Path(__file__).parents[3] / "requirements.txt")
"""Where the offline kit leaves it, and where it is in a checkout."""


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(text: str) -> dict[str, str]:
    """Names and versions of a lock, as far as they are for this Python and this machine (PEP 508)."""
    pins = [Requirement(line.strip()) for line in _PIN.findall(text)]
    return {
        _key(pin.name): next(iter(pin.specifier)).version
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def _locked(context: Context) -> Finding:
    told = context.told.lock
    lock = next((path for path in ((told,) if told else _LOCKS) if path.is_file()), None)
    if lock is None:
        raise NotEvaluatedError(
            "The lock is not on this machine. Name it with --lock: requirements.txt of the version that is "
            "installed.",
            "本机没有锁定文件。请用 --lock 指明所安装版本的 requirements.txt。",
            {"lock": None},
        )
    wanted = _pins(lock.read_text(encoding="utf-8"))
    here = {package.key: package.version for package in packages(contents=False)}
    other = {name: here[name] for name, version in wanted.items() if name in here and here[name] != version}
    beside = sorted(set(here) - set(wanted) - {"vlpro", "pip", "setuptools", "wheel"})
    facts = {"locked": len(wanted), "installed": len(here), "other_version": other, "not_in_lock": beside}
    if other:
        raise FailedError(
            f"{len(other)} packages are of another version than the lock says: {', '.join(sorted(other)[:5])}.",
            f"{len(other)} 个软件包与锁定版本不同：{'、'.join(sorted(other)[:5])}。",
            facts,
        )
    if beside:
        raise NotEvaluatedError(
            f"{len(beside)} packages are installed that this lock does not name, such as {', '.join(beside[:3])}: of "
            "extras, or of development. Name the lock that they come from, or remove them.",
            f"{len(beside)} 个已安装的软件包不在此锁定文件中，如 {'、'.join(beside[:3])}（附加组件或开发工具）。"
            "请指明其锁定文件，或移除。",
            facts,
        )
    return Finding(
        Sentence(
            f"All {len(here)} packages are of the locked version.", f"{len(here)} 个软件包均为锁定版本。"
        ),
        facts,
    )


def _installed(_: Context) -> Finding:
    found = packages()
    altered = {f"{one.name} {one.version}": len(one.altered) for one in found if one.altered}
    unknown = [one.name for one in found if not one.record_sha256]
    facts = {"packages": len(found), "files": sum(one.files for one in found), "altered": altered,
             "without_record": unknown}  # fmt: skip
    if altered:
        raise FailedError(
            f"Files of {len(altered)} packages are not what was installed: {', '.join(sorted(altered)[:3])}.",
            f"{len(altered)} 个软件包的文件与安装时不一致：{'、'.join(sorted(altered)[:3])}。",
            facts,
        )
    return Finding(
        Sentence(
            f"{facts['files']} files of {len(found)} packages are what their records say.",
            f"{len(found)} 个软件包的 {facts['files']} 个文件均与安装记录一致。",
        ),
        facts,
    )


def _advisories(context: Context) -> Finding:
    database = context.told.advisories
    if database is None:
        raise NotEvaluatedError(
            "No database of advisories is named: --advisories FILE, as OSV publishes it for PyPI.",
            "未指明漏洞公告库：--advisories 文件（OSV 发布的 PyPI 导出）。",
            {"database": None},
        )
    try:
        report = advisories.check(packages(contents=False), database, time.time(), most_days=_OLD_DAYS)
    except ConfigError as error:
        raise NotEvaluatedError(error.message, error.zh, {"database": False}) from error
    known = frozenset(context.told.accepted)
    findings: list[str] = []
    accepted: list[str] = []
    for each in report.findings:
        (findings if each.names.isdisjoint(known) else accepted).append(
            f"{each.subject}: {each.id or each.kind}"
        )
    facts = {"packages": report.packages, "advisories": report.advisories, "newest": report.newest,
             "findings": findings, "accepted": accepted}  # fmt: skip
    if findings:
        raise FailedError(
            f"{len(findings)} findings: {findings[0]}. See vlpro advisories.",
            f"{len(findings)} 项发现：{findings[0]}。详见 vlpro advisories。",
            facts,
        )
    return Finding(
        Sentence(
            f"None of {report.advisories} advisories is about one of {report.packages} packages, but for "
            f"{len(accepted)} that the operator accepts.",
            f"{report.advisories} 条公告均不涉及已安装的 {report.packages} 个软件包；"
            f"运维方接受的例外 {len(accepted)} 项。",
        ),
        facts,
    )


def _ports(context: Context) -> Finding:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied as error:
        raise NotEvaluatedError(
            "This user may not see what listens.", "当前用户无权查看监听端口。", {"seen": None}
        ) from error
    listening = [
        (c.laddr.ip, c.laddr.port) for c in connections if c.laddr and c.status == psutil.CONN_LISTEN
    ]
    outside = sorted({port for ip, port in listening if not ip.startswith("127.") and ip != "::1"})
    facts: dict[str, object] = {"listening_for_others": outside, "listening": len(set(listening))}
    if context.told.ports is None:
        raise NotEvaluatedError(
            f"For other machines listen: {', '.join(map(str, outside)) or 'none'}. Say which are meant: --port.",
            f"对外监听的端口：{'、'.join(map(str, outside)) or '无'}。请用 --port 说明哪些是需要的。",
            facts,
        )
    facts |= {"meant": sorted(context.told.ports)}
    more = sorted(set(outside) - set(context.told.ports))
    if more:
        raise FailedError(
            f"Not meant to listen: {', '.join(map(str, more))}.",
            f"不应监听：{'、'.join(map(str, more))}。",
            facts,
        )
    return Finding(
        Sentence(
            f"For other machines listen only: {', '.join(map(str, outside)) or 'none'}.",
            f"对外仅监听：{'、'.join(map(str, outside)) or '无'}。",
        ),
        facts,
    )


LOCKED = Check(
    "installed_lock",
    Sentence("Installed versions against the lock.", "将已安装版本与锁定文件比较。"),
    _locked,
)
INSTALLED = Check(
    "installed_files",
    Sentence("Each file of each package against its record.", "逐一核对每个软件包的文件与安装记录。"),
    _installed,
)
ADVISORIES = Check(
    "advisories",
    Sentence("Installed versions against a database of advisories.", "将已安装版本与漏洞公告库比较。"),
    _advisories,
)
PORTS = Check(
    "ports", Sentence("The TCP ports that listen on this machine.", "检查本机监听的 TCP 端口。"), _ports
)
