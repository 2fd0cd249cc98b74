"""The script that Streamlit runs for each tab and each click."""

import logging
from datetime import UTC, datetime

import streamlit as st

from vlpro.ui.parts import note, page_style
from vlpro.ui.session import t
from vlpro.ui.views import chat

st.set_page_config(page_title="Qwen3-VL-4B Pro", layout="wide", initial_sidebar_state=312)
page_style(t("lost"))
try:
    chat.page()
except Exception:
    logging.getLogger(__name__).exception("the page failed")
    note("bad", t("failed.page", time=f"{datetime.now(UTC).astimezone():%Y-%m-%d %H:%M:%S}"))
