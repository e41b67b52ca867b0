"""Pack what a training run needs into one file, for a machine that has nothing else.

    python tools/pack_training.py --recipe reid_tracker/training/recipes/alignedreid_large_gpu.toml --data /data \
        --start efficientnet-lite2-9656183e.pth --teacher teacher.xml --out build/alignedreid_large_gpu.pack

Pictures are stored as WebP at the best quality that fits (--most-mb), no larger than --stored-size (Market-1501's are
128 x 64), with person and camera; the teacher's answers in 8 bits, the start weights (checked by sha256) in half
precision. The pack holds pictures of people on their data sets' terms: keep it out of any repository.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from torch import nn

from reid_tracker.training.backbones import load_start_weights, make_backbone
from reid_tracker.training.pack import PackedSet, write_pack
from reid_tracker.training.recipe import Recipe, read_recipe
from reid_tracker.training.train import Places, ask_teacher, read_sets


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the recipe's sets")
    parser.add_argument("--start", type=Path, help="published weights of the recipe's backbone")
    parser.add_argument("--partner-start", type=Path, help="published weights of its partner, if it has one")
    parser.add_argument("--teacher", type=Path, help="OpenVINO or ONNX embedder, where the recipe learns from one")
    parser.add_argument("--cache", type=Path, default=Path("out/training-cache"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--most-mb", type=float, default=44.5, help="size of the file, in millions of bytes")
    parser.add_argument("--stored-size", type=int, nargs=2, default=(160, 80), metavar=("H", "W"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recipe = read_recipe(options.recipe)
    places = Places(options.data, options.out.parent, options.cache, teacher=options.teacher)
    sets = read_sets(recipe, places)
    answers = ask_teacher(recipe, places, sets) if recipe.uses_teacher else [None] * len(sets)
    packed = [PackedSet(people, answer) for people, answer in zip(sets, answers, strict=True)]
    height, width = options.stored_size
    starts = _starts(recipe, options.start, options.partner_start)
    quality = write_pack(options.out, packed, (height, width), starts, int(options.most_mb * 1e6))
    pictures = sum(len(people) for people in sets)
    print(f"{options.out}: {pictures} pictures at quality {quality}, {options.out.stat().st_size / 1e6:.1f} MB")


def _starts(recipe: Recipe, file: Path | None, partner_file: Path | None) -> dict[str, nn.Module]:
    starts = {}
    for name, weights in ((recipe.backbone, file), (recipe.partner, partner_file)):
        if name and weights is not None:
            starts[name], _ = make_backbone(name)
            load_start_weights(starts[name], name, weights)
    return starts


if __name__ == "__main__":
    main()
