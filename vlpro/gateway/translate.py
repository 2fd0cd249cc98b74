"""Between the wire's shapes and the services' values. Pure functions."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vlpro import schema
from vlpro.chat.conversations import Conversation, StoredMessage
from vlpro.chat.fitting import Shown
from vlpro.chat.forgetting import Receipt
from vlpro.chat.grounding import Place
from vlpro.chat.history import Page
from vlpro.chat.material import Citation
from vlpro.chat.pictures import KeptPicture, PictureNote
from vlpro.chat.queue import Ticket
from vlpro.chat.search import Found
from vlpro.chat.service import Question, Timing, Turn, Upload
from vlpro.engines.interface import Engine, ResponseFormat, Role, Sampling, Usage
from vlpro.errors import BadRequestError, ImageError
from vlpro.gateway import errors
from vlpro.gateway.deps import Asker
from vlpro.masking import Masking
from vlpro.schema import knowledge as knowledge_schema

__all__ = [
    "chat_question",
    "conversation",
    "conversations",
    "extension",
    "found",
    "image",
    "message",
    "responses_question",
    "usage",
]

_DATA_URL = re.compile(
    r"data:([a-z0-9.+/-]{0,100})((?:;[a-z0-9=.+-]{1,100}){0,4}?)(;base64)?,", re.IGNORECASE
)


def upload(url: str, param: str, max_bytes: int) -> Upload:
    """The bytes of a data URL (RFC 2397).

    Args:
        url: The URL; any other kind is refused, since nothing is ever fetched.
        param: The field it came in.
        max_bytes: Most bytes of the picture: checked before decoding.

    Raises:
        ImageError: It is no data URL of base64, or too large.
    """
    match = _DATA_URL.match(url)
    if match is None or not match[3]:
        raise ImageError(
            "Send the picture itself as data:image/…;base64,…. Other URLs are not fetched: no picture and no "
            "request leaves this network.",
            zh="请直接发送图片内容（data:image/…;base64,…）。本服务不读取任何网址，数据不会离开内网。",
            param=param,
            code="invalid_image_url",
        )
    media = match[1].lower()
    if media and not media.startswith("image/") and media != "application/octet-stream":
        raise ImageError(
            f"This is declared as {media}, which is no picture. Send it as data:image/…;base64,….",
            zh=f"声明的类型 {media} 不是图片，请使用 data:image/…;base64,…。",
            param=param,
        )
    encoded = url[match.end() :]
    if len(encoded) // 4 * 3 > max_bytes + 2:
        raise ImageError(
            f"The picture is larger than {max_bytes / 1e6:g} MB. Make it smaller, and send that in its place.",
            zh=f"图片超过 {max_bytes / 1e6:g} MB，请缩小后重新发送，代替原图。",
            param=param,
            code="image_too_large",
        )
    try:
        return Upload(base64.b64decode(encoded, validate=True), param)
    except (binascii.Error, ValueError):
        raise ImageError(
            "The picture is not valid base64.",
            zh="图片不是有效的 base64 编码。",
            param=param,
            code="invalid_base64",
        ) from None


def chat_question(request: schema.ChatRequest, max_image_bytes: int, asker: Asker) -> Question:
    """A chat completion request as a question.

    Raises:
        BadRequestError: Fields contradict each other, or a picture cannot be used.
    """
    if request.stream_options is not None and not request.stream:
        raise BadRequestError(
            "stream_options is only possible with stream: true.",
            zh="只有在 stream 为 true 时才能使用 stream_options。",
            param="stream_options",
        )
    both = request.max_tokens, request.max_completion_tokens
    if None not in both and both[0] != both[1]:
        raise BadRequestError(
            "max_tokens and max_completion_tokens differ; send one of them.",
            zh="max_tokens 与 max_completion_tokens 不一致，请只发送其中一个。",
            param="max_tokens",
        )
    turns = tuple(
        _turn(message, f"messages[{index}]", max_image_bytes)
        for index, message in enumerate(request.messages)
    )
    wants = {
        "logprobs": bool(request.logprobs),
        "top_logprobs": bool(request.top_logprobs),
        "logit_bias": bool(request.logit_bias),
        **_functions(request.tools, request.tool_choice),
        "frequency_penalty": bool(request.frequency_penalty),
        "presence_penalty": bool(request.presence_penalty),
        "top_k": request.top_k is not None,
    }
    kind = request.response_format
    return Question(
        turns=_asking(turns, "messages"),
        sampling=_sampling(
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            seed=request.seed,
            frequency_penalty=request.frequency_penalty,
            presence_penalty=request.presence_penalty,
        ),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        max_tokens_param="max_completion_tokens" if request.max_completion_tokens else "max_tokens",
        response_format=(
            None
            if kind is None or kind.type == "text"
            else ResponseFormat(kind.json_schema.schema_ if kind.type == "json_schema" else None)
        ),
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        choices=request.n or 1,
        wants=frozenset(name for name, wanted in wants.items() if wanted),
        owner=asker.person.id,
        spent=asker.spent,
    )


def _functions(tools: Sequence[object] | None, choice: str | dict[str, Any] | None) -> dict[str, bool]:
    """Whether functions are to be called; who offers some and chooses none gets what there is: an answer in words."""
    return {"tools": bool(tools) and choice != "none", "tool_choice": choice not in (None, "auto", "none")}


def _turn(message: schema.ChatInput, param: str, max_image_bytes: int) -> Turn:
    roles: dict[str, Role] = {"developer": "system", "tool": "tool", "system": "system", "user": "user"}
    role = roles.get(message.role, "assistant")
    content = message.content
    parts: list[str | Upload] = []
    if message.role == "assistant":  # what it said and called before
        parts += [message.refusal] if message.refusal else []
        parts += [_called(call.function) for call in message.tool_calls or ()]
    if content is None:
        return Turn(role, tuple(parts))
    if isinstance(content, str):
        return Turn(role, (content, *parts))
    for index, part in enumerate(content):
        if part.type == "image_url":
            url = part.image_url.url
            parts.append(upload(url, f"{param}.content[{index}].image_url.url", max_image_bytes))
        else:
            parts.append(part.text if part.type == "text" else part.refusal)
    return Turn(role, tuple(parts))


def responses_question(request: schema.ResponsesRequest, max_image_bytes: int, asker: Asker) -> Question:
    """A Responses request as a question.

    Raises:
        BadRequestError: A picture cannot be used, or stands where none may.
    """
    turns: list[Turn] = []
    if request.instructions:
        turns.append(Turn("system", (request.instructions,)))
    if isinstance(request.input, str):
        turns.append(Turn("user", (request.input,)))
    else:
        for index, message in enumerate(request.input):
            turns.append(_responses_turn(message, f"input[{index}]", max_image_bytes))
    wants = _functions(request.tools, request.tool_choice)
    kind = request.text.format if request.text else None
    return Question(
        turns=_asking(tuple(turns), "input"),
        sampling=_sampling(temperature=request.temperature, top_p=request.top_p),
        max_tokens=request.max_output_tokens,
        max_tokens_param="max_output_tokens",
        response_format=(
            None
            if kind is None or kind.type == "text"
            else ResponseFormat(kind.schema_ if kind.type == "json_schema" else None)
        ),
        schema_param="text.format.schema",
        wants=frozenset(name for name, wanted in wants.items() if wanted),
        owner=asker.person.id,
        spent=asker.spent,
        param="input",
    )


def _responses_turn(message: schema.ResponsesItem, param: str, max_image_bytes: int) -> Turn:
    if message.type == "function_call":
        return Turn("assistant", (_called(message),))
    if message.type == "function_call_output":
        return Turn("tool", (message.output,))
    roles: dict[str, Role] = {"user": "user", "assistant": "assistant"}
    role = roles.get(message.role, "system")
    if isinstance(message.content, str):
        return Turn(role, (message.content,))
    parts: list[str | Upload] = []
    for index, part in enumerate(message.content):
        where = f"{param}.content[{index}]"
        if part.type == "input_image":
            if role != "user":
                raise BadRequestError(
                    "Pictures may stand in messages of the user only.",
                    zh="图片只能放在 user 消息中。",
                    param=where,
                )
            parts.append(upload(part.image_url, f"{where}.image_url", max_image_bytes))
        else:
            parts.append(part.refusal if part.type == "refusal" else part.text)
    return Turn(role, tuple(parts))


def _called(function: schema.ToolFunction | schema.ResponsesCall) -> str:
    """A call of a function as text, for an engine that knows text only."""
    return f"{function.name}({function.arguments})"


def _asking(turns: tuple[Turn, ...], param: str) -> tuple[Turn, ...]:
    """The turns, if somebody asks something in them."""
    if not any(turn.role in ("user", "tool") and turn.parts for turn in turns):
        raise BadRequestError(
            "There is no message of the user: nothing is asked.",
            zh="没有 user 消息，没有提出问题。",
            param=param,
        )
    return turns


def _sampling(
    *,
    temperature: float | None,
    top_p: float | None,
    top_k: int | None = None,
    seed: int | None = None,
    frequency_penalty: float | None = None,
    presence_penalty: float | None = None,
) -> Sampling:
    return Sampling(
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        seed=seed,
        frequency_penalty=frequency_penalty or 0.0,
        presence_penalty=presence_penalty or 0.0,
    )


# --- replies ------------------------------------------------------------------------------------------


def usage(counted: Usage) -> schema.Usage:
    """Tokens of a chat completion."""
    return schema.Usage(
        prompt_tokens=counted.prompt_tokens,
        completion_tokens=counted.completion_tokens,
        total_tokens=counted.prompt_tokens + counted.completion_tokens,
        prompt_tokens_details=schema.PromptDetails(cached_tokens=counted.cached_tokens),
    )


def extension(
    engine: Engine,
    pictures: Sequence[Shown],
    places: Sequence[Place],
    timing: Timing | None,
    citations: Sequence[Citation] = (),
) -> schema.Extension:
    """What this product adds to an answer."""
    return schema.Extension(
        engine=engine.name,
        grounding=[
            schema.Grounding(
                image=place.image,
                box=place.box,
                point=place.point,
                label=place.label,
                text=place.text,
                confidence=place.confidence,
            )
            for place in places
        ],
        citations=[_citation(one) for one in citations],
        pictures=[
            schema.PictureInfo(
                sha256=picture.sha256,
                width=picture.original_width,
                height=picture.original_height,
                used_width=picture.width,
                used_height=picture.height,
                shrunk=(picture.width, picture.height) != (picture.original_width, picture.original_height),
                reduced=picture.reduced,
                tokens=_tokens(engine, picture),
            )
            for picture in pictures
        ],
        reduced=any(picture.reduced for picture in pictures),
        timing=timed(timing) if timing else None,
    )


def _citation(one: Citation) -> knowledge_schema.Citation:
    return knowledge_schema.Citation(
        number=one.number,
        base=one.base,
        document=one.document,
        page=one.page,
        boxes=list(one.boxes),
        text=one.text,
    )


def timed(timing: Timing) -> schema.Timing:
    """Rounded to what was really measured."""
    return schema.Timing(
        queued_ms=round(timing.queued_ms, 2),
        first_token_ms=None if timing.first_token_ms is None else round(timing.first_token_ms, 2),
        total_ms=None if timing.total_ms is None else round(timing.total_ms, 2),
        tokens_per_s=None if timing.tokens_per_s is None else round(timing.tokens_per_s, 1),
    )


def _tokens(engine: Engine, picture: PictureNote | Shown) -> int:
    return engine.capabilities.tokens_of(picture.width, picture.height)


def image(held: KeptPicture | PictureNote, engine: Engine) -> schema.ImageInfo:
    """A picture, or what stays known of one."""
    note = held.note
    return schema.ImageInfo(
        id=note.id,
        created=int(note.created),
        format=note.format,
        bytes=note.size,
        sha256=note.sha256,
        width=note.original_width,
        height=note.original_height,
        used_width=note.width,
        used_height=note.height,
        shrunk=note.shrunk,
        tokens=_tokens(engine, note),
        available=isinstance(held, KeptPicture) or note.stored,
    )


def _waiting(ticket: Ticket | None) -> schema.Waiting | None:
    return schema.Waiting(ahead=ticket.ahead, seconds=ticket.wait_s) if ticket and ticket.waits else None


def message(stored: StoredMessage, engine: Engine) -> schema.Message:
    """One message of a conversation."""
    is_answer = stored.role == "assistant"
    return schema.Message(
        id=stored.id,
        role=stored.role,
        text=stored.text,
        created=int(stored.created),
        images=[image(kept, engine) for kept in stored.pictures],
        status=stored.state,
        waiting=_waiting(stored.ticket) if stored.state == "queued" else None,
        finish_reason=stored.finish_reason,
        error=errors.body(stored.error) if stored.error else None,
        request_id=stored.request_id or None,
        knowledge_base=list(stored.bases) or None,
        usage=usage(stored.usage) if stored.usage else None,
        vlpro=(
            extension(engine, stored.shown, stored.grounding, stored.timing, stored.citations)
            if is_answer
            else None
        ),
    )


def cleared(
    name: str, receipt: Receipt, before: schema.Device, after: schema.Device, took_ms: float
) -> schema.Cleared:
    """The receipt of a conversation that was deleted, with the machine's state before and after."""
    engine = receipt.engine
    return schema.Cleared(
        id=name,
        messages=receipt.messages,
        images=receipt.images,
        image_bytes=receipt.image_bytes,
        engine=None if engine is None else schema.EngineDropped(**asdict(engine)),
        took_ms=took_ms,
        before=before,
        after=after,
    )


def conversation(held: Conversation, engine: Engine, *, tokens: int) -> schema.Conversation:
    """A conversation with its messages."""
    return schema.Conversation(
        id=held.id,
        created=int(held.created),
        updated=int(held.updated),
        title=held.title,
        level=held.level.word,
        busy=held.busy,
        tokens=tokens,
        image_count=len(held.pictures),
        version=held.version,
        stored=held.key is not None,
        messages=[message(stored, engine) for stored in held.messages],
    )


def conversations(page: Page) -> schema.ConversationList:
    """A page of conversations."""
    return schema.ConversationList(
        data=[
            schema.ConversationItem(
                id=head.id,
                created=int(head.created),
                updated=int(head.updated),
                title=head.title,
                level=head.level.word,
                busy=head.running,
                damaged=head.damaged,
            )
            for head in page.heads
        ],
        next=page.next,
        total=page.total,
    )


def found(result: Found) -> schema.SearchResult:
    """What a search found."""
    return schema.SearchResult(
        data=[
            schema.ConversationHit(
                id=hit.id,
                created=int(hit.created),
                updated=int(hit.updated),
                title=hit.title,
                level=hit.level.word,
                excerpt=schema.Excerpt(**asdict(hit.excerpt)) if hit.excerpt is not None else None,
            )
            for hit in result.hits
        ],
        total=result.total,
        damaged=result.damaged,
    )


def masked(told: schema.Conversation, masking: Masking | None) -> schema.Conversation:
    """A conversation as it may be taken out."""
    if masking is None:
        return told
    messages = []
    for message in told.messages:
        extension = message.vlpro
        if extension is not None:
            places = [
                place.model_copy(
                    update={"label": masking.text(place.label), "text": masking.text(place.text)}
                )
                for place in extension.grounding
            ]
            cites = [one.model_copy(update={"text": masking.text(one.text)}) for one in extension.citations]
            extension = extension.model_copy(update={"grounding": places, "citations": cites})
        messages.append(message.model_copy(update={"text": masking.text(message.text), "vlpro": extension}))
    return told.model_copy(update={"title": masking.text(told.title), "messages": messages})
