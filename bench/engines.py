"""Our engines of Qwen3-VL against the libraries that they stand on: first words, follow-ups, decoding, memory.

`python bench/engines.py --rows ROW ... [--model FOLDER] [--packed FOLDER] [--genai FOLDER --genai-python FILE]
[--server NAME=URL] [--rounds N] [--side PIXELS] [--typing S ...] [--more]` prints one table. All rows are loaded
at once and take turns, so that a busy moment of the machine meets all of them: name as many as memory holds. Models
are made by bench/random_model.py: the true shape, random weights; speed and memory do not depend on the values.

A round asks about a picture that is new (cold), goes on about it (follow-up), asks about it in another conversation
(new chat), three times behind a long text, eight times at once, and eight times at once without a picture; ours also
some seconds after a picture was dropped (read ahead). Every answer has 32 tokens. The first round warms up where
there are several; of the others the table tells the medians.

- genai: OpenVINO GenAI alone (bench/genai.py), in its own environment on its own form of the same weights. It is not
  asked eight times about a picture, which it would read again for each.
- transformers, transformers 4 bits: its `generate` alone (bench/bare.py), bfloat16, or NF4 of bitsandbytes.
- vlpro openvino, and with `exact` and `fast` (VLPRO_ACTIVATIONS): the whole product over HTTP, engine openvino on
  ``--packed`` (`vlpro model convert`).
- vlpro transformers, vlpro transformers 4 bits: the whole product over HTTP, engine transformers on ``--model``.
- any server with OpenAI's API that runs already: ``--server``, such as vLLM or llama.cpp.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from asked import ANSWER, Library, Product, Server

from vlpro.engines.model_files import make_manifest

HERE = Path(__file__).parent
ROWS = (
    *("genai", "transformers", "transformers 4 bits"),
    *("vlpro openvino", "vlpro openvino exact", "vlpro openvino fast"),
    *("vlpro transformers", "vlpro transformers 4 bits"),
)
Asked = Library | Server


def rows(options: argparse.Namespace, work: Path) -> list[Asked]:
    """Those to be asked."""
    side = options.side
    found: list[Asked] = []
    for name in options.rows:
        first, *how = name.split()
        if first == "genai":
            command = [options.genai_python, HERE / "genai.py", options.genai]
            found.append(Library(name, side, command=[str(part) for part in command]))
        elif first == "transformers":
            dtype = "nf4" if how else "bfloat16"
            command = [sys.executable, HERE / "bare.py", options.model, dtype]
            found.append(Library(name, side, command=[str(part) for part in command]))
        else:
            engine = how[0]
            folder = options.packed if engine == "openvino" else options.model
            manifest = work / f"{engine}.json"
            manifest.write_text(make_manifest(folder, "random").to_json())
            settings = {
                "VLPRO_ENGINE": engine,
                "VLPRO_MODEL_DIR": str(folder),
                "VLPRO_MODEL_MANIFEST": str(manifest),
                "VLPRO_DEVICE": "cpu",
                "VLPRO_ACTIVATIONS": how[1] if engine == "openvino" and len(how) > 1 else "usual",
                "VLPRO_LOAD_IN_4BIT": "on" if engine == "transformers" and len(how) > 1 else "off",
                "VLPRO_ANSWER_TIMEOUT_S": "3600",
            }
            found.append(Product(name, side, settings=settings, typing=options.typing, more=options.more))
    for told in options.server:
        name, url = told.split("=", 1)
        found.append(Server(name, side, url=url, more=options.more))
    return found


def medians(asked: Asked, rounds: int) -> dict[str, float]:
    """Of each column; what is measured once, such as loading, as it is."""
    kept = {
        name: values[1:] if len(values) == rounds > 1 else values for name, values in asked.figures.items()
    }
    return {name: statistics.median(values) for name, values in kept.items()}


def show(told: dict[str, dict[str, float]]) -> None:
    """The table: a line for each figure, a column for each row that was asked for."""
    print("| | " + " | ".join(told) + " |")
    print("|---" * (len(told) + 1) + "|")
    for figure in dict.fromkeys(figure for one in told.values() for figure in one):
        values = (f"{one[figure]:.2f}" if figure in one else "–" for one in told.values())
        print(f"| {figure} | " + " | ".join(values) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=[])
    parser.add_argument("--model", type=Path, help="for transformers")
    parser.add_argument("--packed", type=Path, help="for openvino: made by vlpro model convert")
    parser.add_argument("--genai", type=Path, help="for genai: made by optimum-cli")
    parser.add_argument("--genai-python", type=Path, help="the python of its environment")
    parser.add_argument("--server", nargs="*", default=[], metavar="NAME=URL", help="a server that runs")
    parser.add_argument("--rounds", type=int, default=4, help="the first one warms up")
    parser.add_argument("--side", type=int, default=1024, help="of the pictures, pixels")
    parser.add_argument(
        "--typing", type=float, nargs="*", default=[20.0], help="seconds from drop to question"
    )
    parser.add_argument("--more", action="store_true", help="sixteen pictures, and pauses of an answer, too")
    options = parser.parse_args()
    started: list[Asked] = []
    with tempfile.TemporaryDirectory() as work:
        try:
            for one in rows(options, Path(work)):
                one.start()
                started.append(one)
            for number in range(options.rounds):
                for one in started:
                    one.ask(number)
                    latest = {name: round(values[-1], 2) for name, values in one.figures.items()}
                    print(f"{number} {one.name}: {latest}", file=sys.stderr, flush=True)
        finally:
            for one in started:
                one.end()
    print(
        f"{os.cpu_count()} processors ({platform.machine()}), openvino {version('openvino')}, pictures of "
        f"{options.side} x {options.side}, {ANSWER} tokens an answer, medians of {max(1, options.rounds - 1)}\n"
    )
    show({one.name: medians(one, options.rounds) for one in started})


if __name__ == "__main__":
    main()
