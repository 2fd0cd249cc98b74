"""The application: the page, the API, and what stands before both. Start it with `streamlit run app.py`."""

import sys

from starlette.middleware import Middleware
from streamlit import get_option
from streamlit.starlette import App

from vlpro.errors import ConfigError, DatabaseError
from vlpro.gateway.app import parts
from vlpro.ui.shell import Shell

try:
    arguments = parts(page=[Middleware(Shell)], address=get_option("server.address") or "")
except (ConfigError, DatabaseError) as error:
    sys.exit(f"{error.message}\n{error.zh}")

app = App("vlpro/ui/app.py", **arguments)
