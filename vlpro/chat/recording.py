"""What the audit is told of a question: that it was asked, before an engine sees it, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vlpro.audit.canonical import encode
from vlpro.audit.events import Event, Outcome
from vlpro.audit.recorder import Recorder
from vlpro.chat.material import Material, citations
from vlpro.engines.interface import Engine, FinishReason, Message, Request, Usage
from vlpro.errors import VlproError

if TYPE_CHECKING:
    from vlpro.chat.service import Question, Timing

__all__ = ["Recorded"]


class Recorded:
    """One question on the record. Created when it was asked; a later call tells how it ended, exactly once.

    Args:
        recorder: Of the audit.
        object: What the records are about: the conversation, or empty.
        asked: Number of the record of the question.
        material: What it is to be answered from.
        pictures: How many of the person's own came before the material's.
    """

    def __init__(
        self,
        recorder: Recorder,
        object: str,  # noqa: A002 - the record's word
        asked: int,
        material: Material,
        pictures: int,
    ) -> None:
        self._recorder = recorder
        self._object = object
        self._asked = asked
        self._open = True
        self._material = material
        self._pictures = pictures

    @classmethod
    async def ask(
        cls,
        recorder: Recorder,
        question: Question,
        request: Request,
        engine: Engine,
        model_digest: str,
        *,
        material: Material | None = None,
    ) -> Recorded:
        """Record that a question is asked; returns when that is durable.

        Raises:
            AuditError: It cannot be recorded: nobody may answer it.
        """
        # As the person wrote it: the request to the engine may have words for the language before it.
        asked_in = next((turn for turn in reversed(question.turns) if turn.role == "user"), None)
        text = "\n".join(p for p in asked_in.parts if isinstance(p, str)) if asked_in is not None else ""
        material = material or Material()
        images = images_of(request.messages)
        images = images[: len(images) - len(material.pages)]  # pages are named as pages
        prompt = encode([[m.role, m.text] for m in request.messages]).decode()
        said, contents = recorder.commit_to(text)
        whole, _ = recorder.commit_to(prompt)
        detail: dict[str, Any] = {
            "question": said,
            "prompt": {"chars": whole["chars"], "commitment": whole["commitment"]},
            "turns": len(request.messages),
            "images": images,
            "parameters": _parameters(question),
            "engine": engine.name,
            "model": engine.capabilities.model,
        }
        if model_digest:
            detail["model_digest"] = model_digest
        if material.named:
            detail["knowledge"] = dict(material.named)
        asked = await recorder.anote(
            Event.ASKED, object=question.conversation, detail=detail, contents=contents
        )
        return cls(recorder, question.conversation, asked, material, len(images))

    async def answered(
        self, texts: Sequence[str], reasons: Sequence[FinishReason], usage: Usage, timing: Timing
    ) -> None:
        """Record the whole answer; returns when that is durable.

        Raises:
            AuditError: It cannot be recorded: the answer must not be complete.
        """
        self._open = False
        detail, contents = self._answer(texts, usage)
        detail |= {"finish_reasons": list(reasons), "timing": asdict(timing)}
        await self._recorder.anote(Event.ANSWERED, object=self._object, detail=detail, contents=contents)

    def ended(self, texts: Sequence[str], usage: Usage, error: BaseException | None) -> None:
        """Record an answer that did not come to its end; does nothing where it did. Does not wait."""
        if not self._open:
            return
        self._open = False
        detail, contents = self._answer(texts, usage)
        failed = isinstance(error, VlproError)
        detail["why"] = error.code if isinstance(error, VlproError) else "stopped"
        self._recorder.later(
            Event.ANSWERED,
            object=self._object,
            outcome=Outcome.FAILED if failed else Outcome.REFUSED,
            detail=detail,
            contents=contents,
        )

    def _answer(self, texts: Sequence[str], usage: Usage) -> tuple[dict[str, Any], dict[str, bytes]]:
        answers: list[dict[str, Any]] = []
        contents: dict[str, bytes] = {}
        for text in texts:
            said, kept = self._recorder.commit_to(text)
            answers.append(said)
            contents |= kept
        tokens = {"read": usage.prompt_tokens, "written": usage.completion_tokens}
        detail: dict[str, Any] = {"asked": self._asked, "answers": answers, "tokens": tokens}
        if self._material.named:
            cites = {one.number for text in texts for one in citations(text, self._material, self._pictures)}
            detail["cited"] = [dict(self._material.names[number]) for number in sorted(cites)]
        return detail, contents


def images_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The original pictures, as the record names them."""
    return [
        {
            "sha256": picture.sha256,
            "bytes": picture.size,
            "format": picture.format,
            "width": picture.original_width,
            "height": picture.original_height,
        }
        | ({"sm3": picture.sm3} if picture.sm3 else {})
        for message in messages
        for picture in message.pictures
    ]


def _parameters(question: Question) -> dict[str, Any]:
    given = asdict(question.sampling) | {
        "max_tokens": question.max_tokens,
        "choices": question.choices,
        "language": question.language,
        "stop": list(question.stop),
        "json": question.response_format is not None or None,
    }
    if question.sampling.seed is not None:
        given["seed"] = str(question.sampling.seed)  # may be larger than JSON's integers
    usual: dict[str, Any] = {"choices": 1, "stop": []}
    return {name: value for name, value in given.items() if value is not None and usual.get(name) != value}
