"""The words around an answer's evidence, and of the window that shows a picture whole."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    # beside an answer
    "evidence": ("依据", "Evidence"),
    "confidence": ("置信度", "Confidence"),
    "doubtful": ("置信度较低，请对照原图", "Low confidence: check it against the picture"),
    "picture": ("图 {number}", "Picture {number}"),
    "boxes": ("显示或隐藏标注框", "Show or hide boxes"),
    "enlarge": ("查看原图", "Original size"),
    # the window
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
}
