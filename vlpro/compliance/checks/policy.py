"""The policy that is in force on the live system: what the security administrator has decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlpro.compliance.clause import Check, FailedError, Finding, Sentence
from vlpro.compliance.context import Context
from vlpro.identity.policy import Policy

__all__ = ["FACTORS", "IMAGES", "LOCK", "PASSWORDS", "STALE"]


@dataclass(frozen=True, slots=True)
class _Bound:
    """What a setting of the policy must be at least, or at most.

    The standard has no numbers; these are what assessors usually ask for.
    """

    least: int | None = None
    most: int | None = None

    def holds(self, value: int) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        return f">= {self.least}" if self.least is not None else f"<= {self.most}"


def _in_force(name: str, bounds: Mapping[str, _Bound], how: Sentence) -> Check:
    """A check of settings of the policy."""

    def run(context: Context) -> Finding:
        version, policy = context.live.policy()
        values = {setting: getattr(policy, setting) for setting in bounds}
        wrong = [setting for setting, bound in bounds.items() if not bound.holds(values[setting])]
        facts = {
            "policy_version": version,
            "in_force": values,
            "asked": {setting: str(bound) for setting, bound in bounds.items()},
        }
        if wrong:
            told = ", ".join(f"{each} = {values[each]} (asked: {bounds[each]})" for each in wrong)
            raise FailedError(
                f"The policy in force is too weak: {told}.", f"生效的安全策略过弱：{told}。", facts
            )
        told = ", ".join(f"{each} = {value}" for each, value in values.items())
        return Finding(
            Sentence(f"In force (version {version}): {told}.", f"生效策略（第 {version} 版）：{told}。"),
            facts,
        )

    return Check(name, how, run)


PASSWORDS = _in_force(
    "policy_passwords",
    {
        "password_min_length": _Bound(least=10),
        "password_classes": _Bound(least=3),
        "password_history": _Bound(least=5),
        "password_max_age_days": _Bound(most=90),
    },
    Sentence("The live policy's rules for passwords.", "检查实际系统策略中的口令规则。"),
)
LOCK = _in_force(
    "policy_lock",
    {
        "lock_after_failures": _Bound(most=5),
        "lock_minutes": _Bound(least=30),
        "idle_minutes": _Bound(most=15),
        "session_hours": _Bound(most=8),
    },
    Sentence(
        "The live policy's limits for failed sign-ins and for sessions.",
        "检查实际系统策略中的登录失败与会话时限。",
    ),
)
STALE = _in_force(
    "policy_stale",
    {"disable_after_idle_days": _Bound(most=90), "sessions_per_account": _Bound(most=3)},
    Sentence(
        "The live policy's limits for unused accounts and shared sessions.",
        "检查实际系统策略中的闲置账号与并发会话限制。",
    ),
)


def _choices(name: str, expected: Mapping[str, Any], how: Sentence, told: Sentence) -> Check:
    """A check of choices of the policy: each must be the expected one."""

    def run(context: Context) -> Finding:
        version, policy = context.live.policy()
        values = {setting: getattr(policy, setting) for setting in expected}
        wrong = {setting: value for setting, value in values.items() if value != expected[setting]}
        facts = {"policy_version": version, "in_force": values, "asked": dict(expected)}
        if wrong:
            said = ", ".join(f"{setting} = {value}" for setting, value in wrong.items())
            raise FailedError(f"{told.en} In force: {said}.", f"{told.zh}当前为：{said}。", facts)
        said = ", ".join(f"{setting} = {value}" for setting, value in values.items())
        return Finding(
            Sentence(f"In force (version {version}): {said}.", f"生效策略（第 {version} 版）：{said}。"),
            facts,
        )

    return Check(name, how, run)


FACTORS = _choices(
    "policy_factors",
    {"second_factor": "everybody", "directory_second_factor": True},
    Sentence("Whom the live policy asks for a second factor.", "检查实际系统策略要求哪些人使用双因素。"),
    Sentence(
        "Some people sign in with a password alone, as far as this system can see.",
        "就本系统所见，部分人员仅凭口令即可登录。",
    ),
)
IMAGES = _choices(
    "policy_images",
    {"keep_images": Policy().keep_images},
    Sentence("Whether the live policy has pictures kept.", "检查实际系统策略是否保存图片。"),
    Sentence(
        "Pictures are kept, which is more than the service needs.", "图片被保存，超出服务所必需的范围。"
    ),
)
