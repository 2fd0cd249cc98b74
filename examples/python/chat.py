"""Asks a question about a picture, streamed: ``python chat.py receipt.jpg "What is the total?"``."""

import base64
import os
import sys
from pathlib import Path

from openai import OpenAI


def main() -> None:
    """Ask, and print the answer as it comes."""
    if len(sys.argv) < 2:
        sys.exit("usage: python chat.py PICTURE [QUESTION]")
    picture = base64.b64encode(Path(sys.argv[1]).read_bytes()).decode()
    question = sys.argv[2] if len(sys.argv) > 2 else "合计金额是多少？"
    client = OpenAI(
        base_url=os.environ.get("VLPRO_URL", "http://127.0.0.1:8501/v1"),
        api_key=os.environ.get("VLPRO_KEY", "none"),  # profile local takes any
    )
    stream = client.chat.completions.create(
        model="vlpro",  # always the engine in use
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": question},
                    # The service goes by content, not by the type named here.
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
                ],
            }
        ],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
        if chunk.usage:
            print(f"\n({chunk.usage.total_tokens} tokens)")


if __name__ == "__main__":
    main()
