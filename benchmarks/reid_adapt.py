"""What adaptation without labels gains, on people and cameras that the embedder never saw.

    REID_DATA=/data python -m benchmarks.reid_adapt --out out/adapted

CUHK01, halved by person. Of the first half the program is told only what a tracker would know: which two pictures are
of one tracklet, in which camera, and who was in view together (people pass in a drawn order, eight at a time, and meet
the other camera in another order). It adapts on them as ``reid-tracker adapt`` does; the exported model is scored on
the other half beside the one it came from: camera 1 asks, one picture of camera 2 a person answers.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_tracker.evaluation.reid import ReidScores
from reid_tracker.training.adapt import adapt_to_site
from reid_tracker.training.adapting import export_adapted, shipped_state
from reid_tracker.training.checkpoints import load
from reid_tracker.training.data import PeopleSet
from reid_tracker.training.protocols import Protocol, read_protocol
from reid_tracker.training.recipe import Recipe, read_recipe, with_compute
from reid_tracker.training.reid_evaluation import looks_of, open_judged, score_protocol
from reid_tracker.training.site import SitePeople, gather_site

RECIPE = Path(__file__).parents[1] / "reid_tracker" / "training" / "recipes" / "alignedreid_small_adapted.toml"
TOGETHER = 8
WAYS = ("global", "aligned", "fused")


def half(protocol: Protocol, keep: NDArray[np.bool_]) -> Protocol:
    """The protocol among some of its pictures."""
    place = np.cumsum(keep) - 1
    trials = tuple(
        (place[asking[keep[asking]]], place[answering[keep[answering]]]) for asking, answering in protocol.trials
    )
    return Protocol(f"{protocol.name}-half", protocol.pictures.only(keep), trials)


def walk_past(people: PeopleSet, seed: int) -> SitePeople:
    """Everybody once through each camera, eight at a time, in an order of its own for each camera."""
    rng = np.random.default_rng(seed)
    numbers = np.unique(people.persons)
    moment = {
        camera: dict(zip(rng.permutation(numbers).tolist(), range(len(numbers)), strict=True)) for camera in (1, 2)
    }
    turns = [
        moment[camera][person] for person, camera in zip(people.persons.tolist(), people.cameras.tolist(), strict=True)
    ]
    seconds = 60.0 * (np.array(turns) // TOGETHER) + np.arange(len(people)) % 2
    return gather_site("cuhk01-passing", people.paths, 2 * people.persons + people.cameras, people.cameras, seconds)


def figures(model: str, protocol: Protocol, cache: Path, threads: int) -> dict[str, ReidScores]:
    """Scores of the network file, through the package's own preprocessing."""
    judged = open_judged(model, threads)
    return score_protocol(protocol, looks_of(judged, protocol.pictures, cache), WAYS, threads=threads)


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The shipped recipe, shortened where asked."""
    recipe = with_compute(read_recipe(RECIPE), None, options.precision)
    stage = recipe.stages[0]
    return recipe.model_copy(
        update={"stages": (stage.model_copy(update={"pictures": options.pictures or stage.pictures}),)}
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("REID_DATA"), help="default: REID_DATA")
    parser.add_argument("--model", default="engines/alignedreid_small", help="what --state is the training state of")
    parser.add_argument("--state", type=Path, help="default: the shipped one")
    parser.add_argument("--out", type=Path, default=Path("out/adapted"))
    parser.add_argument("--cache", type=Path, default=Path("out/reid-cache"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=0, help="a round; 0: as the recipe says")
    parser.add_argument("--precision", default="fp32", help="of the training")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/reid_adapt.json"))
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the data sets are: --data or REID_DATA")
    whole = read_protocol("cuhk01", Path(options.data))
    first = np.isin(whole.pictures.persons, np.unique(whole.pictures.persons)[::2])
    held = half(whole, ~first)
    site = walk_past(whole.pictures.only(first), seed=0)
    state = options.state or shipped_state()
    recipe = recipe_of(options)
    adapted = adapt_to_site(site, load(state), recipe, options.cache, options.rounds, print)
    export_adapted(adapted, state, options.out, site.pictures.paths[0].parent, options.cache)
    results = {}
    for name, model in {"before": options.model, "after": str(options.out)}.items():
        results[name] = {
            way: score.to_row() for way, score in figures(model, held, options.cache, options.threads).items()
        }
        for way, row in results[name].items():
            print(f"{name:8} {way:8} rank-1 {row['rank1']:6.2f}  mAP {row['mAP']:6.2f}", flush=True)
    document = {
        "set": "CUHK01, half of the people, never trained on",
        "accepted": adapted.better,
        "agreement": [adapted.before, adapted.after],
        "pictures": recipe.stages[0].pictures * options.rounds,
        **results,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
