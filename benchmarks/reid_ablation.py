"""What each part of the training brings: several seeds at small scale, mean and spread, people never trained on.

    REID_DATA=/data python -m benchmarks.reid_ablation --start efficientnet-lite0.pth --teacher teacher.xml

Each variant trains EfficientNet-lite0 from ImageNet weights at 128 x 64 on the first half of Market-1501's training
people and is scored on the other half (every picture asks, all but those of its person in its camera answer), with the
same batches for the same seed. Market-1501's test people are left out on purpose: nothing may be chosen by them. The
scale is small, so differences between variants count, not the figures themselves. What the JSON file has of the same
scale stays, so the command goes on after an interruption, and ``--seeds`` can be divided between processes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reid_tracker.evaluation.ranking import Looks
from reid_tracker.training.data import (
    PeopleSet,
    TrainingSet,
    at_most_per_person,
    decode_people,
    join_people,
    read_people,
)
from reid_tracker.training.export import torch_answers
from reid_tracker.training.partial import PartialBody
from reid_tracker.training.protocols import each_asks
from reid_tracker.training.recipe import Recipe, with_compute
from reid_tracker.training.reid_evaluation import score_protocol
from reid_tracker.training.teacher import teacher_vectors
from reid_tracker.training.train import Places, starter_of
from reid_tracker.training.trainer import Trainer
from reid_tracker.types import BoolArray, Image

Found = dict[str, dict[str, dict[str, float]]]  # mAP by variant, seed (JSON knows only texts) and way of ranking

SIZE = (128, 64)
WAYS = tuple(f"{way}{kind}" for kind in ("", ", partial") for way in ("global", "aligned", "fused"))
TEACHER_SIZE = (256, 128)
BASE: dict[str, Any] = {
    "name": "ablation",
    "pictures_per_person": 4,
    "sets": [{"name": "market1501", "folder": "Market-1501-v15.09.15/bounding_box_train", "people": 12}],
    "optimizer": {"backbone_rate": 1e-3, "head_rate": 3e-3, "warmup_pictures": 500, "ema": 0.98},
    "loss": {"identity": 0.3, "trihard_global": 1.0, "trihard_local": 2.0},
    "augment": {"erase": 0.1, "scale": 0.06},
}
TAUGHT = {"teacher_direct": 4.0, "teacher_pairs": 30.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "softmax alone": {"loss": {"trihard_global": 0.0, "trihard_local": 0.0}},
    "+ TriHard, global": {"loss": {"trihard_local": 0.0}},
    "+ TriHard, aligned local (base)": {},
    "mined by the local distance": {"loss": {"mined_by": "local"}},
    "mined by both": {"loss": {"mined_by": "both"}},
    "base + centre loss": {"loss": {"centre": 0.05}},
    "base + circle loss": {"loss": {"circle": 0.05}},
    "base + mutual learning": {"partner": "efficientnet_lite0"},
    "base + erasing 0.5": {"augment": {"erase": 0.5}},
    "base + body crops 0.3": {"augment": {"body_crop": 0.3}},
    "base + blur 0.3": {"augment": {"blur": 0.3}},
    "base + teacher": {"loss": TAUGHT},
    "base + teacher, its ranks, its aligned distances": {
        "loss": {**TAUGHT, "teacher_ranks": 1.0, "teacher_aligned": 1.0},
    },
}


def recipe_of(variant: dict[str, Any], seed: int, pictures: int) -> Recipe:
    """The base recipe with a variant's changes."""
    stage = {"pictures": pictures, "size_hw": SIZE, "frozen_blocks": 3, "last_stride": 1}
    changed = {key: {**BASE[key], **value} if isinstance(value, dict) else value for key, value in variant.items()}
    return Recipe.model_validate({**BASE, **changed, "seed": seed, "stages": [stage]})


def train(recipe: Recipe, data: TrainingSet, start: Path) -> Trainer:
    """To the end of the recipe."""
    trainer = Trainer(recipe, data, starter_of(recipe, Places(data=Path(), out=Path(), cache=Path(), start=start)))
    trainer.enter(recipe.stages[0])
    while trainer.seen < recipe.pictures:
        trainer.step(data)
    return trainer


def looks_by(trainer: Trainer, pixels: Image) -> Looks:
    """Looks of crops by the averaged network."""
    answers = [torch_answers(trainer.averaged, pixels[start : start + 128]) for start in range(0, len(pixels), 128)]
    return Looks(*(np.concatenate([answer[name] for answer in answers]) for name in ("global", "stripes")))


def score(trainer: Trainer, people: PeopleSet, cache: Path) -> dict[str, float]:
    """mAP in per cent on people never trained on, whole and partial bodies, by global, aligned and fused distance."""
    found: dict[str, float] = {}
    for kind, partial in {"": None, ", partial": PartialBody()}.items():
        pixels, _ = decode_people(people, SIZE, cache, partial)
        scores = score_protocol(each_asks(people), looks_by(trainer, pixels), ("global", "aligned", "fused"))
        found |= {f"{way}{kind}": one.to_row()["mAP"] for way, one in scores.items()}
    return found


def halves(data: Path) -> tuple[PeopleSet, PeopleSet]:
    """Market-1501's training pictures with the second half of the people made distractors, and that half thinned."""
    everybody = read_people(data / "Market-1501-v15.09.15/bounding_box_train", "market1501")
    numbers = np.unique(everybody.persons)
    second: BoolArray = np.isin(everybody.persons, numbers[len(numbers) // 2 :])
    learned = PeopleSet("market1501", everybody.paths, np.where(second, 0, everybody.persons), everybody.cameras)
    judged = everybody.only(second)
    return learned, at_most_per_person(PeopleSet("ablation-judged", judged.paths, judged.persons, judged.cameras), 4)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("REID_DATA"), help="default: REID_DATA")
    parser.add_argument("--start", type=Path, required=True, help="ImageNet weights of EfficientNet-lite0")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=4800, help="seen by each run")
    parser.add_argument("--precision", default="fp32", help="of the network in training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, default=Path("out/reid-cache"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/reid_ablation.json"))
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the data sets are: --data or REID_DATA")
    torch.set_num_threads(options.threads)
    learned, judged = halves(Path(options.data))
    decoded = decode_people(learned, SIZE, options.cache)
    vectors = teacher_vectors(options.teacher, learned, TEACHER_SIZE, options.cache)
    plain, taught = join_people([learned], [decoded]), join_people([learned], [decoded], [vectors])
    scale = {
        "people": {"learned": len(np.unique(learned.persons)) - 1, "judged": len(np.unique(judged.persons))},
        "pictures_seen": options.pictures,
        "precision": options.precision,
        "size_hw": list(SIZE),
    }
    found = _kept(options.json, scale)
    for seed in options.seeds:  # all variants of one seed first: what is there when time is short compares
        for name, variant in VARIANTS.items():
            if str(seed) in found.setdefault(name, {}):
                continue
            begun = time.monotonic()
            recipe = with_compute(recipe_of(variant, seed, options.pictures), None, options.precision)
            trainer = train(recipe, taught if recipe.uses_teacher else plain, options.start)
            found[name][str(seed)] = score(trainer, judged, options.cache)
            print(
                f"seed {seed} {name:50} {_row([found[name][str(seed)]])}  {time.monotonic() - begun:.0f} s", flush=True
            )
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps({**scale, "mAP": found}, indent=2) + "\n", encoding="utf-8")
    print(f"\n{'mAP, mean and spread over seeds':58}" + "  ".join(f"{way:>17}" for way in WAYS))
    for name, rows in found.items():
        print(f"{name:58}{_row(list(rows.values()))}")


def _kept(path: Path, scale: dict[str, Any]) -> Found:
    """What an earlier call of the same scale found."""
    if not path.is_file():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    kept: Found = document.pop("mAP")
    return kept if document == scale else {}


def _row(rows: list[dict[str, float]]) -> str:
    """Mean and standard deviation (of a sample) over seeds, each way of ranking."""
    table = np.array([[row[way] for way in WAYS] for row in rows])
    spread = table.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(len(WAYS))
    return "  ".join(f"{mean:9.2f} +-{off:5.2f}" for mean, off in zip(table.mean(axis=0), spread, strict=True))


if __name__ == "__main__":
    main()
