"""The chat: an empty page or a conversation, and the composer below."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from html import escape
from typing import Any, Literal

import streamlit as st

from vlpro.client import ApiError
from vlpro.schema import Conversation, Message, NewMessage, Status
from vlpro.schema.accounts import LevelName
from vlpro.ui import export, session
from vlpro.ui.parts import badge, mount, note
from vlpro.ui.session import t
from vlpro.ui.views import chat_bases, message
from vlpro.ui.views.message import Turn
from vlpro.ui.views.sidebar import Settings, sidebar
from vlpro.ui.views.viewer import viewer_words

__all__ = ["page"]

_COMPOSER_WORDS = (
    *(
        "composer",
        "question",
        "placeholder",
        "add",
        "pictures",
        "send",
        "send_empty",
        "stop",
        "remove",
        "uploading",
        "after_upload",
    ),
    *(
        "unnamed",
        "pasted",
        "wrong_type",
        "too_large",
        "too_many",
        "no_answer",
        "not_taken",
        "request",
        "dismiss",
    ),
    *("editing", "cancel", "budget", "near", "over", "drop", "shrunk", "shrunk_short"),
)
_POLL_S = 0.25


def page() -> None:
    """Draw everything."""
    status = _status()
    conversation = _conversation()
    settings = sidebar(status, conversation)
    with st.container(key="chat"):
        if (told := session.take("notice")) is not None:
            note(*told)
        if conversation is not None and conversation.messages:
            _conversation_view(conversation, settings, status)
        else:
            _welcome(status)
    with st.bottom, st.container(key="composer-place"):
        chat_bases.choose(conversation, _level(conversation))
        _composer(conversation, settings, status)
        st.html(f'<p class="vl-fine">{escape(t("fine_print"))}</p>')


def _status() -> Status | None:
    try:
        return session.client().status()
    except ApiError:
        return None


def _conversation() -> Conversation | None:
    identifier = session.conversation_id()
    if identifier is None:
        return None
    try:
        return session.client().conversation(identifier)
    except ApiError as error:
        if error.status == 404:
            session.remember("notice", ("info", t("gone")))
            session.open_conversation(None)
        else:
            session.remember("notice", ("bad", session.sentence(error), session.number(error)))
        return None


# --- a conversation ---


def _conversation_view(conversation: Conversation, settings: Settings, status: Status | None) -> None:
    with st.container(
        key="head", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        label = (
            badge(session.TONES[conversation.level], t(f"level.{conversation.level}"))
            if session.account()
            else ""
        )
        st.html(f'<div class="vl-head"><h1>{escape(_title(conversation))}</h1>{label}</div>')
        _rename(conversation)
        _export(conversation)

    def again(turn: Turn) -> None:
        images = [image.id for image in turn.question.images]
        refused = _ask(
            _new_message(
                turn.question.text,
                images,
                replaces=turn.question.id,
                seen=conversation,
                settings=settings,
                status=status,
            )
        )
        if refused is not None:
            detail = f"{t('request')} {refused['request_id']}" if refused["request_id"] else ""
            session.remember("notice", ("bad", refused["refused"], detail))

    found = message.turns(conversation)
    for number, turn in enumerate(found, 1):
        message.question(turn)
        if turn.answer is not None and turn.answer.status in ("queued", "answering"):
            quotes = bool(turn.question.knowledge_base) and not (status is not None and status.sees)
            _growing(conversation.id, turn.answer, plain=quotes)
        else:
            message.answer(turn, last=number == len(found), busy=conversation.busy, again=again)


def _title(conversation: Conversation) -> str:
    """The title; where the service cut the first question short, the whole of it."""
    first = " ".join(conversation.messages[0].text.split())
    return first if first.startswith(conversation.title.removesuffix("…")) else conversation.title


def _growing(conversation_id: str, reply: Message, *, plain: bool) -> None:
    """Draws the answer again and again while it grows; when it is complete, the whole page."""

    @st.fragment(run_every=_POLL_S)
    def poll() -> None:
        try:
            now = session.client(background=True).answer(conversation_id, reply.id)
        except ApiError:  # cleared or replaced in another tab, or the service is gone: the page will tell
            session.rerun_by_itself()
        if now.status in ("queued", "answering"):
            message.growing(now, plain=plain)
        else:
            session.remember("announcement", "failed" if now.status == "failed" else "done")
            session.rerun_by_itself()

    poll()


def _rename(conversation: Conversation) -> None:
    asked = st.popover(t("rename"), icon=":material/edit:", type="tertiary", key="rename")
    with asked, st.form("rename-form", border=False):
        title = st.text_input(t("rename.title"), _title(conversation), max_chars=200)
        done = st.form_submit_button(t("save"), type="primary")
    if done and title.strip():
        try:
            session.client().rename_conversation(conversation.id, title)
        except ApiError as error:
            session.remember("notice", ("bad", session.sentence(error), session.number(error)))
        st.rerun()


def _export(conversation: Conversation) -> None:
    with st.popover(t("export"), icon=":material/download:", type="tertiary", key="export"):
        # Not st.download_button: its files lie under /media for whoever knows their hash.
        for kind in ("markdown", "json"):
            label = t("export.markdown" if kind == "markdown" else "export.json")
            st.button(
                label,
                key=f"export-{kind}",
                width="stretch",
                on_click=_export_as,
                args=(kind, conversation.id),
            )
    if (file := session.take("file")) is not None:
        mount("download", {"file": file}, key="download")


def _export_as(kind: Literal["markdown", "json"], identifier: str) -> None:
    try:
        conversation = session.client().export(identifier, kind)
    except ApiError as error:
        session.remember("notice", ("bad", session.sentence(error), session.number(error)))
        return
    now = datetime.now(session.zone())
    if kind == "markdown":
        suffix, media = "md", "text/markdown"
        text = export.as_markdown(conversation, session.language(), now)
    else:
        suffix, media = "json", "application/json"
        text = export.as_json(conversation)
    made = {"id": now.isoformat(), "name": f"vlpro-{now:%Y%m%d-%H%M}.{suffix}", "type": media, "text": text}
    session.remember("file", made)


def _welcome(status: Status | None) -> None:
    sees = status is not None and status.sees
    st.html(
        f'<div class="vl-hello"><span class="vl-mark"></span><h1>{escape(t("hello"))}</h1>'
        f"<p>{escape(t('hello.sees' if sees else 'hello.reads'))}</p></div>"
    )
    keys = ("starter.total", "starter.fields", "starter.describe" if sees else "starter.all")
    starters = [{"title": t(key), "text": t(key)} for key in keys] + (_prompts() if sees else [])
    limits = status.budget if status else None
    formats = t(
        "formats",
        megabytes=round(limits.max_image_bytes / 1e6) if limits else 20,
        most=limits.max_images if limits else 16,
    )
    _choose_level()
    words = {**session.words("drop", "add", "starters"), "formats": formats}
    mount("welcome", {"starters": starters, "words": words}, key="welcome")


def _choose_level() -> None:
    """How confidential the new conversation will be, where there are accounts with levels."""
    person = session.account()
    if person is None:
        return
    with st.container(key="new-level", horizontal=True, horizontal_alignment="center"):
        st.segmented_control(
            t("chat.level"),
            session.levels(person),
            default=person.level,
            required=True,
            key="chat_level",
            format_func=lambda level: t(f"level.{level}"),
            help=t("chat.level.help"),
        )


def _new_level() -> LevelName | None:
    """The level that was chosen; None: the person's own, or nobody has any."""
    chosen = st.session_state.get("chat_level")
    return chosen if session.account() is not None and chosen in session.LEVELS else None


def _level(conversation: Conversation | None) -> LevelName | None:
    """Of the conversation that is open, or is to be begun; None where there are no accounts."""
    person = session.account()
    if person is None:
        return None
    return conversation.level if conversation is not None else _new_level() or person.level


def _prompts() -> list[dict[str, str]]:
    """Questions in the words that the model knows best, with a blank to fill in."""
    try:
        known = session.client().prompts().data
    except ApiError:
        return []
    return [
        {"title": prompt.titles[session.language()], "text": prompt.text.replace("{categories}", "…")}
        for prompt in known
    ]


# --- asking ---


def _composer(conversation: Conversation | None, settings: Settings, status: Status | None) -> None:
    budget = status.budget if status else None
    person = session.account()
    busy = conversation is not None and conversation.busy
    announcement = session.take("announcement")
    asked = [held.id for held in conversation.messages if held.role == "user"] if conversation else []
    data = {
        "language": session.language(),
        "conversation": conversation.id if conversation else "",
        "chosen": session.times_chosen(),
        "draft": f"vlpro-draft-{person.id}" if person is not None else "vlpro-draft",
        "busy": busy,
        "history": conversation.tokens if conversation else 0,
        "imagesBefore": conversation.image_count if conversation else 0,
        "questions": asked,
        "reply": settings.max_tokens,
        "limits": {
            "tokens": budget.context_tokens if budget else 8192,
            "pictureTokens": budget.picture_tokens if budget else 0,
            "images": budget.max_images if budget else 16,
            "bytes": budget.max_image_bytes if budget else 20_000_000,
        },
        "outcome": session.take("outcome", keep=True),
        "say": t("status.busy") if busy else t(announcement) if announcement else "",
        "words": {**viewer_words(), **session.words(*_COMPOSER_WORDS)},
    }

    def ask() -> None:
        sent = st.session_state.composer.ask
        asked_now = _new_message(
            sent["text"],
            sent["images"],
            replaces=sent["replaces"],
            seen=conversation,
            settings=settings,
            status=status,
        )
        refused = _ask(asked_now)
        session.remember("outcome", {"nonce": sent["nonce"], **(refused or {})})

    def stop() -> None:
        if conversation is not None:
            try:
                session.client().stop(conversation.id)
            except ApiError as error:
                session.remember("notice", ("bad", session.sentence(error), session.number(error)))

    mount("composer", data, key="composer", ask=ask, stop=stop)


def _new_message(
    text: str,
    images: list[str],
    *,
    replaces: str | None,
    seen: Conversation | None,
    settings: Settings,
    status: Status | None,
) -> NewMessage:
    sampled = status is None or status.sees  # the text-reading engine does not sample
    return NewMessage(
        text=text,
        images=images,
        knowledge_base=chat_bases.chosen(seen),
        temperature=settings.temperature if sampled else None,
        max_tokens=settings.max_tokens,
        language=session.language(),
        replaces=replaces,
        version=seen.version if seen is not None else None,
    )


def _ask(asked: NewMessage) -> dict[str, Any] | None:
    """Asks in the conversation that is open, or begins one.

    Returns:
        Why it was refused, or None.
    """
    client = session.client()
    begun: str | None = None
    try:
        identifier = session.conversation_id()
        if identifier is None:
            identifier = begun = client.new_conversation(level=_new_level()).id
        client.ask(identifier, asked)
    except ApiError as error:
        if begun is not None:
            _discard(begun)
        return {"refused": session.sentence(error), "request_id": error.request_id}
    if begun is not None:
        chat_bases.begun(begun)
    session.open_conversation(identifier)
    return None


def _discard(identifier: str) -> None:
    """Removes a conversation in which nothing was asked."""
    with suppress(ApiError):  # the service drops it by itself, later
        session.client().clear(identifier)
