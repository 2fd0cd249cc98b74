"""What the live system has stored, and where: accounts, the audit and its copies, the key, backups."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from vlpro.audit.checkpoint import public_key
from vlpro.audit.errors import VerificationError
from vlpro.audit.events import Event
from vlpro.audit.ship.position import last_arrived, position_file
from vlpro.audit.tables import records
from vlpro.audit.verify_process import Work, verify_stored
from vlpro.backup.state import known
from vlpro.compliance.clause import Check, FailedError, Finding, NotEvaluatedError, Sentence
from vlpro.compliance.context import Context
from vlpro.identity.permissions import ADMINISTRATORS
from vlpro.identity.tables import accounts, passkeys, role_grants, totps

__all__ = [
    "AUDIT_COPY", "AUDIT_VERIFIED", "BACKUPS", "FACTORS", "KEY_OUTSIDE", "MODEL_VERIFIED", "ROLES", "STALE",
]  # fmt: skip

_DAY_S = 86_400
_WELL_KNOWN = ("admin", "administrator", "root", "test", "guest", "user", "demo", "vlpro", "system", "sa")
_BACKUP_S = 2 * _DAY_S  # the timer's is each night
_VERIFIED_S = 8 * _DAY_S  # the timer's is each week
_MOST_BEHIND = 1000


def _stale(context: Context) -> Finding:
    live = context.live
    _, policy = live.policy()
    now = time.time()
    enabled = accounts.c.disabled.is_(None)
    with live.reading(live.accounts()) as connection:
        everybody = connection.execute(sa.select(sa.func.count()).select_from(accounts)).scalar_one()
        unused = connection.execute(
            sa.select(sa.func.count()).where(
                enabled, accounts.c.active_at < now - policy.disable_after_idle_days * _DAY_S
            )
        ).scalar_one()
        expired = connection.execute(
            sa.select(sa.func.count()).where(enabled, accounts.c.expires_at <= now)
        ).scalar_one()
        named = connection.execute(
            sa.select(sa.func.count()).where(enabled, accounts.c.login.in_(_WELL_KNOWN))
        ).scalar_one()
    facts = {"accounts": everybody, "unused_not_disabled": unused, "expired_not_disabled": expired,
             "well_known_logins": named, "unused_days": policy.disable_after_idle_days}  # fmt: skip
    if unused or named:
        raise FailedError(
            f"{unused} accounts are unused for longer than {policy.disable_after_idle_days} days and not disabled; "
            f"{named} bear a well-known login such as admin. Disable them.",
            f"{unused} 个账号闲置超过 {policy.disable_after_idle_days} 天仍未停用；{named} 个账号使用 admin "
            f"等常见登录名。"
            "请停用这些账号。",
            facts,
        )
    return Finding(
        Sentence(
            f"Of {everybody} accounts none is unused for more than {policy.disable_after_idle_days} days "
            f"and enabled, "
            f"and none bears a well-known login; {expired} past their end can sign in no more.",
            f"{everybody} 个账号中，没有闲置超过 {policy.disable_after_idle_days} 天仍启用的，没有常见默认登录名；"
            f"{expired} 个已到期账号不能再登录。",
        ),
        facts,
    )


def _roles(context: Context) -> Finding:
    live = context.live
    with live.reading(live.accounts()) as connection:
        held = {
            str(role): int(number)
            for role, number in connection.execute(
                sa.select(role_grants.c.role, sa.func.count())
                .select_from(role_grants.join(accounts, accounts.c.id == role_grants.c.account))
                .where(accounts.c.disabled.is_(None))
                .group_by(role_grants.c.role)
            )
        }
        twice = connection.execute(
            sa.select(sa.func.count()).select_from(
                sa.select(role_grants.c.account)
                .group_by(role_grants.c.account)
                .having(sa.func.count() > 1)
                .subquery()
            )
        ).scalar_one()
        key = sa.inspect(connection).get_pk_constraint("role_grants")["constrained_columns"]
    facts = {"accounts_by_role": held, "accounts_with_two_roles": twice, "primary_key": key}
    missing = sorted(str(role) for role in ADMINISTRATORS if not held.get(str(role)))
    if twice or key != ["account"]:
        raise FailedError("An account can have two roles.", "账号可以有两个角色。", facts)
    if missing:
        raise FailedError(
            f"Nobody is appointed as: {', '.join(missing)}. The security administrator grants the role.",
            f"没有任命：{'、'.join(missing)}。请由安全管理员授予该角色。",
            facts,
        )
    return Finding(
        Sentence(
            "All three administrators are appointed, no account has two roles, and the database allows none.",
            "三类管理员均已任命；没有账号兼任两个角色，数据库也不允许。",
        ),
        facts,
    )


def _factors(context: Context) -> Finding:
    live = context.live
    without = sa.and_(
        accounts.c.id.not_in(sa.select(totps.c.account)), accounts.c.id.not_in(sa.select(passkeys.c.account))
    )
    administers = accounts.c.id.in_(
        sa.select(role_grants.c.account).where(role_grants.c.role.in_([str(role) for role in ADMINISTRATORS]))
    )
    used = sa.and_(
        accounts.c.disabled.is_(None), accounts.c.signed_in_at.is_not(None), accounts.c.source == "local"
    )
    with live.reading(live.accounts()) as connection:

        def count(*conditions: Any) -> int:
            return int(connection.execute(sa.select(sa.func.count()).where(used, *conditions)).scalar_one())

        facts = {
            "accounts_in_use": count(),
            "without_second_factor": count(without),
            "administrators_without": count(without, administers),
        }
    if facts["without_second_factor"]:
        raise FailedError(
            f"{facts['without_second_factor']} accounts in use have no second factor, "
            f"{facts['administrators_without']} of them administrators.",
            f"{facts['without_second_factor']} 个在用账号没有第二因素，其中管理员 "
            f"{facts['administrators_without']} 个。",
            facts,
        )
    return Finding(
        Sentence(
            f"All {facts['accounts_in_use']} local accounts in use have an authenticator app or a passkey.",
            f"{facts['accounts_in_use']} 个在用的本地账号均已设置动态口令或通行密钥。",
        ),
        facts,
    )


def _verified(context: Context) -> Finding:
    settings = context.settings
    context.live.audit()
    url = context.live.audit_url
    copy = str(settings.audit_copy) if settings.audit_copy is not None else ""
    work = Work(url, (public_key(context.sealer.signing_seed).hex(),), copy=copy)
    try:
        found = verify_stored(work, lambda _done, _total: None)
    except VerificationError as error:
        raise FailedError(
            f"The record is not what was written: {error}.",
            f"审计记录与写入时不一致：{error.zh}。",
            {"finding": str(error.finding), "record": getattr(error, "seq", None)},
        ) from error
    facts = {"records": found.records, "first": found.first, "last": found.last, "checkpoints": found.checkpoints,
             "signed": found.signed, "copies": found.copies,
             "root": found.root.hex() if found.root is not None else ""}  # fmt: skip
    return Finding(
        Sentence(
            f"Records {found.first} to {found.last} are what was written: every byte and place, "
            f"{found.checkpoints} signed checkpoints, {found.copies} copies of them.",
            f"第 {found.first} 至 {found.last} 条记录与写入时一致：逐字节、逐位置校验，{found.checkpoints} "
            f"个签名检查点，"
            f"{found.copies} 个检查点副本一致。",
        ),
        facts,
    )


def _copy(context: Context) -> Finding:
    settings = context.settings
    if settings.audit_ship is None and settings.audit_copy is None:
        if settings.profile == "local":
            raise NotEvaluatedError(
                "Profile local: the record is copied nowhere.",
                "local 模式：审计记录没有副本。",
                {"copy": None},
            )
        raise FailedError(
            "The record is copied nowhere: set VLPRO_AUDIT_SHIP, so that it lies on another machine, too.",
            "审计记录没有异机副本：请设置 VLPRO_AUDIT_SHIP。",
            {"ship": False, "copy": False},
        )
    if settings.audit_ship is None:
        raise NotEvaluatedError(
            "Checkpoints are copied to a file (VLPRO_AUDIT_COPY); whether it is another machine's, and where the "
            "records themselves are copied, is for the operator to show. VLPRO_AUDIT_SHIP copies them.",
            "检查点复制到文件（VLPRO_AUDIT_COPY）；该文件是否在另一台机器、记录本身复制到哪里，请由运维方说明。"
            "设置 VLPRO_AUDIT_SHIP 可复制记录。",
            {"ship": False, "copy": True},
        )
    live = context.live
    there = last_arrived(position_file(settings.audit_ship, settings.data_dir)) or 0
    with live.reading(live.audit()) as connection:
        last = int(connection.execute(sa.select(sa.func.max(records.c.seq))).scalar_one() or 0)
    lag = last - there
    facts = {"here": last, "there": there, "lag": lag}
    if not there:
        raise NotEvaluatedError(
            "How far the shipper is cannot be read here. Run vlpro audit ship --check where it runs.",
            "此处无法读取发送进度。请在发送进程所在机器运行 vlpro audit ship --check。",
            facts,
        )
    if lag > _MOST_BEHIND:
        raise FailedError(
            f"{lag} records have not arrived at their copy.", f"{lag} 条记录尚未到达副本。", facts
        )
    return Finding(
        Sentence(
            f"{there} of {last} records are acknowledged by their copy.",
            f"{last} 条记录中 {there} 条已得到副本确认。",
        ),
        facts,
    )


def _key(context: Context) -> Finding:
    settings = context.settings
    if settings.key_file is None:
        raise NotEvaluatedError(
            "Profile local keeps its key in the data folder: whoever has the folder can read it. Profile "
            "mlps3 wants a "
            "key file outside.",
            "local 模式的密钥在数据文件夹内：取得该文件夹即可解密。mlps3 模式要求密钥文件在外部。",
            {"key_file": "data folder"},
        )
    path, folder = settings.key_file.resolve(), settings.data_dir.resolve()
    credential = str(settings.key_file).startswith("credential:")
    inside = not credential and path.is_relative_to(folder)
    mode = path.stat().st_mode & 0o777 if not credential and path.exists() else None
    facts = {"inside_data_folder": inside, "mode": oct(mode) if mode is not None else None,
             "credential": credential, "wrapped": bool(settings.key_token)}  # fmt: skip
    if inside or (mode is not None and mode & 0o077):
        raise FailedError(
            "The key lies with the data, or others may read it.", "密钥与数据同处，或其他用户可读。", facts
        )
    return Finding(
        Sentence(
            "The key lies outside the data folder, readable by its owner alone.",
            "密钥位于数据文件夹之外，仅所有者可读。",
        ),
        facts,
    )


def _backups(context: Context) -> Finding:
    settings = context.settings
    state = known(settings.data_dir)
    made, verified = state.get("at"), (state.get("verified") or {}).get("at")
    now = time.time()
    facts = {
        "made_hours_ago": round((now - made) / 3600, 1) if isinstance(made, int | float) else None,
        "verified_hours_ago": round((now - verified) / 3600, 1)
        if isinstance(verified, int | float)
        else None,
    }
    if facts["made_hours_ago"] is None:
        if settings.profile == "local":
            raise NotEvaluatedError(
                "No backup was made yet: vlpro backup.", "尚无备份：请运行 vlpro backup。", facts
            )
        if settings.database_url.get_secret_value():
            raise NotEvaluatedError(
                "No backup of vlpro backup is known here; show those that the database's own tools make.",
                "此处没有 vlpro backup 的备份记录；请出示数据库自身的备份。",
                facts,
            )
        raise FailedError(
            "No backup was made: run vlpro backup, and enable its timer.",
            "没有备份：请运行 vlpro backup 并启用定时任务。",
            facts,
        )
    if now - float(made or 0) > _BACKUP_S:
        raise FailedError(
            f"The last backup is {facts['made_hours_ago']} h old. See why vlpro-backup.timer did not run.",
            f"最近的备份已是 {facts['made_hours_ago']} 小时前，请检查 vlpro-backup.timer。",
            facts,
        )
    if verified is None or now - float(verified) > _VERIFIED_S:
        raise FailedError(
            "No backup was verified for over a week: vlpro restore --check FOLDER, and enable its timer.",
            "一周以上没有校验过备份：请运行 vlpro restore --check 文件夹，并启用其定时任务。",
            facts,
        )
    return Finding(
        Sentence(
            f"The last backup is {facts['made_hours_ago']} h old, and was verified "
            f"{facts['verified_hours_ago']} h ago.",
            f"最近一次备份在 {facts['made_hours_ago']} 小时前，{facts['verified_hours_ago']} 小时前通过校验。",
        ),
        facts,
    )


def _model(context: Context) -> Finding:
    settings = context.settings
    if not settings.model_dir:
        raise NotEvaluatedError(
            "No model folder is set (VLPRO_MODEL_DIR): this system loads no weights of its own.",
            "未设置模型文件夹（VLPRO_MODEL_DIR）：本系统不加载自身的权重。",
            {"model_dir": False, "model_check": settings.model_check},
        )
    live = context.live
    with live.reading(live.audit()) as connection:
        row = connection.execute(
            sa.select(records.c.outcome, records.c.seq)
            .where(records.c.event == str(Event.MODEL_VERIFIED))
            .order_by(records.c.seq.desc())
            .limit(1)
        ).one_or_none()
    if row is None:
        raise NotEvaluatedError(
            "The record has no verification of the model yet: start the service.",
            "审计记录中还没有模型校验：请启动服务。",
            {"verified": None},
        )
    facts = {"outcome": row.outcome, "record": row.seq, "model_check": settings.model_check}
    if row.outcome != "ok":
        raise FailedError("The model's files are not what they must be.", "模型文件与清单不一致。", facts)
    return Finding(
        Sentence(
            f"Record {row.seq}: the model's files were verified against their manifest before they were loaded.",
            f"第 {row.seq} 条记录：加载前已按清单校验模型文件。",
        ),
        facts,
    )


STALE = Check(
    "accounts_in_use",
    Sentence(
        "Unused, expired and well-known accounts of the live system.",
        "检查实际系统中闲置、到期和常见名账号。",
    ),
    _stale,
)
ROLES = Check(
    "roles_held",
    Sentence(
        "Who holds which role on the live system, and what its database allows.",
        "检查实际系统的角色分配与数据库约束。",
    ),
    _roles,
)
FACTORS = Check(
    "factors_held",
    Sentence("The second factors of the live system's accounts.", "检查实际系统账号的第二因素。"),
    _factors,
)
AUDIT_VERIFIED = Check(
    "audit_verified",
    Sentence(
        "The whole live record: every byte and place, signatures of checkpoints, their copies.",
        "完整校验实际审计记录：逐字节、逐位置、检查点签名及其副本。",
    ),
    _verified,
)
AUDIT_COPY = Check(
    "audit_copy",
    Sentence("Where the live record is copied, and how far behind.", "检查实际审计记录的副本及其滞后。"),
    _copy,
)
KEY_OUTSIDE = Check(
    "key_outside",
    Sentence("Where the live key lies, and its rights.", "检查实际密钥的位置与权限。"),
    _key,
)
BACKUPS = Check(
    "backups",
    Sentence(
        "When the live system was last backed up, and the backup verified.",
        "检查实际系统最近的备份及其校验时间。",
    ),
    _backups,
)
MODEL_VERIFIED = Check(
    "model_verified",
    Sentence(
        "The last verification of the model on the live record.", "检查实际审计记录中最近一次模型校验。"
    ),
    _model,
)
