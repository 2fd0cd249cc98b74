"""The words of the page "Report"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "report.nav": ("报告", "Report"),
    "report.about": (
        "多张图片和说明写成一份检查报告。",
        "Several pictures and a note become one inspection report.",
    ),
}
