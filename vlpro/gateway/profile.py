"""What profile ``mlps3`` needs before it starts, and the accounts that it comes with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from vlpro import logs
from vlpro.audit.alerts.options import AlertOptions
from vlpro.audit.alerts.service import Alerts
from vlpro.audit.exports import AuditExports
from vlpro.audit.place import LOCK, audit_database_url, audit_sealer
from vlpro.audit.query import AuditQueries
from vlpro.audit.recorder import LogRecorder, Recorder
from vlpro.audit.service import open_log
from vlpro.audit.verification import Verifications
from vlpro.backup.state import RESTORING
from vlpro.chat.history import Rules
from vlpro.compliance.promises import PROMISES
from vlpro.compliance.reporting import store_of as reports_store_of
from vlpro.compliance.selftest import Result, Verdict, refuse, run
from vlpro.compliance.service import ComplianceReports
from vlpro.config import Settings
from vlpro.crypto import Sealer, self_test
from vlpro.db import Database, sqlite_url
from vlpro.errors import ConfigError
from vlpro.gateway.storage import Storage
from vlpro.identity.directories.interface import PasswordDirectory
from vlpro.identity.directories.oidc import OidcProvider
from vlpro.identity.principal import LOCAL, Principal
from vlpro.identity.service import Identity
from vlpro.imaging.workers import PictureReader
from vlpro.process import keep_memory_private
from vlpro.workflows.batch.files import FileStore
from vlpro.workflows.batch.options import BatchOptions
from vlpro.workflows.batch.service import BatchService
from vlpro.workflows.batch.store import BatchStore

__all__ = [
    "alerts_of",
    "batches_of",
    "check_profile",
    "compliance_of",
    "configure_logs",
    "database_of",
    "exports_of",
    "hosts_of",
    "identity_of",
    "oidc_of",
    "prove_promises",
    "queries_of",
    "recorder_of",
    "rules_of",
    "sealer_of",
    "storage_of",
    "verifications_of",
]

_PROVE_S = 300.0  # some seconds are usual

log = logging.getLogger(__name__)


def check_profile(settings: Settings) -> None:
    """Refuse to start while a condition of the profile is missing.

    Raises:
        ConfigError: Names it.
    """
    if settings.profile == "local":
        return
    for name, value, en, zh in (
        (
            "public_url",
            settings.public_url.startswith("https://"),
            "the https:// address under which people find the service",
            "对外的 https:// 网址",
        ),
        (
            "key_file",
            settings.key_file,
            "the key to what is stored encrypted: vlpro key make FILE",
            "密钥文件：vlpro key make 文件",
        ),
        (
            "trusted_proxies",
            settings.trusted_proxies,
            'the proxy that brings TLS, such as ["127.0.0.1/32"] or ["unix"]',
            '提供 TLS 的反向代理，例如 ["127.0.0.1/32"] 或 ["unix"]',
        ),
    ):
        if not value:
            raise ConfigError(
                f"Profile mlps3 does not start without VLPRO_{name.upper()}: {en}.",
                zh=f"mlps3 模式需要设置 VLPRO_{name.upper()}：{zh}。",
                param=name,
            )
    if settings.model_check != "always":
        raise ConfigError(
            "Profile mlps3 reads every byte of the model's files before it loads them. Leave VLPRO_MODEL_CHECK out, "
            "or set it to always.",
            zh="mlps3 模式在加载前校验模型文件的全部内容。请不要设置 VLPRO_MODEL_CHECK，或将其设为 always。",
            param="model_check",
        )


def configure_logs(settings: Settings) -> None:
    """Log as the settings say."""
    kind, level = settings.log_kind, settings.log_level
    if level == "auto":
        level = "info" if kind == "json" else "warning"
    logs.configure(kind, level)


def sealer_of(settings: Settings) -> Sealer:
    """What opens and signs what is stored; in profile ``local`` its key is made at the first start.

    Raises:
        ConfigError: The key file is missing, or no key; or the ciphers come out wrong.
    """
    self_test()
    if settings.profile == "local" and settings.key_file is None:
        data_folder(settings)
    return audit_sealer(
        profile=settings.profile,
        data_dir=settings.data_dir,
        key_file=settings.key_file,
        key_token=settings.key_token,
        crypto=settings.crypto,
        make=True,
    )


def prove_promises(settings: Settings, sealer: Sealer) -> None:
    """In profile ``mlps3``, try what this product promises (``vlpro selftest``) before anybody is served.

    Raises:
        ConfigError: A promise is broken, or trying it does not end. Names it.
    """
    if settings.profile == "local":
        return
    keep_memory_private()
    promises = [promise for promise in PROMISES if promise.at_start]
    results: list[Result] = []
    ended: Future[None] = Future()

    def tried() -> None:
        try:
            run(promises, settings, sealer, in_service=True, tell=results.append)
        except BaseException as error:  # noqa: BLE001 - it is raised where this is waited for
            ended.set_exception(error)
        else:
            ended.set_result(None)

    # In a thread, since a check may want an event loop of its own, and this may be called in one. A check that hangs
    # keeps nobody from ending.
    threading.Thread(target=tried, name="selftest", daemon=True).start()
    try:
        ended.result(_PROVE_S)
    except TimeoutError:
        hangs = promises[min(len(results), len(promises) - 1)]
        raise ConfigError(
            f"The self-test did not end in {_PROVE_S:.0f} s, so the service does not start. It was trying: "
            f"{hangs.promise.en} Details: vlpro selftest",
            zh=f"自检在 {_PROVE_S:.0f} 秒内未结束，服务没有启动。正在检验：{hangs.promise.zh}详情：vlpro selftest",
            param="selftest",
        ) from None
    for result in results:
        if result.verdict is Verdict.NOT_HERE:
            log.warning("self-test: %s %s", result.promise.promise.en, result.found.en)
    refuse(results)


def recorder_of(settings: Settings, sealer: Sealer) -> LogRecorder:
    """The audit, not yet started.

    Raises:
        ConfigError: Its database cannot be used.
        DatabaseError: It does not answer.
    """
    log = open_log(
        Database(_audit_url(settings), lock=LOCK),
        sealer,
        gm=settings.crypto == "gm",
        copy=settings.audit_copy,
    )
    return LogRecorder(log, sealer)


def queries_of(settings: Settings, recorder: LogRecorder) -> AuditQueries:
    """Questions to the audit."""
    log = recorder.audit
    return AuditQueries(log.database, recorder, sealer_of(settings), log.signer)


def exports_of(recorder: LogRecorder) -> AuditExports:
    """What takes the audit out."""
    return AuditExports(recorder.audit.database, recorder, recorder.audit.signer)


def verifications_of(settings: Settings, recorder: LogRecorder) -> Verifications:
    """What verifies the stored audit."""
    audit = recorder.audit
    url, copy = _audit_url(settings), settings.audit_copy
    return Verifications(url, audit.database, audit.signer, copy, recorder)


def compliance_of(settings: Settings, recorder: LogRecorder) -> ComplianceReports:
    """What has compliance reports made, and gives them out."""
    store = reports_store_of(settings, sealer_of(settings))
    module = "vlpro.gateway.compliance_process"
    return ComplianceReports(store, module, settings, recorder)


def _audit_url(settings: Settings) -> str:
    return audit_database_url(
        data_dir=data_folder(settings),
        database_url=settings.database_url.get_secret_value(),
        audit_database_url=settings.audit_database_url.get_secret_value(),
    )


def alerts_of(settings: Settings, recorder: LogRecorder) -> Alerts | None:
    """What watches the record, not yet started; None: profile ``local`` without the setting.

    Raises:
        ConfigError: A file that the setting names cannot be read.
    """
    if settings.alerts is None and settings.profile == "local":
        return None
    return Alerts(recorder.audit, settings.alerts or AlertOptions())


def data_folder(settings: Settings) -> Path:
    """The folder of the data, made where it is missing. Raises: ConfigError."""
    folder = settings.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The data folder {folder} cannot be made: {error.strerror}.",
            zh=f"无法创建数据文件夹 {folder}：{error.strerror}。",
            param="data_dir",
        ) from error
    if (folder / RESTORING).exists():  # it would begin anew, with no accounts, beside what was to come back
        raise ConfigError(
            f"A restore into {folder} did not come to its end. Remove everything there but the file named key, and "
            "restore again.",
            zh=f"恢复到 {folder} 的操作未完成。请删除其中除 key 以外的所有内容，再重新恢复。",
            param="data_dir",
        )
    return folder


def identity_of(settings: Settings, recorder: Recorder | None = None) -> Identity | None:
    """The accounts, over a database of this version; None in profile ``local``.

    Args:
        settings: The settings.
        recorder: Of the audit; None: nothing is recorded.

    Raises:
        ConfigError: A condition of the profile is missing; names it.
        DatabaseError: The database does not answer.
    """
    if settings.profile == "local":
        return None
    check_profile(settings)
    return Identity(
        database_of(settings),
        sealer_of(settings),
        settings.public_url,
        directory=_directory_of(settings),
        later=ThreadPoolExecutor(1, thread_name_prefix="identity").submit,
        recorder=recorder,
    )


def database_of(settings: Settings) -> Database:
    """The database, brought up to this version.

    Raises:
        ConfigError: It cannot be used.
        DatabaseError: It does not answer.
    """
    url = settings.database_url.get_secret_value()
    if not url:
        url = sqlite_url(data_folder(settings).resolve())
    database = Database(url)
    database.migrate()
    return database


def storage_of(settings: Settings, identity: Identity | None) -> Storage:
    """The database of the accounts, or that of profile ``local``: one for all services.

    Raises:
        ConfigError: It cannot be used, or the key file is missing.
        DatabaseError: It does not answer.
    """
    if identity is not None:
        return Storage(identity.database, identity.sealer)
    return Storage(database_of(settings), sealer_of(settings))


def batches_of(
    settings: Settings,
    identity: Identity | None,
    where: Storage,
    recorder: Recorder,
    reader: PictureReader,
    *,
    picture_pixels: int,
) -> BatchService:
    """Files and batches.

    Args:
        settings: The settings.
        identity: The accounts; None: profile ``local``.
        where: They are stored.
        recorder: Of the audit.
        reader: Reads pictures and PDFs.
        picture_pixels: The most pixels that the engine wants of a picture.
    """
    files = FileStore(*where)
    return BatchService(
        files,
        BatchStore(*where, files),
        reader,
        settings.batch or BatchOptions(),
        recorder,
        owner=identity.authentication.aowner if identity is not None else _at_this_machine,
        max_line_bytes=settings.max_body_bytes,
        max_document_bytes=max(settings.max_image_bytes, settings.max_pdf_bytes),
        picture_pixels=picture_pixels,
        producer=settings.content_producer,
    )


async def _at_this_machine(_: str, __: str | None) -> Principal:
    return LOCAL


def rules_of(settings: Settings, identity: Identity | None) -> Callable[[], Rules]:
    """What is said about storing conversations: by the policy; in profile ``local``, by the settings."""
    if identity is None:
        fixed = Rules(settings.store_conversations, settings.conversation_days, settings.keep_images)
        return lambda: fixed
    policies = identity.policies

    def current() -> Rules:
        policy = policies.current().policy
        return Rules(policy.store_conversations, policy.conversation_days, policy.keep_images)

    return current


def oidc_of(settings: Settings) -> OidcProvider | None:
    """The company's OpenID provider; None: there is none."""
    return OidcProvider(settings.oidc) if settings.oidc is not None else None


def hosts_of(settings: Settings) -> tuple[str, ...]:
    """The host names under which the service may be addressed."""
    public = urlsplit(settings.public_url).hostname
    named = (f"[{public}]" if ":" in public else public,) if public else ()
    return (*settings.allowed_hosts, *named)


def _directory_of(settings: Settings) -> PasswordDirectory | None:
    if settings.ldap is None:
        return None
    from vlpro.identity.directories.ldap import LdapDirectory  # noqa: PLC0415 - its client may not be installed

    return LdapDirectory(settings.ldap)
