"""The words of the box in which a question is written, and of pictures on their way into it."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    # pictures from the empty page
    "drop": ("拖放图片到这里", "Drop pictures here"),
    "formats": (
        "也可以点击选择或直接粘贴。JPG、PNG、BMP、WebP，单张 {megabytes} MB 内，最多 {most} 张。",
        "Or click to choose, or paste. JPG, PNG, BMP, WebP; {megabytes} MB each, {most} at most.",
    ),
    # the box
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
}
