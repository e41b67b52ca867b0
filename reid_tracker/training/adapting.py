"""From a run's folder to an adapted model beside it, or a refusal: what ``reid-tracker adapt`` does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.results.crops import CROPS_FOLDER
from reid_tracker.training.adapt import Adapted, adapt_to_site, network_of
from reid_tracker.training.checkpoints import CHECKPOINT, fitting, load
from reid_tracker.training.export import export
from reid_tracker.training.recipe import Recipe
from reid_tracker.training.site import read_site

PAPERS = "papers.json"
_ENGINES = Path(__file__).parents[2] / "engines"
_SHIPPED_STATE = _ENGINES / "training" / "alignedreid_small.fp16.pt"
_SHIPPED_PAPERS = _ENGINES / "alignedreid_small" / PAPERS


def shipped_state() -> Path:
    """The training state of the shipped embedder, which a checkout has and an installed package has not.

    Raises:
        ConfigError: it is not there.
    """
    if not _SHIPPED_STATE.is_file():
        raise ConfigError(
            "the shipped embedder's training state is not installed with the package: name it with --state "
            "(engines/training/alignedreid_small.fp16.pt of the repository)"
        )
    return _SHIPPED_STATE


def adapt_run(
    tracks: Path,
    out: Path,
    state: Path,
    recipe: Recipe,
    rounds: int,
    cache: Path | None,
    report: Callable[[str], None],
) -> Adapted:
    """Adapt an embedder to the crops of a run and export it, if it became better.

    Args:
        tracks: the run's folder.
        out: for the model; left alone when the result is refused.
        state: of the present embedder.
        recipe: of a round.
        rounds: how many.
        cache: for decoded crops; None takes a folder beside ``out`` that is removed at the end.
        report: told how it goes.

    Raises:
        InputError: the run kept no crops, or too few.
        ModelError: the state is damaged or does not fit the recipe.
        ModelError: the result is not better on held-out people by more than chance.
    """
    if cache is None:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
            return adapt_run(tracks, out, state, recipe, rounds, Path(folder), report)
    site = read_site(tracks)
    kept = load(state, "averaged", "head", "recipe")
    with fitting(state):
        backbone = Recipe.model_validate_json(kept["recipe"]).backbone
        if backbone != recipe.backbone:
            raise ModelError(f"is of the backbone {backbone}, the recipe of {recipe.backbone}: name a recipe that fits")
        network_of(kept, recipe)
    adapted = adapt_to_site(site, kept, recipe, cache, rounds, report)
    if not adapted.better:
        raise ModelError(
            f"refused: agreement on held-out people {adapted.before:.4f} -> {adapted.after:.4f}, which "
            f"{2 * adapted.gain.error:.4f} either way may be chance: not surely better, the present embedder stays. "
            "More video, or more rounds, may help"
        )
    crops = (tracks if tracks.is_dir() else tracks.parent) / CROPS_FOLDER
    export_adapted(adapted, state, out, crops, cache)
    return adapted


def export_adapted(adapted: Adapted, state: Path, out: Path, crops: Path, cache: Path) -> None:
    """The adapted network as a model that ships, with papers that say where it comes from.

    Args:
        adapted: what came of it.
        state: what it was adapted from.
        out: for the model, its papers and its checkpoint.
        crops: folder of pictures to compare the arrows on.
        cache: for decoded pictures.
    """
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out) as folder:
        young = Path(folder)
        torch.save(adapted.state, young / CHECKPOINT)
        papers = young / PAPERS
        papers.write_text(json.dumps(_papers(state, adapted), indent=2) + "\n", encoding="utf-8")
        export(young / CHECKPOINT, crops, cache, out, papers_file=papers)
        # Last, so that they are never those of a model that was not written.
        for name in (CHECKPOINT, PAPERS):
            (young / name).replace(out / name)


def _papers(state: Path, adapted: Adapted) -> dict[str, Any]:
    """What the first model's papers say, and that it learned here; its figures are no longer this one's."""
    if state == _SHIPPED_STATE and _SHIPPED_PAPERS.is_file():
        papers: dict[str, Any] = json.loads(_SHIPPED_PAPERS.read_text(encoding="utf-8"))
    else:
        known = f"those of {state.name}"
        papers = dict.fromkeys(("licence", "terms", "training_data", "provenance"), known)
    papers["training_data"] += "; adapted without labels to the crops of one site"
    papers["provenance"] += "; reid-tracker adapt"
    papers["figures"] = {"agreement on held-out people": {"before": adapted.before, "after": adapted.after}}
    return papers
