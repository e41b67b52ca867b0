"""Put an embedder's measured figures into its papers, manifest and card, so that none is typed by hand.

python -m benchmarks.reid_market --model engines/alignedreid_small --json benchmarks/results/reid_market.json
python tools/put_figures.py engines/alignedreid_small benchmarks/results/reid_market.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SETS = {"market1501": "Market-1501", "cuhk01": "CUHK01 (strangers)"}
FIGURES = ("rank1", "rank5", "mAP", "mINP")


def card_rows(figures: dict[str, Any]) -> list[str]:
    """The lines of the card's table."""
    return [
        f"| {title} | {way} | {' | '.join(f'{row[name]:.2f}' for name in FIGURES)} |"
        for data, title in SETS.items()
        for way, row in figures[data].items()
    ]


def put(folder: Path, results: Path) -> None:
    """Rewrite the three files of one model.

    Args:
        folder: of the model, as the results name it.
        results: what ``benchmarks.reid_market --json`` wrote.
    """
    found = json.loads(results.read_text(encoding="utf-8"))["models"][str(folder)]
    for name in ("papers.json", "model.json"):
        document = json.loads((folder / name).read_text(encoding="utf-8"))
        document["figures"] |= {data: found[data] for data in SETS}
        (folder / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    card = folder / "CARD.md"
    lines = card.read_text(encoding="utf-8").split("\n")
    places = [
        place for place, line in enumerate(lines) if line.startswith(tuple(f"| {one} |" for one in SETS.values()))
    ]
    lines[places[0] : places[-1] + 1] = card_rows(found)
    card.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    put(Path(sys.argv[1]), Path(sys.argv[2]))
