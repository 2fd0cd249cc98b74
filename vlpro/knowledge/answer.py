"""Passages into a question, and an answer out of them: what an engine is given, and what one that cannot write says.

Documents are foreign: they come to the engine as quoted lines, behind rules that say so, and open no permission. The
rules are the same for every question, pages come in the order of their documents, and their pictures are the same
bytes each time: what the engine has read of them once, it finds again.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from vlpro.chat.material import Material, ShownPage
from vlpro.chat.service import ChatService, Finds, Question
from vlpro.engines.interface import Language, Message
from vlpro.errors import EngineError, UnsupportedError
from vlpro.identity.principal import Person
from vlpro.imaging.picture import Picture
from vlpro.knowledge.codes import codes_in
from vlpro.knowledge.finder import Finder
from vlpro.knowledge.quoting import (
    RULES,
    beginning,
    citation,
    ending,
    nothing,
    on_one_line,
    one_a_page,
    page_head,
    passage,
    record,
)
from vlpro.knowledge.search import Found, Hit
from vlpro.workflows.reading import PageReader

__all__ = ["PAGES", "PASSAGES", "RULES", "KnowledgeAnswers", "follows_up", "words_on"]

log = logging.getLogger(__name__)

PASSAGES = 5
"""Passages that a question is given as text, at most."""
PAGES = 2
"""Pages that it is given as pictures, at most: what they say beyond the passages, and how they look."""
_READ_CHARS = 200  # of a picture's text, where it is all that is asked

_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
# Words that point at what was said before, and beginnings that go on from it.
_POINTS = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|same|one|he|she)\b|"
    r"它|他们|这个|那个|这些|那些|这种|那种|(?<![因彼])此|(?<!应)该|(?<!尤)其(?![他它余中])|上述|上面|刚才|前面|同样",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\s*(?:and|but|so|then|also|what about|how about)\b|\s*(?:那么|那|还有|然后|另外|接着|再)", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_]+")
_FEW_WORDS, _FEW_CHARACTERS = 3, 6


def follows_up(question: str) -> bool:
    """Whether a question says too little by itself to be searched by: it points back, goes on, or is very short.

    One that names a code, such as E11, says enough.
    """
    if codes_in(question):
        return False
    if _CHINESE.search(question):
        short = len(re.sub(r"\W", "", question)) <= _FEW_CHARACTERS
    else:
        short = len(_WORD.findall(question)) <= _FEW_WORDS
    return short or bool(_POINTS.search(question) or _GOES_ON.match(question))


class KnowledgeAnswers:
    """Finds what questions are to be answered from.

    Args:
        finder: Finds it.
        chat: Whose engine answers.
        reader: Reads the codes in the person's own pictures.
    """

    def __init__(self, finder: Finder, chat: ChatService, reader: PageReader) -> None:
        self._finder = finder
        self._chat = chat
        self._reader = reader

    def finds(self, person: Person, bases: Sequence[str]) -> Finds:
        """What finds the material of one question: of ``person``, in ``bases``.

        It raises what :meth:`Finder.find` raises, BusyError where too many pictures wait to be read, and
        UnsupportedError where an engine that does not write is asked for JSON.
        """

        async def find(question: Question, messages: Sequence[Message], room: int) -> Material:
            return await self._find(person, bases, question, messages, room)

        return find

    async def _find(
        self, person: Person, bases: Sequence[str], question: Question, messages: Sequence[Message], room: int
    ) -> Material:
        engine = self._chat.engine
        writes = engine.capabilities.sees  # the embedded engine reads, and answers by rules
        if question.response_format is not None and not writes:
            raise UnsupportedError(
                f"The engine {engine.name} answers from documents with the passage itself, not in JSON. Leave "
                "response_format out.",
                zh=f"{engine.name} 引擎直接以原文段落回答文档问题，不能输出 JSON，请去掉 response_format。",
                param="response_format",
            )
        asked = [message for message in messages if message.role == "user"]
        found = await self._search(person, bases, asked)
        language = _language(question, asked)
        named: dict[str, Any] = {"bases": list(bases), "answers": found.answers}
        if not writes:
            return _quoted(found, language, named)
        return await self._given(person, found, language, named=named, room=room)

    async def _search(self, person: Person, bases: Sequence[str], asked: Sequence[Message]) -> Found:
        now = asked[-1] if asked else Message("user", ())
        read = await words_on(self._reader, person, now.pictures)
        codes = frozenset(codes_in(read))
        words = now.text.strip() or read[:_READ_CHARS]
        before = asked[-2].text.strip() if len(asked) > 1 else ""
        # What says enough by itself is searched by itself: otherwise the answer before would be given again.
        query = f"{before}\n{words}" if before and follows_up(words) and not codes else words
        return await self._finder.find(person, bases, query, limit=PASSAGES, picture_codes=codes)

    async def _given(
        self, person: Person, found: Found, language: Language, *, named: dict[str, Any], room: int
    ) -> Material:
        """Passages and pages for an engine, as many as there is room for: passages first, the best one always."""
        engine = self._chat.engine
        hits: list[Hit] = []
        room -= engine.count_tokens(RULES[language]) + engine.count_tokens(beginning(language)) + 8
        for hit in found.hits[:PASSAGES]:
            room -= engine.count_tokens(passage(len(hits) + 1, hit, language))
            if room < 0 and hits:
                break
            hits.append(hit)
        sources = tuple(citation(number, hit) for number, hit in enumerate(hits, 1))
        numbers: dict[tuple[str, str, int], list[int]] = defaultdict(list)
        for source in sources:
            numbers[source.base, source.document, source.page].append(source.number)
        shown: list[tuple[tuple[str, str, int], Picture]] = []
        for key, on_it in list(numbers.items())[:PAGES]:
            picture = await self._finder.page_picture(person, hits[on_it[0] - 1])
            room -= engine.capabilities.tokens_of(picture.width, picture.height) + 40
            if room < 0:
                break
            shown.append((key, picture))
        shown.sort(key=lambda one: one[0])
        parts: list[str | Picture] = [beginning(language)]
        for (_, document, page), picture in shown:
            parts += [page_head(document, page, language), picture]
        parts.append(
            "\n".join(passage(n, hit, language) for n, hit in enumerate(hits, 1)) or nothing(language)
        )
        parts.append(ending(language))
        return Material(
            rules=RULES[language],
            parts=tuple(parts),
            sources=sources,
            pages=tuple(
                ShownPage(picture.original_width, picture.original_height, tuple(numbers[key]))
                for key, picture in shown
            ),
            named=named | {"pages": [record(hit) for hit in one_a_page(hits)]},
            names={number: record(hit) for number, hit in enumerate(hits, 1)},
            given=partial(self._finder.given.add, {(hit.base, hit.version) for hit in hits}),
        )


async def words_on(reader: PageReader, person: Person, pictures: Sequence[Picture]) -> str:
    """What stands in a person's own pictures, such as a display that shows E11; "" where it is not read."""
    if not pictures:
        return ""
    try:
        read = await reader.read(list(pictures), owner=person.id)
    except EngineError as error:
        log.warning("a question's pictures were not read: %s", error.message)
        return ""
    return "\n".join(line.text for page in read.pictures for line in page.lines)


def _quoted(found: Found, language: Language, named: dict[str, Any]) -> Material:
    """The answer of an engine that does not write: the passage itself with its page, or that there is none."""
    if not (found.answers and found.hits):
        said = {"zh": "在这些文档中没有找到。", "en": "This was not found in these documents."}[language]
        return Material(answer=said, named=named | {"pages": []})
    best = found.hits[0]
    where = {
        "zh": f"《{on_one_line(best.document)}》第 {best.page} 页",
        "en": f"{on_one_line(best.document)}, page {best.page}",
    }
    return Material(
        sources=(citation(1, best),),
        answer=f"{best.text.strip()} [1]\n\n[1] {where[language]}",
        named=named | {"pages": [record(best)]},
        names={1: record(best)},
    )


def _language(question: Question, asked: Sequence[Message]) -> Language:
    if question.language is not None:
        return question.language
    text = next((message.text for message in reversed(asked) if message.text.strip()), "")
    return "zh" if _CHINESE.search(text) else "en"
