"""Every word that a person reads, in Chinese and English."""

from __future__ import annotations

from typing import Literal

__all__ = ["LANGUAGES", "STRINGS", "Language", "text"]

Language = Literal["zh", "en"]

LANGUAGES: dict[Language, str] = {"zh": "中文", "en": "English"}

STRINGS: dict[str, tuple[str, str]] = {
    # the product
    "product": ("Qwen3-VL-4B Pro", "Qwen3-VL-4B Pro"),
    "tagline": ("企业内网图文助手", "Private vision-language assistant"),
    "assistant": ("助手", "Assistant"),
    "fine_print": (
        "回答可能有误，重要结论请对照原图核实。",
        "Answers can be wrong. Check important findings against the picture.",
    ),
    # empty page
    "hello": ("今天要看什么图片？", "What shall we look at?"),
    "hello.sees": (
        "图片和回答只在本单位内网处理，不会发往外部。答案引用的位置会标在原图上。",
        "Pictures and answers stay inside your network. What an answer refers to is marked on the picture.",
    ),
    "hello.reads": (
        "当前引擎读取文字、票据字段和条码，在原图上标出依据，但看不懂场景。加入 Qwen3-VL 权重后可以看图说话。",
        (
            "The engine in use reads text, fields and codes and marks them on the picture; it does not see scenes. "
            "Add the Qwen3-VL weights for scenes and charts."
        ),
    ),
    "drop": ("拖放图片到这里", "Drop pictures here"),
    "formats": (
        "也可以点击选择或直接粘贴。JPG、PNG、BMP、WebP，单张 {megabytes} MB 内，最多 {most} 张。",
        "Or click to choose, or paste. JPG, PNG, BMP, WebP; {megabytes} MB each, {most} at most.",
    ),
    "starters": ("可以这样问", "Questions to begin with"),
    "starter.total": ("合计金额是多少？", "What is the total amount?"),
    "starter.fields": ("读出日期、商户和单号。", "Read the date, the merchant and the number."),
    "starter.all": ("读出图中全部文字。", "Read all the text in the picture."),
    "starter.describe": ("描述这张图片。", "Describe this picture."),
    # sidebar
    "new": ("新对话", "New chat"),
    "clear": ("清空对话", "Clear chat"),
    "clear.ask": ("清空这段对话？", "Clear this chat?"),
    "clear.body": (
        "这段对话的消息和图片会从内存中删除，无法恢复。",
        "The messages and pictures of this chat leave memory and cannot be brought back.",
    ),
    "clear.do": ("清空", "Clear"),
    "cancel": ("取消", "Cancel"),
    "cleared": ("对话已清空，释放了 {images} 张图片。", "Chat cleared; {images} pictures freed."),
    "cleared.memory": ("{name}：{before} → {after}", "{name}: {before} → {after}"),
    "memory.service": ("服务内存", "Service memory"),
    "memory.engine": ("引擎内存", "Engine memory"),
    "memory.machine": ("整机内存", "Machine memory"),
    "memory.gpu": ("显存 {name}", "GPU memory {name}"),
    "temperature": ("活跃度 Temperature", "Temperature"),
    "temperature.help": (
        "越低越稳定、可复现：票据、读数、核对用 0–0.3；描述和总结用 0.5–0.7；需要多种说法时再往上调。",
        (
            "Lower is steadier and repeatable: 0–0.3 for receipts, readings and checks; 0.5–0.7 for descriptions and "
            "summaries; higher only when you want variety."
        ),
    ),
    "temperature.unused": (
        "文字识别引擎不采样，活跃度对它不起作用。",
        "The text-reading engine does not sample: temperature has no effect on it.",
    ),
    "max_tokens": ("最大长度 Max Tokens", "Max tokens"),
    "max_tokens.help": (
        "一次回答最多生成多少 token。读一个字段 128–256，一般问答 512–1024，整页抄录 2048 以上。回答被截断时调大。",
        (
            "The most tokens one answer may have. 128–256 for one field; 512–1024 for usual questions; 2048 and more "
            "to copy a whole page. Raise it when an answer is cut off."
        ),
    ),
    "conversations": ("对话记录", "Conversations"),
    "conversations.find": ("查找对话", "Find a chat"),
    "conversations.none": ("没有符合的对话", "No chat matches"),
    "conversations.all": ("显示全部 {count} 段", "Show all {count}"),
    "untitled": ("新对话", "New chat"),
    "language": ("语言", "Language"),
    "theme": ("外观", "Appearance"),
    "system": ("跟随系统", "Follow the system"),
    "light": ("浅色", "Light"),
    "dark": ("深色", "Dark"),
    # status
    "status": ("运行状态", "Status"),
    "status.ready": ("就绪", "Ready"),
    "status.starting": ("正在启动", "Starting"),
    "status.down": ("模型不可用", "The model is not available"),
    "status.checking": ("正在核对模型文件", "Checking the model's files"),
    "status.loading": ("正在加载模型", "Loading the model"),
    "status.busy": ("正在生成", "Generating"),
    "status.queued": ("{running} 个在答 · {queued} 个在等", "{running} running · {queued} waiting"),
    "status.reading_ahead": ("正在预读图片：{count}", "Reading ahead: {count}"),
    "status.processor": ("处理器", "Processor"),
    "status.memory": ("内存", "Memory"),
    "status.gpu_memory": ("显存", "GPU memory"),
    "status.heat": ("温度", "Temperature"),
    "status.load": ("利用率", "Utilisation"),
    "status.first": ("首字延迟", "First token"),
    "status.total": ("总耗时", "Total"),
    "status.speed": ("速度", "Speed"),
    # composer
    "composer": ("提问", "Ask"),
    "question": ("问题", "Question"),
    "placeholder": ("输入问题，可拖入或粘贴图片", "Ask about the pictures; drop or paste more"),
    "add": ("添加图片", "Add pictures"),
    "pictures": ("待发送的图片", "Pictures to send"),
    "send": ("发送", "Send"),
    "send_empty": ("先输入问题", "Type a question first"),
    "stop": ("停止生成", "Stop"),
    "remove": ("移除", "Remove"),
    "after_upload": (
        "图片正在上传，完成后自动发送。",
        "A picture is still on its way; the question is sent when it has arrived.",
    ),
    "uploading": ("正在上传", "Uploading"),
    "unnamed": ("图片", "Picture"),
    "pasted": ("粘贴的图片", "pasted picture"),
    "wrong_type": (
        "{name}：不是 JPG、PNG、BMP 或 WebP 图片，没有添加。",
        "{name} is not a JPG, PNG, BMP or WebP picture and was not added.",
    ),
    "too_large": (
        "{name}：超过 {limit} MB，没有添加。请压缩后再试。",
        "{name} is over {limit} MB and was not added. Make it smaller and try again.",
    ),
    "too_many": (
        "一段对话最多 {most} 张图片，有 {count} 张没有添加：{names}。可以移除几张，或新建对话。",
        "A chat takes at most {most} pictures; {count} were not added: {names}. Remove some, or begin a new chat.",
    ),
    "no_answer": (
        "{name}：服务没有响应，图片没有上传。请稍后重试。",
        "{name} was not uploaded: the service does not answer. Try again shortly.",
    ),
    "not_taken": (
        "问题还没有送达，内容仍在输入框里。请检查连接后再发送。",
        "The question has not arrived; it is still in the box. Check the connection and send again.",
    ),
    "request": ("请求编号", "Request"),
    "dismiss": ("知道了", "Dismiss"),
    "editing": (
        "正在修改之前的问题。发送后，它和后面的内容会被替换。",
        "You are editing an earlier question. Sending replaces it and everything after it.",
    ),
    "budget": (
        "历史 {history} · 图片 {images} · 输入 {typed} · 预留回答 {reply} · {pictures}/{most} 张图片",
        "History {history} · Pictures {images} · Typed {typed} · Reply {reply} · {pictures}/{most} pictures",
    ),
    "near": ("接近上限", "Near the limit"),
    "over": ("超出上限，请减少图片或缩短问题", "Over the limit: remove a picture or shorten the question"),
    "shrunk": (
        "图片已由 {from} 缩小到 {to}，过小的文字可能读不准。",
        "The picture was reduced from {from} to {to}; very small text may be misread.",
    ),
    "shrunk_short": ("已缩小", "Reduced"),
    "reduced": (
        "图片较多，有 {count} 张缩小到不超过 {size}，以放进模型的篇幅，过小的文字可能读不准。",
        "Many pictures: {count} of them were reduced to at most {size} to fit together; small text may be misread.",
    ),
    # evidence and viewer
    "evidence": ("依据", "Evidence"),
    "confidence": ("置信度", "Confidence"),
    "doubtful": ("置信度较低，请对照原图", "Low confidence: check it against the picture"),
    "picture": ("图 {number}", "Picture {number}"),
    "boxes": ("显示或隐藏标注框", "Show or hide boxes"),
    "enlarge": ("查看原图", "Original size"),
    "viewer": ("查看原图", "Original size"),
    "stage": (
        "图片：+ − 缩放，0 适合窗口，1 原始大小，B 标注框，方向键移动",
        "Picture: + − zoom, 0 fit, 1 actual size, B boxes, arrow keys move",
    ),
    "larger": ("放大", "Zoom in"),
    "smaller": ("缩小", "Zoom out"),
    "fit": ("适合窗口", "Fit the window"),
    "actual": ("原始大小", "Actual size"),
    "previous": ("上一张", "Previous picture"),
    "next": ("下一张", "Next picture"),
    "close": ("关闭", "Close"),
    # answers
    "actions": ("回答操作", "Answer actions"),
    "copy": ("复制", "Copy"),
    "copied": ("已复制", "Copied"),
    "regenerate": ("重新生成", "Regenerate"),
    "edit": ("修改问题", "Edit question"),
    "retry": ("重试", "Try again"),
    "queued.next": ("正在排队，下一个就是您", "Waiting in the queue, yours is next"),
    "queued.ahead": ("正在排队，前面还有 {ahead} 个问题", "Waiting in the queue, {ahead} before yours"),
    "queued.seconds": ("大约还要 {seconds} 秒", "about {seconds} s to go"),
    "reading": ("正在读取图片…", "Reading the pictures…"),
    "done": ("回答完成", "Answer complete"),
    "failed": ("回答失败", "The answer failed"),
    "stopped": ("已停止，上面是停止前的内容。", "Stopped. What was written before stays above."),
    "stopped.empty": ("已停止，还没有内容。", "Stopped before anything was written."),
    "cut": (
        "达到最大长度，回答不完整。可调大“最大长度”后重新生成。",
        "The answer reached the maximum length and is incomplete. Raise “Max tokens” and regenerate.",
    ),
    "foot.tokens": ("输入 {read} · 输出 {written} tokens", "{read} in · {written} out tokens"),
    "foot.first": ("首字 {seconds} 秒", "First token {seconds} s"),
    "foot.total": ("共 {seconds} 秒", "{seconds} s in all"),
    "lost": (
        "连接中断，正在重新连接。输入的内容会保留。",
        "The connection is lost and is being made again. What you typed is kept.",
    ),
    "gone": (
        "这段对话已不在内存中（服务重启过，或已被清空）。",
        "This chat is no longer in memory: the service was restarted, or the chat was cleared.",
    ),
    "failed.page": (
        "页面出错了。请重新加载；若再次出现，请告诉管理员发生的时间：{time}。",
        "The page failed. Load it again; if it fails again, tell your administrator the time: {time}.",
    ),
    # export
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


def text(key: str, language: Language, **values: object) -> str:
    """A sentence in a language, with its places filled.

    Raises:
        KeyError: There is no such sentence, or a place has no value.
    """
    sentence = STRINGS[key][0 if language == "zh" else 1]
    return sentence.format(**values) if values else sentence
