"""The script that Streamlit runs for each tab and each click."""

import logging
from datetime import UTC, datetime

import streamlit as st

from vlpro.client import ApiError
from vlpro.ui import session
from vlpro.ui.parts import mount, note, page_style
from vlpro.ui.session import SignedOutError, t
from vlpro.ui.views import navigation

st.set_page_config(page_title="Qwen3-VL-4B Pro", layout="wide", initial_sidebar_state=312)
try:
    person = session.begin()
    page_style(t("lost"))
    navigation.run(person)
except SignedOutError:
    page_style(t("lost"))
    note("info", t("signed_out"))
    mount("leave", {}, key="leave")
except ApiError as error:
    page_style(t("lost"))
    note("bad", session.sentence(error), session.number(error))
except Exception:
    logging.getLogger(__name__).exception("the page failed")
    note("bad", t("failed.page", time=f"{datetime.now(UTC).astimezone():%Y-%m-%d %H:%M:%S}"))
