"""The words of the page "Chat": the empty page, its settings, answers."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
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
    "starters": ("可以这样问", "Questions to begin with"),
    "starter.total": ("合计金额是多少？", "What is the total amount?"),
    "starter.fields": ("读出日期、商户和单号。", "Read the date, the merchant and the number."),
    "starter.all": ("读出图中全部文字。", "Read all the text in the picture."),
    "starter.describe": ("描述这张图片。", "Describe this picture."),
    # sidebar
    "new": ("新对话", "New chat"),
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
    # answers
    "actions": ("回答操作", "Answer actions"),
    "regenerate": ("重新生成", "Regenerate"),
    "edit": ("修改问题", "Edit question"),
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
    # where there are accounts
    "chat.level": ("这段对话的密级", "Level of this chat"),
    "chat.level.help": (
        "对话中图片和文字的最高密级，开始后不能更改。本人可读的密级低于它时，将无法再查看这段对话。",
        (
            "The highest level of what this chat will hold; it stays as it is once the chat has begun. Who may read "
            "less than it cannot open the chat."
        ),
    ),
}
