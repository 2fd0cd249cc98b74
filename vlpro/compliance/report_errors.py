"""What is wrong with a compliance report that is verified."""

from __future__ import annotations

__all__ = ["ReportVerificationError"]


class ReportVerificationError(Exception):
    """A report is not what was signed.

    Args:
        file: The first file at which it shows, as a path in the report's folder.
        reason: What is wrong with it: the rest of a sentence that begins with its name.
        zh: The same in Chinese.
        expected: What should be there.
        found: What is there.
        meaning: What it can mean, and what to do.
        meaning_zh: The same in Chinese.

    Attributes:
        report: Id of the report, where it is one of several.
        created: Unix time of its folder, likewise.
    """

    def __init__(
        self,
        file: str,
        reason: str,
        *,
        zh: str,
        expected: str = "",
        found: str = "",
        meaning: str = "",
        meaning_zh: str = "",
    ) -> None:
        super().__init__(f"{file} {reason}")
        self.file = file
        self.report = ""
        self.created = 0.0
        self.zh = f"{file} {zh}"
        self.expected = expected
        self.found = found
        self.meaning = meaning
        self.meaning_zh = meaning_zh or meaning

    def diagnostics(self, *, chinese: bool = False) -> str:
        """Several lines for a person: the sentence, what was expected and found, what it can mean."""
        names = ("应为", "实为", "含义") if chinese else ("Expected", "Found", "Meaning")
        values = (self.expected, self.found, self.meaning_zh if chinese else self.meaning)
        lines = [f"{name}: {value}" for name, value in zip(names, values, strict=True) if value]
        return "\n".join([self.zh if chinese else f"{self}.", *lines])
