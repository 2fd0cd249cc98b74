"""The words of conversations: the list, names, clearing and deleting, taking one out as a file."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    # clearing the one that is open
    "clear": ("清空对话", "Clear chat"),
    "clear.ask": ("清空这段对话？", "Clear this chat?"),
    "clear.body": (
        "这段对话的消息和图片会从内存和存储中删除，无法恢复。审计记录不受影响。",
        "Its messages and pictures leave memory and storage and cannot be brought back. The audit record stays.",
    ),
    "clear.do": ("清空", "Clear"),
    "cleared": (
        "对话已清空：消息 {messages} 条，图片 {images} 张（{size}）。",
        "Chat cleared. Messages: {messages} · pictures: {images} ({size}).",
    ),
    "cleared.engine": ("引擎缓存：已丢弃 {entries} 项（{size}）", "Engine cache: {entries} dropped ({size})"),
    "cleared.engine.busy": (
        "引擎缓存：引擎正忙，将在回答下一个问题前丢弃",
        "Engine cache: the engine is busy, and drops it before its next question",
    ),
    "cleared.took": ("用时 {ms} 毫秒", "{ms} ms"),
    "cleared.memory": ("{name}：{before} → {after}", "{name}: {before} → {after}"),
    "memory.service": ("服务内存", "Service memory"),
    "memory.engine": ("引擎内存", "Engine memory"),
    "memory.machine": ("整机内存", "Machine memory"),
    "memory.gpu": ("显存 {name}", "GPU memory {name}"),
    # the list
    "conversations": ("对话记录", "Conversations"),
    "conversations.find": ("搜索对话", "Search chats"),
    "conversations.none": ("没有符合的对话", "No chat matches"),
    "history.today": ("今天", "Today"),
    "history.yesterday": ("昨天", "Yesterday"),
    "history.more": ("显示更早的（还有 {count} 段）", "Show earlier ones ({count} more)"),
    "history.empty": ("还没有对话。提问后会出现在这里。", "No chats yet. What you ask appears here."),
    "history.found": ("找到 {count} 段对话", "Chats found: {count}"),
    "history.found_some": (
        "找到 {count} 段对话，显示最近的 {shown} 段",
        "Chats found: {count}; the latest {shown} are shown",
    ),
    "history.unreadable": ("无法打开的对话", "Chat that cannot be opened"),
    "history.damaged": (
        "有 {count} 段对话的存储内容被改动，没有搜索。请告知管理员。",
        "Chats not searched, because what is stored of them was altered: {count}. Tell your administrator.",
    ),
    "rename": ("改名", "Rename"),
    "rename.title": ("对话名称", "Name of the chat"),
    "clear_all": ("删除全部对话", "Delete all chats"),
    "clear_all.ask": ("删除全部对话？", "Delete all chats?"),
    "clear_all.body": (
        "您的 {count} 段对话及其图片会被删除，无法恢复。审计记录不受影响。",
        "Your {count} chats and their pictures are deleted and cannot be brought back. The audit record stays.",
    ),
    "clear_all.do": ("全部删除", "Delete all"),
    "cleared_all": ("已删除 {count} 段对话。", "Chats deleted: {count}."),
    "not_kept": ("图片未保存", "Picture not kept"),
    "not_kept.why": (
        "按策略没有保存这张图片，只保留标注位置。",
        "The policy keeps no pictures; only the places are left.",
    ),
    "untitled": ("新对话", "New chat"),
    # one that is gone
    "gone": (
        "这段对话已不存在：已被删除、超过保存天数，或没有保存而服务重启过。",
        "This chat is gone: it was deleted, was older than chats are kept, or was not stored before a restart.",
    ),
    # as a file
    "export": ("导出", "Export"),
    "export.markdown": ("Markdown 文档", "Markdown"),
    "export.json": ("JSON 数据", "JSON"),
    "export.you": ("提问", "Question"),
    "export.made": ("导出时间 {time}", "Exported {time}"),
    "export.picture": (
        "图 {number}：{width} × {height} 像素，SHA-256 {sha256}",
        "Picture {number}: {width} × {height} pixels, SHA-256 {sha256}",
    ),
}
