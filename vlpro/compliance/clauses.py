"""All clauses, in the order of the report: GB/T 22239-2019, 8.1, and the product's founding document (F1 to F5).

Texts of the standard are in short; numbers that it does not give, such as five tries, are what assessors ask for.
"""

from __future__ import annotations

from vlpro.compliance.checks import (
    access,
    cards,
    content,
    machine,
    passwords,
    policy,
    recording,
    served,
    sign_in,
    stored,
)
from vlpro.compliance.checks.promised import promised
from vlpro.compliance.clause import Check, Clause, Scope, Sentence

__all__ = ["CLAUSES"]


def _clause(
    id: str,  # noqa: A002 - the standard's word
    titles: tuple[str, str],
    asked: tuple[str, str],
    scope: Scope,
    *checks: Check,
    duty: tuple[str, str] | None = None,
) -> Clause:
    """A clause; texts are English and Chinese."""
    return Clause(id, Sentence(*titles), Sentence(*asked), scope, checks, Sentence(*duty) if duty else None)


_AUTHENTICATION = (
    _clause(
        "8.1.4.1 a",
        ("Identity and passwords", "身份标识与口令"),
        (
            "Users are identified and authenticated; identities are unique, passwords complex and changed regularly.",
            "应对登录的用户进行身份标识和鉴别，身份标识具有唯一性，身份鉴别信息具有复杂度要求并定期更换。",
        ),
        "A",
        sign_in.NO_DEFAULT_ACCOUNT,
        passwords.LOGINS_UNIQUE,
        passwords.PASSWORD_RULES,
        passwords.PASSWORD_AGED,
        passwords.LIVE_HASHES,
        policy.PASSWORDS,
    ),
    _clause(
        "8.1.4.1 b",
        ("Failed sign-ins and idle sessions", "登录失败处理与超时退出"),
        (
            "Failed sign-ins are handled: sessions end, wrong tries are limited, idle connections are closed.",
            "应具有登录失败处理功能，应配置并启用结束会话、限制非法登录次数和当登录连接超时自动退出等相关措施。",
        ),
        "A",
        sign_in.LOCKOUT,
        sign_in.ADDRESS_LOCK,
        sign_in.IDLE_SESSION,
        sign_in.SIGN_OUT,
        policy.LOCK,
    ),
    _clause(
        "8.1.4.1 c",
        ("Remote administration", "远程管理防窃听"),
        (
            "Remote administration is kept from being overheard on the network.",
            "当进行远程管理时，应采取必要措施防止鉴别信息在网络传输过程中被窃听。",
        ),
        "A/D",
        sign_in.COOKIES,
        served.TLS,
    ),
    _clause(
        "8.1.4.1 d",
        ("Two factors, one cryptographic", "双因素鉴别"),
        (
            "Users are authenticated by two kinds of means or more, one of them cryptographic.",
            (
                "应采用口令、密码技术、生物技术等两种或两种以上组合的鉴别技术对用户进行身份鉴别，且其中一种鉴别技术至少应使用密码"
                "技术来实现。"
            ),
        ),
        "A",
        sign_in.TWO_FACTORS,
        policy.FACTORS,
        stored.FACTORS,
    ),
)

_ACCESS = (
    _clause(
        "8.1.4.2 a",
        ("Accounts and rights are assigned", "分配账户和权限"),
        ("Whoever signs in has an account with rights assigned.", "应对登录的用户分配账户和权限。"),
        "A",
        access.ANONYMOUS,
        promised("data_folder"),
        served.SERVICE_CLOSED,
    ),
    _clause(
        "8.1.4.2 b",
        ("No default accounts", "无默认账户"),
        (
            "Default accounts are renamed or deleted, their default passwords changed.",
            "应重命名或删除默认账户，修改默认账户的默认口令。",
        ),
        "A",
        sign_in.NO_DEFAULT_ACCOUNT,
        stored.STALE,
    ),
    _clause(
        "8.1.4.2 c",
        ("Stale and shared accounts", "多余、过期与共享账户"),
        (
            "Superfluous and expired accounts are deleted or disabled in time; accounts are not shared.",
            "应及时删除或停用多余的、过期的账户，避免共享账户的存在。",
        ),
        "A",
        sign_in.ACCOUNT_EXPIRES,
        sign_in.SESSION_CAP,
        stored.STALE,
        policy.STALE,
    ),
    _clause(
        "8.1.4.2 d",
        ("Least rights, separate administrators", "最小权限与三权分立"),
        (
            "Administrators have the least rights that they need, and their rights are separated.",
            "应授予管理用户所需的最小权限，实现管理用户的权限分离。",
        ),
        "A",
        access.ROLE_MATRIX,
        access.ROLES_EXCLUSIVE,
        stored.ROLES,
    ),
    _clause(
        "8.1.4.2 e",
        ("An authorised subject sets the policy", "授权主体配置访问控制策略"),
        (
            "An authorised subject configures the policy by which subjects reach objects.",
            "应由授权主体配置访问控制策略，访问控制策略规定主体对客体的访问规则。",
        ),
        "A",
        access.POLICY_AUTHORITY,
        access.OWNERS,
    ),
    _clause(
        "8.1.4.2 f",
        ("Down to the user and the record", "控制粒度"),
        (
            "Access is controlled down to the user or process, and to the file, table or record.",
            "访问控制的粒度应达到主体为用户级或进程级，客体为文件、数据库表级。",
        ),
        "A",
        access.OWNERS,
    ),
    _clause(
        "8.1.4.2 g",
        ("Security labels", "安全标记"),
        (
            "Important subjects and objects bear security labels, by which access is controlled.",
            "应对重要主体和客体设置安全标记，并控制主体对有安全标记信息资源的访问。",
        ),
        "A",
        access.LABELS,
    ),
)

_AUDIT = (
    _clause(
        "8.1.4.3 a",
        ("The audit covers every user", "审计覆盖每个用户"),
        (
            "The audit is on, covers every user, and records what users do and what matters to security.",
            "应启用安全审计功能，审计覆盖到每个用户，对重要的用户行为和重要安全事件进行审计。",
        ),
        "A",
        recording.EVENTS,
        promised("audit_first"),
    ),
    _clause(
        "8.1.4.3 b",
        ("What a record says", "审计记录内容"),
        (
            "A record says when, who, what kind, whether it succeeded, and more about the audit.",
            "审计记录应包括事件的日期和时间、用户、事件类型、事件是否成功及其他与审计相关的信息。",
        ),
        "A",
        recording.FIELDS,
        recording.LIVE_FIELDS,
    ),
    _clause(
        "8.1.4.3 c",
        ("Records are protected and copied", "审计记录保护与备份"),
        (
            (
                "Records are protected and backed up, against unexpected deletion, alteration or overwriting; "
                "kept for six "
                "months (Cybersecurity Law, article 21(3); 23(3) since 2026-01-01)."
            ),
            (
                "应对审计记录进行保护，定期备份，避免受到未预期的删除、修改或覆盖等；留存不少于六个月"
                "（《网络安全法》第二十一条第三项，2026 年 1 月 1 日起为第二十三条第三项）。"
            ),
        ),
        "A/D",
        promised("audit_chain"),
        recording.NO_DELETE,
        recording.RETENTION,
        stored.AUDIT_VERIFIED,
        stored.AUDIT_COPY,
    ),
    _clause(
        "8.1.4.3 d",
        ("The audit is not interrupted", "审计进程保护"),
        ("The process of the audit is kept from interruption.", "应对审计进程进行保护，防止未经授权的中断。"),
        "A/D",
        recording.AUDIT_FULL,
        promised("audit_first"),
    ),
)

_INTRUSION = (
    _clause(
        "8.1.4.4 a",
        ("Only what is needed is installed", "最小安装"),
        (
            "Only the components and programs that are needed are installed.",
            "应遵循最小安装的原则，仅安装需要的组件和应用程序。",
        ),
        "A/D",
        machine.LOCKED,
        machine.INSTALLED,
    ),
    _clause(
        "8.1.4.4 b",
        ("Services and ports that are not needed", "关闭不需要的服务和端口"),
        (
            "System services, default shares and high-risk ports that are not needed are closed.",
            "应关闭不需要的系统服务、默认共享和高危端口。",
        ),
        "A/D",
        access.METRICS_CLOSED,
        machine.PORTS,
    ),
    _clause(
        "8.1.4.4 c",
        ("From where one administers", "限制管理终端地址"),
        (
            "Terminals that administer over the network are restricted by their way in or their address.",
            "应通过设定终端接入方式或网络地址范围对通过网络进行管理的管理终端进行限制。",
        ),
        "A/D",
        sign_in.ADDRESS_REFUSED,
        sign_in.ADDRESSES_OF_ADMINISTRATORS,
        duty=(
            "Say which machines the addresses of administration_addresses are.",
            "请说明 administration_addresses 中各地址对应的管理终端。",
        ),
    ),
    _clause(
        "8.1.4.4 d",
        ("Inputs are checked", "输入有效性检验"),
        (
            "What people or interfaces put in is checked for being what the system expects.",
            "应提供数据有效性检验功能，保证通过人机接口输入或通过通信接口输入的内容符合系统设定要求。",
        ),
        "A",
        content.INPUTS,
        promised("pictures"),
    ),
    _clause(
        "8.1.4.4 e",
        ("Known weaknesses are mended", "漏洞修补"),
        (
            "Known weaknesses are found, and mended after tests.",
            "应能发现可能存在的已知漏洞，并在经过充分测试评估后，及时修补漏洞。",
        ),
        "A/D",
        machine.ADVISORIES,
    ),
    _clause(
        "8.1.4.4 f",
        ("Intrusions are noticed", "入侵检测与报警"),
        (
            "Intrusions into important nodes are noticed, and serious ones alerted.",
            "应能够检测到对重要节点进行入侵的行为，并在发生严重入侵事件时提供报警。",
        ),
        "A/D",
        recording.ALERTS,
    ),
    _clause(
        "8.1.4.5",
        ("Malicious code", "恶意代码防范"),
        (
            "Malicious code is kept out, or intrusion and viruses are recognised and blocked.",
            "应采用免受恶意代码攻击的技术措施或主动免疫可信验证机制及时识别入侵和病毒行为，并将其有效阻断。",
        ),
        "A/O",
        content.EICAR,
        duty=(
            (
                "Run the company's protection against malware on this machine; this service only defuses what "
                "it is sent."
            ),
            "请在本机部署贵方的恶意代码防护；本服务只处理收到的文件。",
        ),
    ),
    _clause(
        "8.1.4.6",
        ("Trusted verification", "可信验证"),
        (
            "Programs, configuration and applications are verified by a root of trust; tampering is alerted.",
            (
                "可基于可信根对计算设备的系统引导程序、系统程序、重要配置参数和应用程序等进行可信验证，并在检测到其可信性受到破坏后"
                "进行报警。"
            ),
        ),
        "A",
        content.MODEL_BYTE,
        stored.MODEL_VERIFIED,
        machine.INSTALLED,
        duty=(
            "A hardware root of trust (measured boot) is the machine's: show it.",
            "硬件可信根（可信启动）由服务器提供，请出示。",
        ),
    ),
)

_DATA = (
    _clause(
        "8.1.4.7 a",
        ("Integrity in transit", "传输完整性"),
        (
            "Integrity of data in transit is ensured by cryptography.",
            "应采用校验技术或密码技术保证重要数据在传输过程中的完整性。",
        ),
        "A",
        served.TLS,
    ),
    _clause(
        "8.1.4.7 b",
        ("Integrity in storage", "存储完整性"),
        (
            "Integrity of stored data is ensured by cryptography.",
            "应采用校验技术或密码技术保证重要数据在存储过程中的完整性。",
        ),
        "A",
        promised("sealing"),
        promised("audit_chain"),
    ),
    _clause(
        "8.1.4.8 a",
        ("Confidentiality in transit", "传输保密性"),
        (
            "Confidentiality of data in transit is ensured by cryptography.",
            "应采用密码技术保证重要数据在传输过程中的保密性。",
        ),
        "A",
        served.TLS,
    ),
    _clause(
        "8.1.4.8 b",
        ("Confidentiality in storage", "存储保密性"),
        (
            "Confidentiality of stored data is ensured by cryptography.",
            "应采用密码技术保证重要数据在存储过程中的保密性。",
        ),
        "A",
        promised("ciphers"),
        promised("conversations"),
        content.CANARY,
        stored.KEY_OUTSIDE,
    ),
    _clause(
        "8.1.4.9 a",
        ("Local backup and restore", "本地备份与恢复"),
        ("Important data is backed up and can be restored.", "应提供重要数据的本地数据备份与恢复功能。"),
        "A/D",
        content.BACKUP,
        stored.BACKUPS,
    ),
    _clause(
        "8.1.4.9 b",
        ("Backup elsewhere", "异地备份"),
        (
            "Important data is backed up in time to another place.",
            "应提供异地实时备份功能，利用通信网络将重要数据实时备份至备份场地。",
        ),
        "O",
        duty=(
            "Send backups, or PostgreSQL's log, to another site, and show the last test of restoring from there.",
            "请将备份或 PostgreSQL 日志传至异地，并出示最近一次异地恢复演练记录。",
        ),
    ),
    _clause(
        "8.1.4.9 c",
        ("Redundancy", "热冗余"),
        (
            "Important systems are redundant, so that they stay available.",
            "应提供重要数据处理系统的热冗余，保证系统的高可用性。",
        ),
        "O",
        duty=(
            "Run two replicas on one PostgreSQL behind the proxy (docs/replicas.md), and show it.",
            "请以两个副本共用一个 PostgreSQL 部署于代理之后（docs/replicas.md），并出示。",
        ),
    ),
    _clause(
        "8.1.4.10 a",
        ("Nothing of authentication remains", "鉴别信息清除"),
        (
            "Where authentication data was stored is wholly cleared before it is given to somebody else.",
            "应保证鉴别信息所在的存储空间被释放或重新分配前得到完全清除。",
        ),
        "A",
        promised("memory"),
        sign_in.SIGN_OUT,
    ),
    _clause(
        "8.1.4.10 b",
        ("Nothing of content remains", "敏感数据清除"),
        (
            "Where sensitive data was stored is wholly cleared before it is given to somebody else.",
            "应保证存有敏感数据的存储空间被释放或重新分配前得到完全清除。",
        ),
        "A",
        content.CLEARED,
        promised("memory"),
        cards.GPU,
    ),
    _clause(
        "8.1.4.11 a",
        ("Only needed personal data", "个人信息最少采集"),
        (
            "Only personal data that the business needs is collected and kept.",
            "应仅采集和保存业务必需的用户个人信息。",
        ),
        "A",
        content.POSITION,
        policy.IMAGES,
    ),
    _clause(
        "8.1.4.11 b",
        ("Personal data is not used without authority", "禁止未授权访问个人信息"),
        (
            "Personal data is not accessed or used without authority.",
            "应禁止未授权访问和非法使用用户个人信息。",
        ),
        "A",
        promised("personal_data"),
        recording.QUERIES,
        access.OWNERS,
    ),
)

_BOUNDARY = (
    _clause(
        "8.1.3.1 c",
        ("No unauthorised ways out", "非授权外联"),
        (
            "Unauthorised connections of inside users to outside networks are checked or restricted.",
            "应能够对内部用户非授权联到外部网络的行为进行检查或限制。",
        ),
        "A/D",
        promised("egress"),
        promised("offline"),
    ),
    _clause(
        "8.1.3.2",
        ("Access control at the boundary", "边界访问控制"),
        (
            "Boundaries let through only what rules allow, and refuse the rest.",
            "应在网络边界或区域之间根据访问控制策略设置访问控制规则，默认情况下除允许通信外受控接口拒绝所有通信。",
        ),
        "A/D",
        promised("egress"),
        machine.PORTS,
        duty=(
            "Load the shipped nftables rules (deploy/nftables), or your own, and show them.",
            "请加载随附的 nftables 规则（deploy/nftables）或贵方规则并出示。",
        ),
    ),
)

_MANAGEMENT = (
    _clause(
        "8.1.5.1",
        ("The system administrator", "系统管理"),
        (
            "System administrators are authenticated, work by their own console, and are audited.",
            "应对系统管理员进行身份鉴别，只允许其通过特定的命令或操作界面进行系统管理操作，并对这些操作进行审计。",
        ),
        "A",
        access.ROLE_MATRIX,
        recording.EVENTS,
        stored.ROLES,
    ),
    _clause(
        "8.1.5.2",
        ("The audit administrator", "审计管理"),
        (
            "Audit administrators are authenticated, work by their own console, and are audited.",
            "应对审计管理员进行身份鉴别，只允许其通过特定的命令或操作界面进行安全审计操作，并对这些操作进行审计。",
        ),
        "A",
        access.ROLE_MATRIX,
        recording.QUERIES,
        stored.ROLES,
    ),
    _clause(
        "8.1.5.3",
        ("The security administrator", "安全管理"),
        (
            "Security administrators are authenticated, work by their own console, and are audited.",
            "应对安全管理员进行身份鉴别，只允许其通过特定的命令或操作界面进行安全管理操作，并对这些操作进行审计。",
        ),
        "A",
        access.ROLE_MATRIX,
        access.POLICY_AUTHORITY,
        stored.ROLES,
    ),
    _clause(
        "8.1.5.4 c",
        ("Central monitoring", "集中监测"),
        (
            "Links, devices and servers are monitored centrally.",
            "应对网络链路、安全设备、网络设备和服务器等的运行状况进行集中监测。",
        ),
        "A/D",
        access.METRICS_CLOSED,
        duty=(
            "Have Prometheus read /metrics (docs/monitoring.md), and show it.",
            "请用 Prometheus 采集 /metrics（docs/monitoring.md）并出示。",
        ),
    ),
    _clause(
        "8.1.5.4 d",
        ("Audit data is gathered", "审计数据汇总"),
        (
            "Audit data is gathered and analysed centrally, and kept as long as the law says.",
            "应对分散在各个设备上的审计数据进行收集汇总和集中分析，并保证审计记录的留存时间符合法律法规要求。",
        ),
        "A/D",
        recording.RETENTION,
        stored.AUDIT_COPY,
    ),
)


def _outside(
    id: str,  # noqa: A002 - the standard's word
    titles: tuple[str, str],
    asked: tuple[str, str],
    duty: tuple[str, str],
) -> Clause:
    return _clause(id, titles, asked, "O", duty=duty)


_OUTSIDE = (
    _outside(
        "8.1.1",
        ("Physical environment", "安全物理环境"),
        (
            "Rooms, power and access to machines are secured.",
            "机房选址、出入控制、防盗、防火、供电等符合要求。",
        ),
        ("Show the machine room's own assessment.", "请出示机房的测评材料。"),
    ),
    _outside(
        "8.1.2",
        ("Communication network", "安全通信网络"),
        (
            "The network has room and zones, its traffic is protected, its devices are verified.",
            "网络架构、通信传输和可信验证符合要求。",
        ),
        (
            "Show the network plan: the zone in which this service stands, what lies before it, and its capacity.",
            "请提供网络拓扑：本服务所在区域、边界防护与带宽余量。",
        ),
    ),
    _outside(
        "8.1.3.3",
        ("Intrusion at the boundary", "边界入侵防范"),
        (
            "Attacks from both sides are detected and blocked at key nodes.",
            "应在关键网络节点处检测、防止或限制网络攻击行为。",
        ),
        ("Show the intrusion detection before this service.", "请出示本服务前的入侵检测设备。"),
    ),
    _outside(
        "8.1.3.4",
        ("Malicious code and spam at the boundary", "边界恶意代码和垃圾邮件防范"),
        (
            "Malicious code is detected and removed at key nodes.",
            "应在关键网络节点处对恶意代码进行检测和清除。",
        ),
        ("Show the gateway's protection.", "请出示网关的恶意代码防护。"),
    ),
    _outside(
        "8.1.3.5",
        ("Audit at the boundary", "边界安全审计"),
        ("What users do at boundaries is audited.", "应在网络边界、重要网络节点进行安全审计。"),
        ("Show the audit of network devices.", "请出示网络设备的审计。"),
    ),
    _outside(
        "8.1.3.6",
        ("Trusted verification at the boundary", "边界可信验证"),
        ("Devices at boundaries are verified by a root of trust.", "可基于可信根对边界设备进行可信验证。"),
        ("Show it of the devices at the boundary.", "请出示边界设备的可信验证。"),
    ),
    _outside(
        "8.1.6-8.1.10",
        ("Management", "安全管理制度、机构、人员、建设与运维"),
        (
            "Rules, organisation, people, building and running are managed.",
            "制度、机构、人员、建设和运维管理符合要求。",
        ),
        ("Show the company's own rules and records.", "请出示贵单位的制度与记录。"),
    ),
    _outside(
        "GB/T 39786",
        ("Certified cryptography", "商用密码认证"),
        (
            "Cryptographic products and services are certified (GB/T 39786-2021, level 3).",
            "采用的密码产品、密码服务应符合国家密码管理要求（GB/T 39786-2021 第三级）。",
        ),
        (
            (
                "VLPRO_CRYPTO=gm gives SM2, SM3 and SM4 as algorithms; a certified module holds the key by "
                "VLPRO_KEY_TOKEN."
            ),
            "VLPRO_CRYPTO=gm 提供 SM2、SM3、SM4 算法；经认证的密码模块请通过 VLPRO_KEY_TOKEN 接入。",
        ),
    ),
)

_FOUNDING = (
    _clause(
        "F1",
        ("Foreign addresses", "外部地址"),
        ("An address that is not listed is refused with 401 or 403.", "未列入的地址应被拒绝（401 或 403）。"),
        "A",
        sign_in.ADDRESS_REFUSED,
    ),
    _clause(
        "F2",
        ("A session's timeline", "会话时间线"),
        ("The audit shows the course of a session.", "审计中可查看会话的完整时间线。"),
        "A",
        recording.TIMELINE,
    ),
    _clause(
        "F3",
        ("Memory of the GPU", "显存保护"),
        ("A clear frees the memory of the GPU.", "清除后释放显存。"),
        "A",
        cards.GPU,
    ),
    _clause(
        "F4",
        ("Outdated packages", "过期软件包"),
        (
            "Installed packages are those of the lock, without known weaknesses.",
            "已安装软件包与锁定版本一致，且没有已知漏洞。",
        ),
        "A/D",
        machine.LOCKED,
        machine.ADVISORIES,
    ),
    _clause(
        "F5",
        ("Health and metrics", "健康与监控接口"),
        ("Health and metrics routes are closed to outsiders.", "健康与监控接口对外部关闭。"),
        "A/D",
        access.METRICS_CLOSED,
        served.SERVICE_CLOSED,
    ),
)

CLAUSES: tuple[Clause, ...] = (
    *_AUTHENTICATION,
    *_ACCESS,
    *_AUDIT,
    *_INTRUSION,
    *_DATA,
    *_BOUNDARY,
    *_MANAGEMENT,
    *_OUTSIDE,
    *_FOUNDING,
)
"""What is asked, and how it is tried."""
