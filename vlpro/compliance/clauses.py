"""All clauses, in the order of the report."""

from __future__ import annotations

from vlpro.compliance.checks import passwords, policy
from vlpro.compliance.clause import Clause, Sentence

__all__ = ["CLAUSES"]

CLAUSES: tuple[Clause, ...] = (
    Clause(
        "8.1.4.1 a",
        Sentence("Identity and passwords", "身份标识与口令"),
        Sentence(
            "Users are identified and authenticated; identities are unique, passwords complex and changed regularly.",
            "应对登录的用户进行身份标识和鉴别，身份标识具有唯一性，身份鉴别信息具有复杂度要求并定期更换。",
        ),
        "A",
        (
            passwords.LOGINS_UNIQUE,
            passwords.PASSWORD_RULES,
            passwords.PASSWORD_AGED,
            passwords.LIVE_HASHES,
            policy.PASSWORDS,
        ),
    ),
    Clause(
        "8.1.2.1",
        Sentence("Network architecture", "网络架构"),
        Sentence(
            "The network has room for peak load, is divided into zones, and important zones lie behind a boundary.",
            "网络设备与带宽满足高峰需要，划分网络区域，重要区域与其他区域之间采取可靠的技术隔离手段。",
        ),
        "O",
        duty=Sentence(
            "Show the network plan: the zone in which this service stands, and what lies before it.",
            "请提供网络拓扑：本服务所在区域及其边界防护。",
        ),
    ),
)
"""What is asked, and how it is tried."""
