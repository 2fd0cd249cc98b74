"""How engine and machine are told to be, in the sidebar and on the page "Engine & GPU"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
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
    "confidential": ("机密计算", "Confidential computing"),
    "confidential.on": (
        "驱动报告已开启（生产模式），受保护显存 {size}。本服务未做远程证明。",
        "The driver says that it is on (production mode), with {size} of protected memory. No attestation was made.",
    ),
    "confidential.test": (
        "驱动报告为调试或模拟模式：没有保护作用。",
        "The driver says that it is on for development or simulation only: nothing is protected.",
    ),
    "confidential.off": (
        "驱动报告未开启：显存对主机不加保护。",
        "The driver says that it is off: the card's memory is not protected from the host.",
    ),
    "confidential.unavailable": (
        "这块显卡或驱动不提供此功能。",
        "Not available on this card or with this driver.",
    ),
    "status.first": ("首字延迟", "First token"),
    "status.total": ("总耗时", "Total"),
    "status.speed": ("速度", "Speed"),
}
