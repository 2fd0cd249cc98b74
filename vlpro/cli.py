"""The command ``vlpro``: what an administrator does beside the service."""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlpro import batch_commands, config, inspection_commands, supply_commands
from vlpro.engines.model_files import Manifest, find_manifest, make_manifest
from vlpro.errors import AuditError, ConfigError, VlproError

__all__ = ["main"]

if TYPE_CHECKING:
    from vlpro.identity.service import Identity

Progress = Callable[[int, int], None]

_HERE = (  # the others are in vlpro.commands
    "model",
    "serve",
    "relay",
    "key",
    "migrate",
    "user",
    "audit",
    "selftest",
    "sbom",
    "advisories",
    "batch",
    "inspect",
    "-h",
    "--help",
)
_BAR = 30
_KEY_COMMANDS = ("make", "status", "rotate", "reseal", "retire", "wrap")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Of the command line; the process's own where they are left out.

    Returns:
        The exit status: 0; 1 where something was refused, with a sentence on stderr; 130 where it was interrupted.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] and given[0] not in _HERE:
        from vlpro.commands.app import main as run  # noqa: PLC0415 - the others are on their way

        return run(given)
    options = _parser().parse_args(_spelled_out(given))
    try:
        options.run(options)
    except VlproError as error:
        sys.stderr.write(_in_language(error.zh, error.message) + "\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 130
    return 0


def _in_language(zh: str, en: str) -> str:
    """The sentence in the language of the terminal."""
    return zh if os.environ.get("LANG", "").startswith("zh") else en


def _parser() -> argparse.ArgumentParser:
    t = _in_language
    parser = argparse.ArgumentParser(
        prog="vlpro", description=t("Qwen3-VL-4B Pro 的管理命令", "Manage Qwen3-VL-4B Pro")
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    model = commands.add_parser("model", help=t("模型文件", "the model's files"))
    of_model = model.add_subparsers(required=True, metavar="COMMAND")
    one = of_model.add_parser(
        "verify", help=t("按清单校验模型文件夹", "check a model's folder against its manifest")
    )
    one.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help=t("默认 VLPRO_MODEL_DIR", "VLPRO_MODEL_DIR where left out"),
    )
    one.add_argument(
        "--manifest",
        metavar="FILE",
        help=t(
            "默认 VLPRO_MODEL_MANIFEST，否则为内置的官方清单",
            "VLPRO_MODEL_MANIFEST where left out, else the official one, which is built in",
        ),
    )
    one.add_argument(
        "--report",
        metavar="FILE",
        help=t("写出签名的报告；须在模型文件夹之外", "write a signed report; outside the folder"),
    )
    one.set_defaults(run=_verify)
    one = of_model.add_parser(
        "manifest", help=t("为其他模型文件夹生成清单", "make a manifest of another model's folder")
    )
    one.add_argument("folder", metavar="FOLDER")
    one.add_argument("--name", required=True, help=t("模型名称", "the model's name"))
    one.add_argument(
        "--output",
        metavar="FILE",
        help=t("默认标准输出；须在模型文件夹之外", "stdout where left out; outside the folder"),
    )
    one.set_defaults(run=_manifest)

    one = of_model.add_parser(
        "convert",
        help=t("为无显卡的机器压缩权重", "pack the weights for machines without a card"),
    )
    one.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help=t("原模型文件夹；默认 VLPRO_MODEL_DIR", "the original model's; VLPRO_MODEL_DIR where left out"),
    )
    one.add_argument("--output", metavar="FOLDER", required=True, help=t("新文件夹", "a new folder"))
    one.add_argument(
        "--manifest",
        metavar="FILE",
        help=t("原模型的清单；默认同 verify", "of the original folder; where left out, as for verify"),
    )
    one.add_argument(
        "--bits",
        type=int,
        choices=(4, 8),
        default=4,
        help=t("语言模型各层的位数，默认 4", "of the language model's layers; 4 where left out"),
    )
    one.set_defaults(run=_convert)

    _add_serve(commands)

    _add_key(commands)

    one = commands.add_parser(
        "migrate",
        help=t(
            "更新数据库结构（服务启动时也会自动执行）",
            "bring the databases up to this version (the service does so at its start, too)",
        ),
    )
    one.set_defaults(run=_migrate)

    user = commands.add_parser(
        "user", help=t("账号（在服务器上，供应急使用）", "accounts, at the machine, for emergencies")
    )
    of_user = user.add_subparsers(required=True, metavar="COMMAND")
    one = of_user.add_parser("list", help=t("列出账号", "list the accounts"))
    one.set_defaults(run=_list_users)
    one = of_user.add_parser(
        "reset",
        help=t(
            "给账号一个一次性密码，并清除第二因素",
            "give an account a one-time password and remove its second factors",
        ),
    )
    one.add_argument("login", metavar="LOGIN")
    one.set_defaults(run=_reset_user)

    audit = commands.add_parser("audit", help=t("审计记录", "the audit's records"))
    of_audit = audit.add_subparsers(required=True, metavar="COMMAND")
    one = of_audit.add_parser(
        "ship",
        help=t("将审计记录复制到 Elasticsearch 或 syslog", "copy the records to Elasticsearch or syslog"),
    )
    one.add_argument(
        "--once", action="store_true", help=t("发送完现有记录后结束", "end when all has arrived")
    )
    one.add_argument(
        "--check",
        action="store_true",
        help=t("只核对：比较两边的记录", "only compare what is here and there"),
    )
    one.add_argument(
        "--database",
        metavar="URL",
        help=t("审计数据库；默认取自设置", "of the audit; from the settings where left out"),
    )
    one.set_defaults(run=_ship)
    _add_audit(of_audit)

    one = commands.add_parser(
        "selftest",
        help=t("逐条验证本产品的承诺", "try each promise of this product, and say what came of it"),
    )
    one.add_argument("--json", action="store_true", help=t("供程序读取", "for programs"))
    one.set_defaults(run=_selftest)

    supply_commands.add(commands, of_model, _in_language, _progress)
    batch_commands.add(commands, _in_language)
    inspection_commands.add(commands, _in_language)
    return parser


def _spelled_out(arguments: Sequence[str]) -> list[str]:
    """``vlpro key FILE`` is short for ``vlpro key make FILE``."""
    given = list(arguments)
    if given[:1] == ["key"] and given[1:] and given[1] not in _KEY_COMMANDS and given[1][:1] != "-":
        given.insert(1, "make")
    return given


def _add_key(commands: Any) -> None:
    t = _in_language
    key = commands.add_parser("key", help=t("加密存储内容的密钥", "the keys of what is stored encrypted"))
    of_key = key.add_subparsers(required=True, metavar="COMMAND")
    adders = {
        "make": t("生成密钥文件", "make a key file"),
        "status": t("列出密钥，以及各有多少内容", "list the keys, and how much is under which"),
        "rotate": t(
            "加入新密钥并改用它加密（服务不中断）", "add a key and seal with it; the service goes on"
        ),
        "reseal": t("把旧密钥加密的内容改用新密钥", "bring what is under older keys under the newest"),
        "retire": t("移除不再需要的旧密钥", "remove an old key that nothing needs"),
        "wrap": t("用密码设备加密现有的密钥文件", "wrap the key file with the token of VLPRO_KEY_TOKEN"),
    }
    made = {name: of_key.add_parser(name, help=text) for name, text in adders.items()}
    for name, one in made.items():
        one.set_defaults(run=_key, key=name)
    made["make"].add_argument("file", metavar="FILE", help=t("须在数据文件夹之外", "outside the data folder"))
    made["status"].add_argument("--json", action="store_true", help=t("供程序读取", "for programs"))
    made["rotate"].add_argument(
        "--after",
        type=int,
        default=0,
        metavar="SECONDS",
        help=t(
            "多少秒后启用，以便先分发到多台机器；默认立即",
            "seconds until it seals, to bring the file to several machines first; at once where left out",
        ),
    )
    made["retire"].add_argument(
        "id", metavar="ID", help=t("见 vlpro key status", "as vlpro key status shows it")
    )


def _add_serve(commands: Any) -> None:
    t = _in_language
    one = commands.add_parser(
        "serve", help=t("启动服务：页面和接口", "start the service: the page and the API")
    )
    one.add_argument("--port", type=int, default=8501, help=t("默认 8501", "8501 where left out"))
    one.add_argument(
        "--socket",
        metavar="PATH",
        help=t("改为监听 Unix 套接字，供 nginx 连接", "a Unix socket instead of a port, for nginx"),
    )
    one.add_argument(
        "--sealed",
        action="store_true",
        help=t("由内核保证不外联（docs/sealing.md）", "the kernel lets nothing out (docs/sealing.md)"),
    )
    one.add_argument(
        "--relay",
        metavar="PATH",
        help=t("--sealed：使用单独运行的中继", "--sealed: a relay that runs by itself"),
    )
    one.add_argument("--inherited", help=argparse.SUPPRESS)  # by --sealed, of itself
    one.set_defaults(run=_serve)

    one = commands.add_parser(
        "relay",
        help=t("密封服务通往所列地址的中继", "the way of a sealed service to the listed addresses"),
    )
    one.add_argument("socket", metavar="PATH", help=t("供服务连接的套接字", "socket for the service"))
    one.add_argument(
        "addresses", nargs="+", metavar="HOST:PORT", help=t("允许连接的地址", "that may be connected to")
    )
    one.set_defaults(run=_relay)


def _add_audit(of_audit: Any) -> None:
    t = _in_language
    database = {
        "metavar": "URL",
        "help": t("默认由设置得出", "by the settings where left out"),
    }
    archives = {"metavar": "DIR", "help": t("归档所在文件夹", "folder of the archives")}
    key = {
        "metavar": "HEX",
        "help": t("受信任的公钥；默认由密钥文件得出", "public key to trust; the key file's where left out"),
    }

    one = of_audit.add_parser("verify", help=t("校验全部记录", "verify the whole record"))
    one.add_argument("--database", **database)
    one.add_argument(
        "--export", metavar="FILE", help=t("改为校验导出文件", "an exported file, not the database")
    )
    one.add_argument(
        "--copies",
        metavar="FILE",
        help=t(
            "别处保存的检查点副本；默认 VLPRO_AUDIT_COPY",
            "copies of checkpoints; VLPRO_AUDIT_COPY where left out",
        ),
    )
    one.add_argument("--archives", **archives)
    one.add_argument("--key", action="append", default=[], **key)
    one.set_defaults(run=_audit, audit="verify")

    one = of_audit.add_parser(
        "prove", help=t("证明一条记录属于已签名的记录", "prove that a record is part of what was signed")
    )
    one.add_argument("seq", type=int, metavar="SEQ", help=t("记录编号", "the record's number"))
    one.add_argument(
        "--since",
        type=int,
        metavar="SIZE",
        help=t("并证明延续了此检查点", "prove also that this checkpoint is continued"),
    )
    one.add_argument("--output", metavar="FILE", help=t("默认标准输出", "stdout where left out"))
    one.add_argument("--database", **database)
    one.add_argument("--archives", **archives)
    one.add_argument("--key", **key)
    one.set_defaults(run=_audit, audit="prove")

    one = of_audit.add_parser("export", help=t("导出为 JSON 行", "export as lines of JSON"))
    one.add_argument("--output", metavar="FILE", required=True)
    one.add_argument("--from", type=int, metavar="SEQ", help=t("从此条", "from this record"))
    one.add_argument("--to", type=int, metavar="SEQ", help=t("到此条", "to this record"))
    one.add_argument("--database", **database)
    one.set_defaults(run=_audit, audit="export")

    one = of_audit.add_parser(
        "archive", help=t("把旧记录移入签名的归档", "move old records into signed archives")
    )
    one.add_argument("--archives", **archives)
    one.add_argument(
        "--days",
        type=int,
        metavar="DAYS",
        help=t(
            "早于多少天，至少 180；默认 VLPRO_AUDIT_DAYS，否则 365",
            "older than this, 180 at least; VLPRO_AUDIT_DAYS where left out, else 365",
        ),
    )
    one.set_defaults(run=_audit, audit="archive")

    one = of_audit.add_parser("key", help=t("显示签署检查点的公钥", "show the public key of checkpoints"))
    one.set_defaults(run=_audit, audit="key")


def _audit(options: argparse.Namespace) -> None:
    from vlpro import audit_commands  # noqa: PLC0415 - the other commands need none of it

    audit_commands.run(options, _in_language, _progress)


def _verify(options: argparse.Namespace) -> None:
    sys.stdout.write(_files(*_verified(options)))


def _verified(options: argparse.Namespace, work: str = "") -> tuple[Path, Manifest]:
    """The model's folder, which is what its manifest says; ``work`` stands before the bar."""
    settings = config.load()
    folder = options.folder or settings.model_dir
    if not folder:
        raise ConfigError(
            "Name the model's folder behind the command, or set VLPRO_MODEL_DIR.",
            zh="请在命令后指定模型文件夹，或设置 VLPRO_MODEL_DIR。",
            param="model_dir",
        )
    manifest = find_manifest(options.manifest or settings.model_manifest, Path(folder))
    report = getattr(options, "report", None)
    supply_commands.verify_model(settings, Path(folder), manifest, report, bar=_progress, work=work)
    return Path(folder), manifest


def _files(folder: Path, manifest: Manifest) -> str:
    """A table of what was verified."""
    width = max(len(name) for name in manifest.files)
    lines, count = [], 0
    for name, entry in manifest.files.items():
        there = (folder / name).exists()
        count += there
        state = _in_language("一致", "ok") if there else _in_language("无（可选）", "absent, optional")
        lines.append(f"{name:<{width}}  {entry.size:>13,}  {entry.sha256}  {state}")
    revision = f" {manifest.revision}" if manifest.revision else ""
    lines.append(
        _in_language(
            f"{manifest.name}{revision}：{count} 个文件校验一致。",
            f"{manifest.name}{revision}: {count} files are what they must be.",
        )
    )
    return "\n".join(lines) + "\n"


def _manifest(options: argparse.Namespace) -> None:
    folder = Path(options.folder)
    if options.output and Path(options.output).resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            "Keep the manifest outside the model's folder: who can alter the one could alter the other.",
            zh="清单应放在模型文件夹之外：能改动文件夹的人也能改动其中的清单。",
            param="output",
        )
    text = make_manifest(folder, options.name, progress=_progress()).to_json()
    if not options.output:
        sys.stdout.write(text)
        return
    try:
        Path(options.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{options.output} cannot be written: {error.strerror}.",
            zh=f"无法写入 {options.output}：{error.strerror}。",
            param="output",
        ) from error


def _convert(options: argparse.Namespace) -> None:
    from vlpro.engines.openvino.convert import convert  # noqa: PLC0415 - the other commands need none of it

    folder, manifest = _verified(options, _in_language("校验", "verify"))
    target = Path(options.output)
    listing = target.with_name(target.name + ".manifest.json")
    convert(folder, target, options.bits, progress=_progress(_in_language("压缩", "pack")))
    made = make_manifest(target, manifest.name, progress=_progress(_in_language("清单", "manifest")))
    listing.write_text(made.to_json(), encoding="utf-8")
    size = sum(entry.size for entry in made.files.values()) / 1e9
    sys.stdout.write(
        _in_language(
            f"{target}：{size:.1f} GB。清单：{listing}。\n"
            "未经实测：压缩对官方权重回答质量的影响没有测过。\n"
            f"使用：VLPRO_MODEL_DIR={target} VLPRO_MODEL_MANIFEST={listing}\n",
            f"{target}: {size:.1f} GB. Its manifest: {listing}.\n"
            "Not verified: what packing does to the answers of the published weights was not measured.\n"
            f"To use it: VLPRO_MODEL_DIR={target} VLPRO_MODEL_MANIFEST={listing}\n",
        )
    )


def _serve(options: argparse.Namespace) -> None:
    if options.sealed or options.inherited:
        from vlpro import sealed  # noqa: PLC0415 - the other commands need none of it

        if options.sealed:
            sealed.launch(port=options.port, path=options.socket, relay_path=options.relay)
        listener = sealed.inherited(options.inherited)
    elif options.relay:
        raise ConfigError(
            "--relay belongs to --sealed: otherwise the service connects by itself.",
            zh="--relay 须与 --sealed 一起使用；否则服务自行连接。",
            param="relay",
        )
    else:
        listener = None
    from vlpro.serve import serve  # noqa: PLC0415 - the other commands need neither page nor API

    serve(port=options.port, socket=options.socket, listener=listener)


def _relay(options: argparse.Namespace) -> None:
    from vlpro.sealing import relay  # noqa: PLC0415 - the other commands need none of it

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s relay %(levelname)s %(message)s")
    relay.listen(Path(options.socket), options.addresses)


def _key(options: argparse.Namespace) -> None:
    from vlpro import key_commands  # noqa: PLC0415 - the other commands need none of it

    key_commands.run(options, _in_language)


@contextmanager
def _at_machine() -> Iterator[Identity]:
    """The accounts, for who has the machine in hands; what is done is recorded in the system user's name."""
    # Heavy, and the other commands need none of it:
    from vlpro.audit.record import Actor  # noqa: PLC0415
    from vlpro.audit.recorder import ACTOR  # noqa: PLC0415
    from vlpro.gateway.profile import identity_of, recorder_of, sealer_of  # noqa: PLC0415

    settings = config.load()
    if settings.profile == "local":
        raise ConfigError(
            "Profile local has no accounts. Set VLPRO_PROFILE=mlps3.",
            zh="local 模式没有账号。请设置 VLPRO_PROFILE=mlps3。",
            param="profile",
        )
    recorder = recorder_of(settings, sealer_of(settings))
    identity = identity_of(settings, recorder)
    assert identity is not None  # noqa: S101 - only profile local has none
    recorder.audit.start()
    ACTOR.set(Actor(login=getpass.getuser(), role="machine"))
    try:
        yield identity
    finally:
        recorder.audit.stop()
        recorder.audit.database.close()
        identity.database.close()


def _migrate(_: argparse.Namespace) -> None:
    from vlpro.gateway.profile import database_of, recorder_of, sealer_of  # noqa: PLC0415 - as above
    from vlpro.knowledge.index.postgres import prepare  # noqa: PLC0415 - likewise

    settings = config.load()
    database = database_of(settings)
    if settings.knowledge is not None and settings.knowledge.index == "postgres":
        prepare(database)
    database.close()
    recorder_of(settings, sealer_of(settings)).audit.database.close()


def _list_users(_: argparse.Namespace) -> None:
    with _at_machine() as identity:
        last = ""
        while found := identity.accounts.find(after=last):
            for account in found:
                state = account.disabled or ("-" if account.signed_in_at is None else "active")
                role = account.role or "-"
                sys.stdout.write(
                    f"{account.login:<24}  {role:<8}  {account.source:<5}  {state:<13}  {account.name}\n"
                )
            last = found[-1].login


def _reset_user(options: argparse.Namespace) -> None:
    with _at_machine() as identity:
        identity.accounts.reset_factors_at_machine(options.login)
        password = identity.accounts.reset_password_at_machine(options.login)
    sys.stdout.write(
        _in_language(
            f"{options.login} 的一次性密码：{password}\n首次登录时更改密码并重新设置第二因素。\n",
            f"One-time password of {options.login}: {password}\n"
            "At the next sign-in the person changes it and sets up a second factor again.\n",
        )
    )


def _ship(options: argparse.Namespace) -> None:
    from vlpro.audit.place import audit_database_url  # noqa: PLC0415 - the other commands need none of it
    from vlpro.audit.ship.command import check, ship  # noqa: PLC0415 - likewise

    settings = config.load()
    chosen = settings.audit_ship
    if chosen is None:
        raise ConfigError(
            "Say where the records are copied to: VLPRO_AUDIT_SHIP, or [audit_ship] in vlpro.toml.",
            zh="请设置审计记录的发送目标：VLPRO_AUDIT_SHIP，或 vlpro.toml 中的 [audit_ship]。",
            param="audit_ship",
        )
    database = options.database or audit_database_url(
        data_dir=settings.data_dir,
        database_url=settings.database_url.get_secret_value(),
        audit_database_url=settings.audit_database_url.get_secret_value(),
    )
    state = chosen.state or settings.data_dir / "audit-ship.json"
    if options.check:
        if not check(chosen, database, state, tell=_tell):
            raise AuditError("The copy is not the same.", zh="两边不一致。")
        return
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    ship(chosen, database, state, once=options.once, tell=_tell, stop=stop)


def _tell(en: str, zh: str) -> None:
    sys.stderr.write(_in_language(zh, en) + "\n")
    sys.stderr.flush()


def _selftest(options: argparse.Namespace) -> None:
    from vlpro.selftest_command import selftest  # noqa: PLC0415 - the other commands need none of it

    selftest(options, _in_language)


def _progress(what: str = "") -> Progress:
    """Shows how far a work is: a bar on a terminal, else a line for each tenth.

    Args:
        what: Which, where there are several.
    """
    what += " " * bool(what)
    terminal, shown = sys.stderr.isatty(), -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        percent = min(100, done * 100 // max(1, total))
        if percent == shown or (not terminal and percent // 10 == shown // 10):
            return
        shown = percent
        bar = "#" * (percent * _BAR // 100)
        end = "\n" if percent == 100 else ""
        sys.stderr.write(
            f"\r{what}[{bar:<{_BAR}}] {percent:3} %{end}" if terminal else f"{what}{percent} %\n"
        )
        sys.stderr.flush()

    return show
