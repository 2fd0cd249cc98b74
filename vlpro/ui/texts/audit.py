"""The words of the page "Audit record", and of taking records out."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    # searching
    "audit.about": (
        "只读。每条记录都含上一条的哈希，改动或删除都会显现。",
        "Read-only. Each record holds the hash of the one before: a change or a removal shows.",
    ),
    "audit.loading": ("正在查询审计记录…", "Querying the record…"),
    "audit.none": ("没有符合条件的记录。请放宽筛选条件。", "No records match. Loosen the filters."),
    "audit.none.yet": ("到目前为止没有找到。", "Nothing found so far."),
    "audit.find": ("搜索记录中的文字", "Search in the records"),
    "audit.text": ("文字", "Text"),
    "audit.kind": ("类型", "Kind"),
    "audit.every": ("{group}（全部）", "{group} (all)"),
    "audit.outcome": ("结果", "Outcome"),
    "audit.person": ("用户名", "User name"),
    "audit.session": ("会话或密钥编号", "Session or key id"),
    "audit.address": ("地址", "Address"),
    "audit.object": ("对象编号", "Object id"),
    "audit.period": ("时间", "Time"),
    "audit.from": ("从", "From"),
    "audit.to": ("到（含）", "To (inclusive)"),
    "audit.clear": ("清除筛选", "Clear filters"),
    "audit.remove": ("移除筛选：{name}", "Remove the filter: {name}"),
    "period.all": ("全部时间", "All time"),
    "period.day": ("近 24 小时", "Last 24 hours"),
    "period.week": ("近 7 天", "Last 7 days"),
    "period.month": ("近 30 天", "Last 30 days"),
    "period.dates": ("自选日期", "Chosen dates"),
    "audit.as_of": ("截至 {time}", "As of {time}"),
    "audit.export": ("导出", "Export"),
    "audit.exported": (
        "已开始下载 {name}，起止都写入审计记录",
        "Downloading {name}; its beginning and its end are on the record",
    ),
    # taking records out
    "export.about": (
        "导出会和理由一起写入审计记录，短时间内多次导出会触发告警。",
        "An export goes on the record with your reason. Many of them in a short time raise an alert.",
    ),
    "export.what": ("导出内容", "What to export"),
    "export.csv": ("表格（CSV，可用 Excel 打开）", "Table (CSV, opens in Excel)"),
    "export.jsonl": ("JSON Lines，每行一条记录", "JSON Lines, a record a line"),
    "export.record": ("全部记录，可在别处核验", "The whole record, to be verified elsewhere"),
    "export.filter": ("按当前筛选：{filter}", "As filtered: {filter}"),
    "export.filter.none": ("没有筛选：全部记录", "No filter: all records"),
    "export.record.about": (
        "含检查点和签名，不受筛选影响。用 vlpro audit verify --export 核验。",
        "With checkpoints and signatures, whatever the filters. Verify with vlpro audit verify --export.",
    ),
    "export.reason": ("导出理由", "Why you export"),
    "export.example": ("例如：2026 年等保测评取证", "For example: evidence for the 2026 assessment"),
    "export.do": ("导出并记录", "Export, on the record"),
    # the list, and its chain
    "audit.older": ("更早的记录", "Older records"),
    "audit.further": ("继续往前搜索", "Search further back"),
    "audit.seeking": (
        "正在搜索第 {seq} 条之前的记录，直到第 {first} 条",
        "Searching before record {seq}, back to {first}",
    ),
    "audit.seek.stop": ("停止搜索", "Stop searching"),
    "audit.searched": (
        "已搜索到第 {seq} 条，更早的记录还没有搜索。",
        "Searched back to record {seq}; older ones were not searched yet.",
    ),
    "audit.end": ("没有更早的记录了", "There are no older records"),
    "audit.end.archived": (
        "没有更早的记录了；第 {first} 条之前的已归档",
        "There are no older ones here: those before {first} are in archives",
    ),
    "audit.chain": ("所示记录的链", "Chain of what is shown"),
    "audit.links": ("已连接 {count} 处", "Linked: {count}"),
    "audit.breaks": ("断开 {count} 处", "Broken: {count}"),
    "audit.jump": ("转到断开处", "Go to where it is broken"),
    "audit.links.none": ("没有相邻记录", "None adjacent"),
    "audit.size": ("记录总数", "Records"),
    "audit.signed": ("已签名至", "Signed up to"),
    "audit.unsigned": ("还有 {count} 条待签名", "{count} to be signed"),
    "audit.unsigned.none": ("全部已签名", "All signed"),
    "audit.last": ("最新一条", "Newest"),
    "audit.failed_sign_ins": ("登录被拒", "Sign-ins refused"),
    "audit.refusals": ("请求被拒", "Requests refused"),
    "audit.day": ("近 24 小时", "last 24 hours"),
    "audit.show": ("只看这些", "Show these"),
    "audit.whole": ("签名与公钥", "Signatures"),
    "audit.whole.about": (
        "检查点由服务签名。请把公钥抄录在别处：导出文件和归档凭它核验。",
        (
            "The service signs checkpoints. Keep the public key elsewhere: exports and archives are verified with it."
        ),
    ),
    "audit.log": ("日志编号", "Log id"),
    "audit.key": ("签名公钥（Ed25519）", "Public key of signatures (Ed25519)"),
    "audit.root": ("最近一次签名的根哈希", "Root hash last signed"),
    "audit.linked": ("已连接", "Linked"),
    "audit.broken": ("链断开", "Broken"),
    "audit.unknown": ("未核对", "Not checked"),
    "audit.unknown.why": (
        "上一条记录不在所示范围内",
        "the record before it is not among those shown",
    ),
    "audit.first": ("链的起点", "The chain begins here"),
    "audit.gap": (
        "第 {old} 条与第 {new} 条的哈希不一致：第 {old} 条可能被改动。请运行 vlpro audit verify，并对照异地副本。",
        (
            "Records {old} and {new} do not fit together: {old} may have been changed. Run vlpro audit verify, and "
            "compare with the remote copy."
        ),
    ),
    "audit.lost": (
        "缺少第 {first} 到 {last} 条：可能被删除。请运行 vlpro audit verify，并对照异地副本。",
        (
            "Records {first} to {last} are missing: they may have been removed. Run vlpro audit verify, and compare "
            "with the remote copy."
        ),
    ),
    "audit.lost.one": (
        "缺少第 {seq} 条：可能被删除。请运行 vlpro audit verify，并对照异地副本。",
        (
            "Record {seq} is missing: it may have been removed. Run vlpro audit verify, and compare with the remote "
            "copy."
        ),
    ),
    "audit.unreadable": ("无法读取", "Unreadable"),
    "audit.unreadable.why": ("记录的内容已损坏", "its bytes are no record any more"),
    "audit.folded": ("{count} 次查询审计记录", "{count} queries of the record"),
    "audit.count": ("{count} 条", "{count} records"),
    "audit.nobody": ("未登录", "Nobody"),
    "audit.service": ("系统", "System"),
    "audit.machine": ("在服务器上操作", "at the machine"),
    "audit.unknown_login": ("未知用户名", "Unknown login"),
    "audit.only": ("只看 {value}", "Show only {value}"),
    "audit.row": ("第 {seq} 条，{time}，{who}，{action}", "Record {seq}, {time}, {who}, {action}"),
    "audit.copy": ("复制整条记录", "Copy the record"),
    "audit.view": ("查看原文", "Read the text"),
    "audit.view.about": (
        "内容由他人书写。查看会和理由一起写入审计记录。",
        "Somebody else wrote this. Reading it goes on the record, with your reason.",
    ),
    "audit.view.reason": ("查看理由", "Why you read it"),
    "audit.view.example": ("例如：处理 2026-118 号投诉", "For example: complaint 2026-118"),
    "audit.view.short": ("请至少填写 4 个字。", "Give a reason of four characters or more."),
    "audit.view.do": ("查看并记录", "Read, on the record"),
    "audit.viewed": (
        "这次查看已写入审计记录。理由：{reason}",
        "This look is on the record. Reason: {reason}",
    ),
    "audit.text.question": ("提问", "Question"),
    "audit.text.answer": ("回答", "Answer"),
    "audit.text.answers": ("回答 {number}", "Answer {number}"),
    "audit.kept": ("原文已加密保存", "the text is kept, encrypted"),
    "audit.hash_only": ("按策略只保存哈希，没有原文", "by the policy only the hash is kept, not the text"),
    "audit.chars": ("{count} 个字符", "{count} characters"),
    "audit.pictures": ("{count} 张图片", "{count} pictures"),
    "audit.picture": ("1 张图片", "1 picture"),
    "audit.tokens": ("输入 {read} · 输出 {written} tokens", "{read} in · {written} out tokens"),
    "audit.took": ("{seconds} 秒", "{seconds} s"),
    "audit.more": ("等 {count} 项", "{count} in all"),
    "audit.sessions_ended": ("{count} 个会话", "sessions: {count}"),
    "audit.repeated": ("此前同样的还有 {count} 次", "{count} more like it before"),
    "audit.about_record": ("第 {seq} 条", "Record {seq}"),
}
