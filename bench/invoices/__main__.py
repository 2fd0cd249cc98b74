"""``python -m bench.invoices FOLDER --count 9 --seed 0``: pictures and ``labels.jsonl``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from PIL import Image

from bench.invoices.draw import specimens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=9, help="of each damage")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with (options.folder / "labels.jsonl").open("w", encoding="utf-8") as file:
        for one in specimens(options.count, seed=options.seed):
            name = f"{one.kind}-{one.seed}-{one.damage.replace(' ', '_')}.png"
            Image.fromarray(one.pixels).save(options.folder / name)
            entry = {"file": name, "template": one.template, "kind": one.kind, "damage": one.damage}
            file.write(json.dumps({**entry, "labels": one.labels}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
