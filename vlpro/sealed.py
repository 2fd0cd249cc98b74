"""``vlpro serve --sealed``: bind, start the relay, drop every right to make sockets; only then become the service."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.exc import ArgumentError

import vlpro
from vlpro import config, logs
from vlpro.audit.ship.position import position_file
from vlpro.config import Settings
from vlpro.crypto import KeyFile
from vlpro.errors import ConfigError
from vlpro.knowledge.options import KnowledgeOptions
from vlpro.process import package_path
from vlpro.sealing import outside, relay
from vlpro.sealing.addresses import destination, unix
from vlpro.sealing.neighbours import expect, neighbours
from vlpro.sealing.offline import OFFLINE
from vlpro.sealing.seal import is_sealed, seal_service

__all__ = ["destinations_of", "inherited", "launch"]

log = logging.getLogger(__name__)

_PORTS = {"http": 80, "https": 443, "ldap": 389, "ldaps": 636, "tls": 6514}
_NONE = -1
_SHOWN = 5


def launch(*, port: int, path: str | None, relay_path: str | None) -> NoReturn:
    """Become the sealed service. Does not return: the process goes on, with :func:`inherited`.

    Args:
        port: On 127.0.0.1.
        path: Of a Unix socket instead.
        relay_path: Unix socket of a relay that runs by itself (``vlpro relay``); None: one is started where needed.

    Raises:
        ConfigError: A setting asks for what a sealed service cannot do, or the kernel cannot seal.
    """
    settings = config.load()
    wanted = destinations_of(settings)
    sockets = _postgresql(settings)
    if sockets and not path:
        raise ConfigError(
            "--sealed with PostgreSQL needs --socket PATH: connecting to the database's socket must be allowed then, "
            "and with a port the service would hold network sockets, which could be connected elsewhere.",
            zh="--sealed 使用 PostgreSQL 时需要 --socket 路径：此时必须允许连接数据库的套接字，"
            "而监听端口的服务持有网络套接字，它们可能被改连到别处。",
            param="socket",
        )
    with contextlib.ExitStack() as opened:  # closed where it does not come to be the service
        listener = opened.enter_context(_listener(port, path))
        if sockets:
            expect([*sockets, Path(path or "").absolute()])
            _refuse_neighbours()
        control = None
        if wanted:
            control = opened.enter_context(_relay_at(relay_path) if relay_path else relay.start(wanted)[0])
        data = settings.data_dir.absolute()
        scratch = data / "tmp"
        for folder in (data, scratch):  # parents that are made on the way would be open to others
            _made(folder)
        write = [data]
        if settings.audit_copy is not None:
            _touched(settings.audit_copy)
            write.append(settings.audit_copy.absolute())
        if settings.inspection is not None and settings.inspection.folder is not None:
            write.append(settings.inspection.folder.path)
        here = Path(vlpro.__file__).parents[1]
        shipper = [] if settings.audit_ship is None else [position_file(settings.audit_ship, data).parent]
        streamlit = (Path.cwd() / ".streamlit", Path.home() / ".streamlit", Path.cwd() / "vlpro.toml")
        # The folder, since its file is another one each time that the shipper goes on.
        read = [here, *streamlit, *shipper, *_named(settings), *_keys(settings)]
        environment = {**os.environ, **OFFLINE, "TMPDIR": str(scratch)}
        environment["PYTHONPATH"] = package_path()
        for passed_on in (listener, control):
            if passed_on is not None:
                passed_on.set_inheritable(True)
        _keep_only({number.fileno() for number in (listener, control) if number is not None})
        known = seal_service(read=read, write=write, sockets=bool(sockets))
        places = ", ".join(wanted) or "none"
        logs.configure(settings.log_kind, "info")
        log.info("sealed: no network sockets; files by Landlock %s; relayed addresses: %s", known, places)
        numbers = f"{listener.fileno()},{control.fileno() if control is not None else _NONE}"
        os.execve(  # noqa: S606 - ourselves
            sys.executable,
            [sys.executable, "-P", "-m", "vlpro", "serve", "--inherited", numbers],
            environment,
        )


def inherited(numbers: str) -> socket.socket:
    """What the process that :func:`launch` became serves on; all its connections are made by the relay.

    Args:
        numbers: Descriptors of the listening socket and of the relay's (-1: none), with a comma.

    Raises:
        ConfigError: This process is not sealed.
    """
    if not is_sealed():
        raise ConfigError(
            "--inherited is for the process that vlpro serve --sealed starts. Use --sealed.",
            zh="--inherited 只供 vlpro serve --sealed 启动的进程使用，请使用 --sealed。",
            param="sealed",
        )
    listener, control = (int(number) for number in numbers.split(","))
    if control != _NONE:
        os.set_inheritable(control, False)  # noqa: FBT003 - the signature is Python's
        outside.through(socket.socket(fileno=control))
    os.set_inheritable(listener, False)  # noqa: FBT003 - likewise
    made = socket.socket(fileno=listener)
    if databases := _postgresql(config.load()):
        expect([*databases, Path(made.getsockname()).absolute()])
    return made


def destinations_of(settings: Settings) -> list[str]:
    """The addresses that the settings name, as the relay knows them.

    Raises:
        ConfigError: One of them cannot be reached from a sealed service; names the setting.
    """
    found = []
    if settings.engine in ("auto", "openai") and settings.upstream_url:
        socket_path = settings.upstream_socket
        found.append(unix(socket_path) if socket_path else _address(settings.upstream_url))
    found += _of_knowledge(settings.knowledge)
    if settings.ldap is not None:
        parts = urlsplit(settings.ldap.url)
        local = parts.scheme == "ldapi"
        found.append(unix(unquote(parts.netloc)) if local else _address(settings.ldap.url))
    if settings.oidc is not None:
        found.append(_address(settings.oidc.issuer))
    if settings.alerts is not None:
        if settings.alerts.webhook is not None:
            found.append(_address(settings.alerts.webhook.url))
        if settings.alerts.mail is not None:
            found.append(destination(settings.alerts.mail.host, settings.alerts.mail.port))
        if settings.alerts.syslog is not None:
            url = settings.alerts.syslog.url
            if urlsplit(url).scheme != "tls":
                raise ConfigError(
                    "--sealed sends alerts to syslog by tls:// only: set alerts.syslog.url to tls://HOST:6514.",
                    zh="--sealed 只支持以 tls:// 向 syslog 发送告警：请将 alerts.syslog.url 设为 tls://主机:6514。",
                    param="alerts.syslog.url",
                )
            found.append(_address(url))
    if settings.otel_endpoint:
        found.append(_address(settings.otel_endpoint))
    if settings.delivery is not None:
        found += [_address(target.url) for target in settings.delivery.targets.values()]
    if settings.inspection is not None and settings.inspection.mqtt is not None:
        found.append(destination(*settings.inspection.mqtt.address))
    return list(dict.fromkeys(found))


def _of_knowledge(options: KnowledgeOptions | None) -> list[str]:
    if options is None:
        return []
    servers = [server for server in (options.embedding, options.rerank) if server is not None]
    found = [unix(server.socket) if server.socket else _address(server.url) for server in servers]
    return found + ([_address(options.elasticsearch.url)] if options.elasticsearch is not None else [])


def _address(url: str) -> str:
    parts = urlsplit(url)
    return destination(parts.hostname or "", parts.port or _PORTS[parts.scheme])


def _postgresql(settings: Settings) -> list[Path]:
    """Folders of the sockets of PostgreSQL; none: the databases are files.

    Raises:
        ConfigError: One is reached over the network.
    """
    found = []
    for name in ("database_url", "audit_database_url"):
        url = getattr(settings, name).get_secret_value()
        if not url.startswith("postgres"):
            continue
        try:
            parsed = sa.make_url(url)
        except (ArgumentError, ValueError):
            continue  # refused later, with its own sentence
        hosts = [
            parsed.host or "",
            *_listed(parsed.query.get("host")),
            *_listed(parsed.query.get("hostaddr")),
        ]
        named = [host for part in hosts for host in part.split(",") if host]
        folders = [host for host in named if host.startswith("/")]
        if named != folders or not folders:
            raise ConfigError(
                f"--sealed reaches PostgreSQL by its Unix socket only: set VLPRO_{name.upper()} to "
                "postgresql://USER@/NAME?host=/run/postgresql. For a server on another machine let a pooler with TLS "
                "(PgBouncer) listen on a socket here.",
                zh=f"--sealed 只通过 Unix 套接字连接 PostgreSQL：请将 VLPRO_{name.upper()} 设为 "
                "postgresql://用户@/库名?host=/run/postgresql。若服务器在其他机器上，请在本机用支持 TLS 的"
                "连接池（PgBouncer）监听套接字。",
                param=name,
            )
        found += [Path(folder) for folder in folders]
    return found


def _listed(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()


def _refuse_neighbours() -> None:
    found = neighbours()
    if not found:
        return
    shown = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
    raise ConfigError(
        f"--sealed with PostgreSQL does not start while sockets of other programs can be reached ({shown}): one of "
        "them could carry data out. Start the service by deploy/systemd/vlpro.service, which hides them.",
        zh=f"使用 PostgreSQL 时，只要其他程序的套接字可达（{shown}），--sealed 就不会启动：数据可能经由它们外传。"
        "请用 deploy/systemd/vlpro.service 启动，它会隐藏这些套接字。",
        param="sealed",
    )


def _listener(port: int, path: str | None) -> socket.socket:
    try:
        if path is None:
            return socket.create_server(("127.0.0.1", port), backlog=2048)
        made = socket.socket(socket.AF_UNIX)
        where = Path(path)
        if where.exists() and stat.S_ISSOCK(where.stat().st_mode):
            where.unlink()
        made.bind(path)
        where.chmod(0o666)  # who may connect is decided by the folder
        made.listen(2048)
    except OSError as error:
        raise ConfigError(
            f"The service cannot listen on {path or f'port {port}'}: {error.strerror}.",
            zh=f"无法监听 {path or f'端口 {port}'}：{error.strerror}。",
            param="socket" if path else "port",
        ) from error
    return made


def _keep_only(numbers: set[int]) -> None:
    """Descriptors that this process got from whoever started it end here: one could be a network socket."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the folder's own descriptor is among them
        if (number := int(name)) > 2 and number not in numbers:
            with contextlib.suppress(OSError):
                os.set_inheritable(number, False)  # noqa: FBT003 - the signature is Python's


def _relay_at(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        made.connect(path)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"No relay listens on {path} ({error.strerror}): start it by vlpro relay {path} HOST:PORT.",
            zh=f"{path} 上没有中继在监听（{error.strerror}）：请先运行 vlpro relay {path} 主机:端口。",
            param="relay",
        ) from error
    return made


def _made(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            zh=f"无法创建文件夹 {folder}：{error.strerror}。",
            param="data_dir",
        ) from error


def _touched(file: Path) -> None:
    try:
        file.touch(mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"The copy of the audit's checkpoints {file} cannot be written: {error.strerror}.",
            zh=f"无法写入审计检查点的副本 {file}：{error.strerror}。",
            param="audit_copy",
        ) from error


def _keys(settings: Settings) -> Iterable[Path]:
    """Where the key file is, and will be after a rotation; and what else systemd gave."""
    if settings.key_file is not None:
        yield from KeyFile(settings.key_file, token=settings.key_token).places
    if os.environ.get("CREDENTIALS_DIRECTORY"):
        yield Path(os.environ["CREDENTIALS_DIRECTORY"])


def _named(settings: Settings) -> Iterable[Path]:
    """Files and folders that any setting names, with what links in a model's folder lead to."""
    for value in _values(settings):
        path = Path(value)
        try:
            there = path.exists()
        except (OSError, ValueError):  # a long text is no path
            continue
        if there:
            yield path.resolve()
            if path.is_dir() and path == Path(settings.model_dir or "/"):
                yield from {file.resolve().parent for file in path.rglob("*") if file.is_symlink()}


def _values(model: BaseModel) -> Iterable[str]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _values(value)
        elif isinstance(value, dict):
            for part in value.values():
                yield from _values(part) if isinstance(part, BaseModel) else ()
        elif isinstance(value, Path) or (isinstance(value, str) and "/" in value and "://" not in value):
            yield str(value)
