"""The words of the page "Batches"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "batches.nav": ("批量", "Batches"),
    "batches.about": ("很多文件一次处理，随时看到进度。", "Many files at once, with the progress in view."),
}
