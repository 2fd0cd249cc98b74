"""The words of the page "Inspection"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "inspections.nav": ("检测", "Inspection"),
    "inspections.about": (
        "对照标准图找出缺陷，结果交给产线系统。",
        "Finds defects against a golden picture; results go to the line's systems.",
    ),
}
