"""The product with its sanitiser taken out, so that a test sees what the browser alone refuses."""

from __future__ import annotations

import sys

from streamlit.web import cli

from vlpro.ui import markdown

if __name__ == "__main__":
    markdown.pieces = lambda text: [markdown.Prose(text)]
    sys.argv = ["streamlit", *sys.argv[1:]]
    sys.exit(cli.main())
