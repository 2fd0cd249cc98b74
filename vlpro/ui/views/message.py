"""One question, one answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import streamlit as st

from vlpro.schema import Conversation, ImageInfo, Message, Waiting
from vlpro.ui import export, session
from vlpro.ui.citing import linked, quoted
from vlpro.ui.markdown import Code, pieces
from vlpro.ui.parts import mount, note
from vlpro.ui.session import t
from vlpro.ui.views import passages
from vlpro.ui.views.viewer import viewer_words

__all__ = ["Turn", "answer", "growing", "question", "turns"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with its answer.

    Args:
        question: What was asked.
        answer: None where there is none.
        images_before: Pictures of the turns before.
        pictures: All pictures up to and with this question, as the answer's places count them.
    """

    question: Message
    answer: Message | None
    images_before: int
    pictures: tuple[ImageInfo, ...]


def turns(conversation: Conversation) -> list[Turn]:
    """A conversation's messages as questions with their answers."""
    found: list[Turn] = []
    pictures: tuple[ImageInfo, ...] = ()
    for message, following in zip(conversation.messages, [*conversation.messages[1:], None], strict=True):
        if message.role == "user":
            before = len(pictures)
            pictures += tuple(message.images)
            reply = following if following is not None and following.role == "assistant" else None
            found.append(Turn(message, reply, before, pictures))
    return found


def marked_pictures(turn: Turn, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Pictures for the component, each with the boxes of this turn's answer.

    Args:
        turn: Whose answer.
        numbers: Which pictures, from 1 over the whole conversation.
    """
    places = turn.answer.vlpro.grounding if turn.answer and turn.answer.vlpro else []
    boxes: dict[int, list[dict[str, Any]]] = {}
    for number, place in enumerate(places, 1):
        boxes.setdefault(place.image, []).append(
            {"number": number, **place.model_dump(include={"box", "point", "label", "text", "confidence"})}
        )
    return [
        {
            "number": number,
            **turn.pictures[number - 1].model_dump(include={"id", "width", "height", "available"}),
            "boxes": boxes.get(number, []),
        }
        for number in numbers
        if 0 < number <= len(turn.pictures)
    ]


def question(turn: Turn) -> None:
    """What was asked, with its pictures."""
    asked = turn.question
    with st.container(key=f"ask-{asked.id}"):
        if asked.images:
            numbers = range(turn.images_before + 1, len(turn.pictures) + 1)
            data = {"pictures": marked_pictures(turn, numbers), "words": viewer_words()}
            mount("thumbnails", data, key=f"thumbnails-{asked.id}")
        st.html(f'<div class="vl-asked">{escape(asked.text)}</div>')
        for image in asked.images:
            if image.shrunk:
                sizes = {
                    "from": f"{image.width}×{image.height}",
                    "to": f"{image.used_width}×{image.used_height}",
                }
                st.html(f'<p class="vl-hint shrunk">{escape(t("shrunk", **sizes))}</p>')


def answer(turn: Turn, *, last: bool, busy: bool, again: Callable[[Turn], None]) -> None:
    """An answer that is complete, stopped or failed.

    Args:
        turn: With its answer.
        last: Whether it is the conversation's last one.
        busy: Whether another answer is being generated.
        again: Called to ask its question again.
    """
    reply = turn.answer
    if reply is None:
        return
    with st.container(key=f"answer-{reply.id}"):
        _who(time.strftime("%H:%M", time.localtime(reply.created)))
        cites = reply.vlpro.citations if reply.vlpro and reply.vlpro.citations else []
        if (passage := quoted(reply.text, cites)) is not None:
            st.html(f'<blockquote class="vl-quoted">{escape(passage)}</blockquote>')
        else:
            _prose(reply.text, reply.id, {one.number for one in cites})
        _state(reply)
        places = reply.vlpro.grounding if reply.vlpro else []
        if places:
            pictures = marked_pictures(turn, sorted({place.image for place in places}))
            if pictures:
                mount("evidence", {"pictures": pictures, "words": viewer_words()}, key=f"evidence-{reply.id}")
        if cites:
            passages.sources(cites, reply.id)
        _reduced(reply)
        _foot(reply)
        if reply.status == "failed" and last:
            st.button(
                t("retry"), key=f"retry-{reply.id}", icon=":material/refresh:", on_click=again, args=(turn,)
            )
        _actions(turn, reply, busy=busy, again=again)


def growing(reply: Message, *, plain: bool) -> None:
    """An answer that is being generated.

    Args:
        reply: As far as it is.
        plain: Whether its words are those of a document, which are no Markdown.
    """
    with st.container(key="growing"):
        seconds = f"{max(0, time.time() - reply.created):.0f} s"
        state = _place(reply.waiting) if reply.status == "queued" else t("status.busy")
        _who(f"{state} · {seconds}")
        if reply.text and plain:
            st.html(f'<blockquote class="vl-quoted">{escape(reply.text)}</blockquote>')
        elif reply.text:
            _prose(reply.text)
        else:
            st.html(
                f'<div class="vl-bars" role="status" aria-label="{escape(t("reading"))}"><i></i><i></i><i></i></div>'
            )


def _place(waiting: Waiting | None) -> str:
    """Where a question stands in the queue, in words; it need not wait while its pictures are read in."""
    if waiting is None:
        return t("status.busy")
    told = t("queued.ahead", ahead=waiting.ahead) if waiting.ahead else t("queued.next")
    return told if waiting.seconds is None else f"{told} · {t('queued.seconds', seconds=waiting.seconds)}"


def _who(detail: str) -> None:
    st.html(
        f'<div class="vl-who"><span class="vl-mark"></span><b>{escape(t("assistant"))}</b>'
        f"<span>{escape(detail)}</span></div>"
    )


def _prose(text: str, key: str = "", cites: Collection[int] = ()) -> None:
    for piece in pieces(text):
        if isinstance(piece, Code):
            st.code(piece.text, language=piece.language or None, wrap_lines=True)
        else:
            st.markdown(linked(piece.text, cites, key) if cites else piece.text)


def _state(reply: Message) -> None:
    if reply.status == "stopped":
        note("info", t("stopped") if reply.text else t("stopped.empty"))
    elif reply.status == "failed":
        error = reply.error
        told = (error.vlpro or {}).get("zh") if error and session.language() == "zh" else None
        sentence = told or (error.message if error else t("failed"))
        note("bad", sentence, f"{t('request')} {reply.request_id}" if reply.request_id else "")
    elif reply.finish_reason == "length":
        note("warn", t("cut"))


def _reduced(reply: Message) -> None:
    """Says that pictures were made smaller so that all fit together."""
    smaller = [picture for picture in reply.vlpro.pictures if picture.reduced] if reply.vlpro else []
    if smaller:
        largest = max(smaller, key=lambda picture: picture.used_width * picture.used_height)
        told = t("reduced", count=len(smaller), size=f"{largest.used_width}×{largest.used_height}")
        st.html(f'<p class="vl-hint reduced">{escape(told)}</p>')


def _foot(reply: Message) -> None:
    parts = []
    if reply.usage:
        read, written = f"{reply.usage.prompt_tokens:,}", f"{reply.usage.completion_tokens:,}"
        parts.append(t("foot.tokens", read=read, written=written))
    timing = reply.vlpro.timing if reply.vlpro else None
    if timing and timing.first_token_ms is not None:
        parts.append(t("foot.first", seconds=f"{timing.first_token_ms / 1000:.2f}"))
    if timing and timing.total_ms is not None:
        parts.append(t("foot.total", seconds=f"{timing.total_ms / 1000:.2f}"))
    if timing and timing.tokens_per_s:
        parts.append(f"{timing.tokens_per_s:,.0f} tokens/s")
    if parts:
        st.html(f'<div class="vl-foot">{"".join(f"<span>{escape(part)}</span>" for part in parts)}</div>')


def _actions(turn: Turn, reply: Message, *, busy: bool, again: Callable[[Turn], None]) -> None:
    asked = turn.question
    data = {
        "text": reply.text or "\n".join(export.places(reply, session.language())),
        "busy": busy,
        "question": {
            "id": asked.id,
            "text": asked.text,
            "images": [image.model_dump() for image in asked.images],
            "imagesBefore": turn.images_before,
        },
        "words": session.words("actions", "copy", "copied", "regenerate", "edit"),
    }
    mount("actions", data, key=f"actions-{reply.id}", regenerate=lambda: again(turn))
