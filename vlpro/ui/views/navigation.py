"""Which pages there are, and whose they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from vlpro.schema.accounts import OwnAccount, RoleName
from vlpro.ui import session
from vlpro.ui.parts import title
from vlpro.ui.session import t
from vlpro.ui.views import (
    accounts,
    audit,
    batches,
    chat,
    compliance,
    engine,
    frame,
    inspections,
    knowledge,
    me,
    policy,
    receipts,
    report,
    roles,
    sessions,
)

__all__ = ["PLACES", "Place", "run"]


@dataclass(frozen=True, slots=True)
class Place:
    """A page.

    Args:
        path: Its address, without the slash.
        name: Key of its name.
        roles: Whose it is; nobody else sees anything of it. In profile ``local`` the person at the machine is a user.
        draw: Draws it for somebody; None: the person at the machine.
    """

    path: str
    name: str
    roles: frozenset[RoleName]
    draw: Callable[[OwnAccount | None], None]


def _work(draw: Callable[[], None]) -> Callable[[OwnAccount | None], None]:
    """A page that is the same for everybody whose it is."""
    return lambda _person: draw()


def _account(draw: Callable[[OwnAccount], None]) -> Callable[[OwnAccount | None], None]:
    """A page that only an account has."""

    def drawn(person: OwnAccount | None) -> None:
        if person is not None:
            draw(person)

    return drawn


_EVERYBODY: frozenset[RoleName] = frozenset({"user", "system", "security", "audit"})
_USER: frozenset[RoleName] = frozenset({"user"})
_SYSTEM: frozenset[RoleName] = frozenset({"system"})
_SECURITY: frozenset[RoleName] = frozenset({"security"})
_AUDIT: frozenset[RoleName] = frozenset({"audit"})

PLACES = (
    Place("receipts", "receipts.nav", _USER, _work(receipts.page)),
    Place("inspections", "inspections.nav", _USER, _work(inspections.page)),
    Place("batches", "batches.nav", _USER, _work(batches.page)),
    Place("report", "report.nav", _USER, _work(report.page)),
    Place("knowledge", "knowledge.nav", _USER, _work(knowledge.page)),
    Place("accounts", "nav.accounts", _SYSTEM, _account(accounts.page)),
    Place("sessions", "nav.sessions", _SYSTEM, _account(sessions.page)),
    Place("engine", "nav.engine", _SYSTEM, _account(engine.page)),
    Place("policy", "nav.policy", _SECURITY, _account(policy.page)),
    Place("roles", "nav.roles", _SECURITY, _account(roles.page)),
    Place("audit", "nav.audit", _AUDIT, _account(audit.page)),
    Place("compliance", "compliance.nav", _SECURITY | _AUDIT, _account(compliance.page)),
    Place(frame.ME, "nav.me", _EVERYBODY, _account(me.page)),
)


def run(person: OwnAccount | None) -> None:
    """Draw the page that the address names, if it is one of this person's; None: the person at the machine."""

    def theirs(place: Place) -> bool:
        return place.roles == _USER if person is None else person.role in place.roles

    def drawn(place: Place) -> Callable[[], None]:
        def draw() -> None:
            st.session_state.place = place.path
            if theirs(place):
                place.draw(person)
            else:
                _not_available(person)

        return draw

    # No page has an icon here: Streamlit would fetch it from elsewhere for the browser's tab. The sheet draws them.
    # A default page has no path of its own: for who has no chat it leads on to their first page.
    first = next(place for place in PLACES if theirs(place))
    chats = person is None or person.role == "user"
    pages = {
        place.path: st.Page(
            drawn(place),
            title=t(place.name),
            url_path=place.path,
            visibility="visible" if theirs(place) else "hidden",
        )
        for place in PLACES
    }
    start = st.Page(
        _chat if chats else lambda: st.switch_page(pages[first.path]),
        title=t("nav.chat"),
        url_path="start",
        default=True,
        visibility="visible" if chats else "hidden",
    )
    st.navigation([start, *pages.values()], position="top").run()


def _chat() -> None:
    """The chat; who comes back from another page finds the conversation that was open."""
    before, st.session_state.place = st.session_state.get("place", ""), ""
    if before and session.conversation_id() is None:
        session.open_conversation(st.session_state.get("left_conversation"))
    chat.page()
    st.session_state.left_conversation = session.conversation_id()


def _not_available(person: OwnAccount | None) -> None:
    with frame.panel(person), st.container():
        pass
    with frame.middle():
        role = t(f"role.{person.role if person is not None else 'user'}")
        title(t("not_available"), t("not_available.why", role=role))
