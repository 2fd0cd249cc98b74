"""What an engine is: the values that pass through it, one abstract method, and what it can do."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from vlpro.errors import EngineError, EngineTimeoutError, UnsupportedError, VlproError
from vlpro.imaging.picture import Picture
from vlpro.imaging.tokens import MIN_PIXELS, picture_tokens

__all__ = [
    "ANSWER_IN",
    "Capabilities",
    "Delta",
    "Engine",
    "FinishReason",
    "Forgotten",
    "Language",
    "Loading",
    "Message",
    "Request",
    "ResponseFormat",
    "Role",
    "Sampling",
    "Usage",
]

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length"]
Language = Literal["zh", "en"]

ANSWER_IN: Mapping[Language, str] = {"zh": "请用中文回答：", "en": "Answer in English: "}
"""What stands before the question, for an engine that sees, where a language is asked for."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: text and pictures in the order in which they were given."""

    role: Role
    parts: tuple[str | Picture, ...]

    @property
    def text(self) -> str:
        """The text parts, one a line."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures of this turn, in order."""
        return tuple(part for part in self.parts if isinstance(part, Picture))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose tokens.

    Args:
        max_tokens: The most tokens that the answer may have.
        temperature: 0 (always the likeliest) to 2. None, here and below: the engine's own default, which is the
            model's; temperature 0 where the answer has a form to keep to.
        top_p: Share of probability that is sampled from, over 0 to 1.
        top_k: Sample from this many likeliest tokens, 1 or more.
        seed: Same seed, same request, same answer.
        frequency_penalty: -2 to 2, for each time that a token was used.
        presence_penalty: -2 to 2, once for a token that was used.
    """

    max_tokens: int = 512
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The answer must be one JSON object; of this JSON Schema where one is given."""

    schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question with all that came before it.

    Args:
        messages: The conversation, oldest first; the last one is the user's question.
        sampling: How to choose tokens.
        response_format: None for free text.
        language: The language to answer in, for an engine that answers by rules; None: the question's own. For one
            that sees, the messages say it (:data:`ANSWER_IN`).
        owner: Whose question it is: what an engine keeps of it is found again by questions of this owner only.
        conversation: The conversation that it belongs to, by which all that is kept of it can be dropped; empty
            where the caller keeps the conversation itself.
        ahead: No question yet, but pictures that one will begin with: they are only read, when nobody waits for
            anything else, so that the question finds them known. Nothing is written.
        reading: No answer is wanted but all that the pictures say, with places, as one JSON object
            (:mod:`vlpro.engines.reading`); the question and ``sampling`` do nothing, and a schema in
            ``response_format`` is filled beside it. Of an engine whose capabilities have ``reads`` only.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    response_format: ResponseFormat | None = None
    language: Language | None = None
    owner: str = ""
    conversation: str = ""
    ahead: bool = False
    reading: bool = False

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All pictures of the conversation, oldest first."""
        return tuple(picture for message in self.messages for picture in message.pictures)

    @property
    def question(self) -> str:
        """The text of the last message of the user."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written, in the engine's own count.

    Args:
        prompt_tokens: Of the whole conversation.
        completion_tokens: Of the answer.
        cached_tokens: Those of the prompt that were known from before and not computed again.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Loading:
    """How far an engine is on its way to be ready.

    Args:
        stage: ``checking`` its files or ``loading`` them.
        share: Of this stage, 0 to 1.
    """

    stage: Literal["checking", "loading"]
    share: float


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What an engine dropped when it was told to forget.

    Args:
        entries: Things that were kept: read pages, features of pictures, prefixes of conversations.
        tokens: Of the prefixes.
        bytes: Memory that all of it held, on the card where it is one.
        confirmed: Whether it is done; False: the engine is busy, and does so before it takes the next question.
    """

    entries: int = 0
    tokens: int = 0
    bytes: int = 0
    confirmed: bool = True

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(
            self.entries + other.entries,
            self.tokens + other.tokens,
            self.bytes + other.bytes,
            self.confirmed and other.confirmed,
        )


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer; the last one carries why it ended and what it took.

    Args:
        text: Text to append; may be empty.
        finish_reason: Set on the last piece only.
        usage: Set on the last piece only.
    """

    text: str = ""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; the gateway refuses by name what it cannot.

    Args:
        model: The model's id in the API.
        sees: Whether it understands scenes; False: it reads text and codes only.
        context_tokens: Prompt and answer together.
        picture_pixels: The most pixels a picture is given to it with; larger ones are shrunk.
        picture_min_pixels: The fewest; smaller pictures are enlarged, by the engine itself.
        picture_tokens_budget: The most tokens of all pictures of a request together; where they have more, or leave
            no room in the context, they are made smaller. 0: pictures are never made smaller for the others' sake,
            and the context alone decides.
        picture_readable_pixels: The least that a picture is then brought down to.
        concurrency: How many questions it answers at once; more wait in the gateway's queue.
        reads_ahead: Whether a request may be ``ahead``.
        reads: Whether a request may be for a ``reading``.
        honours: Optional request fields, by their API name, that it acts on.
        default_max_tokens: How long an answer may be where the request does not say.
    """

    model: str
    sees: bool
    context_tokens: int
    picture_pixels: int
    picture_min_pixels: int = MIN_PIXELS
    picture_tokens_budget: int = 0
    picture_readable_pixels: int = 262_144
    concurrency: int = 1
    reads_ahead: bool = False
    reads: bool = False
    honours: frozenset[str] = frozenset()
    default_max_tokens: int = 4096

    def tokens_of(self, width: int, height: int) -> int:
        """What a picture of so many pixels costs in the prompt."""
        return picture_tokens(width, height, self.picture_pixels, min_pixels=self.picture_min_pixels)


class Engine(ABC):
    """Answers questions about pictures.

    An implementation writes :meth:`_generate`; the base guards it: whatever goes wrong inside leaves as an
    :class:`EngineError`, and no answer outlasts the time limit.
    """

    name: str
    capabilities: Capabilities

    @property
    def ready(self) -> bool:
        """Whether a question would be answered at once."""
        return True

    @property
    def problem(self) -> VlproError | None:
        """Why it is not ready, where that is known."""
        return None

    @property
    def pid(self) -> int | None:
        """The engine's own process, where it has one."""
        return None

    @property
    def loading(self) -> Loading | None:
        """How far it is, while it is not ready and that is known."""
        return None

    async def start(self, tell: Callable[[Loading], None] = lambda _: None) -> None:  # noqa: B027 - most engines have nothing to start
        """Load and warm up.

        Args:
            tell: Called, from any thread, with how far it is.

        Raises:
            EngineUnavailableError: It cannot be loaded.
        """

    async def stop(self) -> None:  # noqa: B027 - likewise
        """End, and give all memory back."""

    async def forget(
        self,
        pictures: frozenset[str],  # noqa: ARG002 - most engines keep nothing
        conversations: frozenset[str] = frozenset(),  # noqa: ARG002 - likewise
    ) -> Forgotten | None:
        """Drop what is kept of pictures with these ``pixels_sha256``, and of these conversations.

        Returns:
            How much that was; None: this engine keeps nothing here.
        """
        return None

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """Length of a text in this engine's tokens (an upper estimate where it has no tokenizer here)."""

    def count_prompt(self, request: Request) -> int:
        """Length of a whole request in tokens: text, pictures, and four for the frame of each message."""
        text = sum(self.count_tokens(message.text) + 4 for message in request.messages)
        return text + sum(self.capabilities.tokens_of(p.width, p.height) for p in request.pictures)

    @abstractmethod
    def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Yield the answer; closing the generator must end the work and free its memory."""

    async def generate(self, request: Request, *, timeout_s: float) -> AsyncGenerator[Delta, None]:
        """Answer a question piece by piece.

        Args:
            request: The question.
            timeout_s: Seconds that the whole answer may take.

        Yields:
            Pieces; exactly one, the last, has a ``finish_reason`` and ``usage``.

        Raises:
            EngineError: Anything that went wrong inside; also its two special cases.
            UnsupportedError: A reading is asked for, and this engine gives none.
            VlproError: What the implementation raised on purpose (a field that it cannot honour).
        """
        if request.reading and not self.capabilities.reads:
            raise UnsupportedError(
                f"The engine {self.name} does not give a page's text with its places. Use the engine ocr.",
                zh=f"引擎 {self.name} 不提供带位置的页面文字，请使用 ocr 引擎。",
                param="reading",
            )
        answer = self._generate(request)
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            while True:
                # The limit is put around each step, not around the loop: a yield inside a timeout would
                # cancel whoever reads (PEP 789).
                async with asyncio.timeout_at(deadline):
                    delta = await anext(answer)
                yield delta
                if delta.finish_reason is not None:
                    return
        except StopAsyncIteration:
            raise EngineError(
                "The engine stopped before its answer was complete. Try again.",
                zh="推理引擎在回答完成之前停止了，请重试。",
            ) from None
        except TimeoutError as error:
            raise EngineTimeoutError(
                f"The answer took longer than {timeout_s:g} seconds and was ended. Ask a shorter question, "
                "or raise VLPRO_ANSWER_TIMEOUT_S.",
                zh=f"回答超过 {timeout_s:g} 秒，已终止。请缩短问题，或调大 VLPRO_ANSWER_TIMEOUT_S。",
            ) from error
        except VlproError:
            raise
        except Exception as error:
            log.exception("engine %s failed", self.name)
            raise EngineError(
                "The engine failed while answering. Try again; if it happens again, give the request number "
                "to your administrator.",
                zh="推理引擎在回答时出错。请重试；若再次出现，请把请求编号交给管理员。",
            ) from error
        finally:
            await answer.aclose()
