"""The words of the page "Engine & GPU"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "engine.about": ("推理引擎、排队情况和机器资源。", "The engine, its queue, and the machine."),
    "engine.every": ("每 {seconds} 秒自动更新。", "Renewed every {seconds} seconds."),
    "engine.engine": ("推理引擎", "Engine"),
    "engine.name": ("引擎", "Engine"),
    "engine.model": ("模型", "Model"),
    "engine.can": ("能力", "Can"),
    "engine.sees": ("看图与识字", "See and read"),
    "engine.reads": ("识别文字", "Read text"),
    "engine.queue": ("排队", "Queue"),
    "engine.running": ("正在回答", "Answering"),
    "engine.waiting": ("等待中", "Waiting"),
    "engine.ahead": ("预读图片", "Reading ahead"),
    "engine.machine": ("机器", "Machine"),
    "engine.last": ("最近一次回答", "Last answer"),
    "engine.no_last": ("启动后还没有回答。", "No answer since the start."),
    "engine.limits": ("上限", "Limits"),
    "engine.context": ("上下文", "Context"),
    "engine.pictures": ("每段对话图片", "Pictures a chat"),
    "engine.picture": ("单张图片", "A picture"),
}
