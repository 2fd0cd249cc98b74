"""What manuals say about a picture: passages that an engine is given with it, or that belong to what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vlpro.chat.material import Citation, Material, cited
from vlpro.chat.service import Finds, Question
from vlpro.engines.interface import Language, Message
from vlpro.identity.principal import Person
from vlpro.knowledge.references import References
from vlpro.masking import Masking
from vlpro.workflows.inspection.alerts import KINDS
from vlpro.workflows.inspection.method import Asked
from vlpro.workflows.inspection.result import Inspection
from vlpro.workflows.inspection.sight import Subject

__all__ = ["Explaining", "words_of"]

_WORDS: dict[Subject, dict[Language, str]] = {
    "board": {"zh": "缺陷的判定标准、原因和处理方法", "en": "defect: criteria, causes and what to do"},
    "heat": {
        "zh": "过热、温度过高的原因和处理方法",
        "en": "overheating, temperature too high: causes and what to do",
    },
}


def words_of(asked: Asked, subject: Subject, kinds: Sequence[str] = ()) -> str:
    """What to look for in the documents: the instruction; without one the product, its defects and their causes.

    Args:
        asked: The inspection.
        subject: What is looked for in the picture.
        kinds: Of the defects that were found; none: not known yet.
    """
    if asked.instruction:
        return " ".join(filter(None, (asked.product, asked.instruction)))
    told = dict.fromkeys(KINDS.get(kind, kind) if asked.language == "zh" else kind for kind in kinds)
    return " ".join(filter(None, (asked.product, *told, _WORDS[subject][asked.language])))


class Explaining:
    """The passages of one inspection.

    Args:
        references: Finds them.
        person: Who asks.
        asked: The inspection.
        masking: Of personal data; None: nothing is masked.
    """

    def __init__(
        self, references: References, person: Person, asked: Asked, masking: Callable[[], Masking | None]
    ) -> None:
        self._references = references
        self.person = person
        self._asked = asked
        self._masking = masking
        self._material = Material()

    def finds(self, subject: Subject) -> Finds | None:
        """What finds passages for an engine that sees; None: no base was named."""
        asked = self._asked
        if not asked.bases:
            return None
        inner = self._references.finds(self.person, asked.bases, words_of(asked, subject), asked.language)

        async def find(question: Question, messages: Sequence[Message], room: int) -> Material:
            self._material = await inner(question, messages, room)
            return self._material

        return find

    def cited(self, result: Inspection) -> Inspection:
        """With those of the engine's passages that it cites, in what it says or of a defect."""
        if not self._asked.bases:
            return result
        told = "\n".join((result.message, *(one.note for one in result.defects)))
        return self._with(result, cited(told, self._material.sources))

    async def beside(self, subject: Subject, result: Inspection) -> Inspection:
        """With the passages about what was found without an engine; none where nothing was, and nothing is asked.

        Raises:
            VlproError: As :meth:`~vlpro.knowledge.finder.Finder.find`.
        """
        asked = self._asked
        if not asked.bases:
            return result
        if not (result.defects or asked.instruction):
            return self._with(result, ())
        words = words_of(asked, subject, [one.kind for one in result.defects])
        self._material = await self._references.beside(self.person, asked.bases, words)
        return self._with(result, self._material.sources)

    def record(self, result: Inspection) -> dict[str, object]:
        """What the record of the inspection says: pages by ids, as that of a question does."""
        if result.citations is None:
            return {}
        return {"cited": [dict(self._material.names[one.number]) for one in result.citations]}

    def _with(self, result: Inspection, sources: Sequence[Citation]) -> Inspection:
        masking = self._masking()
        if masking is not None:
            sources = [replace(one, text=masking.text(one.text)) for one in sources]
        return replace(result, citations=tuple(sources))
