"""Asks about a picture by LangChain, streamed: ``python chat.py receipt.jpg`` (``pip install langchain-openai``)."""

import base64
import os
import sys
from pathlib import Path

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI


def main() -> None:
    """Ask, and print the answer as it comes."""
    picture = base64.b64encode(Path(sys.argv[1]).read_bytes()).decode()
    model = ChatOpenAI(
        model="vlpro",
        base_url=os.environ.get("VLPRO_URL", "http://127.0.0.1:8501/v1"),
        api_key=os.environ.get("VLPRO_KEY", "none"),  # profile local takes any
    )
    question = HumanMessage(
        [
            {"type": "text", "text": sys.argv[2] if len(sys.argv) > 2 else "合计金额是多少？"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
        ]
    )
    for piece in model.stream([question]):
        print(piece.text, end="", flush=True)
    print()


if __name__ == "__main__":
    main()
