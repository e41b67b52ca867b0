"""Checkpoint to a model that ships: ``python -m reid_tracker.training.export --checkpoint C --out engines/NAME``.

What is written takes uint8 BGR crops and gives unit vectors: colour order and normalisation are in the graph. Weights
are stored in half precision and widened by the engine when it loads them, so that arithmetic stays float32. Each
arrow (network, folded network, ONNX Runtime, OpenVINO) is compared on real crops before anything is replaced.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import logging
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from reid_tracker.embedding.crops import CROP_RULE
from reid_tracker.errors import ConfigError, InputError, ModelError
from reid_tracker.training.checkpoints import fitting, keep_state, load
from reid_tracker.training.data import decode_people, read_people
from reid_tracker.training.network import (
    GLOBAL_SIZE,
    STRIPE_SIZE,
    STRIPES,
    AlignedReIDNet,
    PixelNetwork,
    set_last_stride,
)
from reid_tracker.training.recipe import Recipe

logger = logging.getLogger(__name__)

OPSET = 17
LEAST_COSINE = 0.9999  # of float32 arithmetic on the very same weights
LEAST_COSINE_HALF = 0.999  # of weights rounded to half precision
_HALF_FROM = 1024  # smaller tensors stay as they are: nothing to gain


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint's averaged network, and what it was trained by."""

    network: AlignedReIDNet
    recipe: Recipe
    seen: int


def load_trained(checkpoint: Path, last_stride: int | None = None) -> Trained:
    """The averaged network of a checkpoint or of a kept training state, in evaluation mode.

    Args:
        checkpoint: what ``train`` wrote, or ``keep_state`` made of it.
        last_stride: None takes that of the recipe's last stage.

    Raises:
        ModelError: it is missing or holds something else.
    """
    if not checkpoint.is_file():
        raise ModelError(f"{checkpoint}: no such checkpoint")
    state = load(checkpoint, "averaged", "recipe", "seen")
    with fitting(checkpoint):
        recipe = Recipe.model_validate_json(state["recipe"])
        network = AlignedReIDNet(recipe.backbone)
        network.load_state_dict({name: _widen(value) for name, value in state["averaged"].items()})
    set_last_stride(network, last_stride or recipe.stages[-1].last_stride)
    return Trained(network.eval().requires_grad_(False), recipe, int(state["seen"]))


def _widen(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.dtype == torch.float16 else value


def fold_batchnorm(network: AlignedReIDNet) -> AlignedReIDNet:
    """A copy in which each batch normalisation is part of the convolution before it."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        for convolution, norm in _pairs(module):
            fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
            setattr(module, convolution, fused)
            setattr(module, norm, nn.Identity())
    return folded


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Names of convolution and normalisation that follow one another; children are listed in that order."""
    children = list(module.named_children())
    return [
        (name, next_name)
        for (name, child), (next_name, follower) in pairwise(children)
        if isinstance(child, nn.Conv2d) and isinstance(follower, nn.BatchNorm2d)
    ]


def write_onnx(network: AlignedReIDNet, size_hw: tuple[int, int], file: Path) -> None:
    """Export with a free batch; input ``crops``, outputs ``global`` and ``stripes``."""
    example = torch.zeros(2, *size_hw, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        # The new exporter needs a further package; this one is called old, and does all that is needed here.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Converting a tensor", Warning)  # sizes become constants, as they should
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # of paddings; the engines do it
        torch.onnx.export(
            PixelNetwork(fold_batchnorm(network)).eval(),
            (example,),
            str(file),
            input_names=["crops"],
            output_names=["global", "stripes"],
            dynamic_axes={"crops": {0: "N"}, "global": {0: "N"}, "stripes": {0: "N"}},
            opset_version=OPSET,
            dynamo=False,
        )


def store_half(file: Path) -> None:
    """Store large weights as float16, each behind a cast to float32 that engines fold away when they load.

    Depthwise weights stay: there are few, and each is so much of its channel that rounding shows.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(file))
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        depthwise = len(weight.dims) == 4 and weight.dims[1] == 1
        if weight.data_type != TensorProto.FLOAT or int(np.prod(weight.dims)) < _HALF_FROM or depthwise:
            continue
        name = weight.name
        half = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, name + "_half"))
        casts.append(helper.make_node("Cast", [name + "_half"], [name], to=TensorProto.FLOAT, name=name + "_widened"))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))


def torch_answers(network: AlignedReIDNet, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """What the network says about crops (N, H, W, 3)."""
    with torch.inference_mode():
        global_, stripes = PixelNetwork(network)(torch.from_numpy(np.array(crops)))
    return {"global": global_.numpy(), "stripes": stripes.numpy()}


def onnxruntime_answers(file: Path, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """The same by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(["global", "stripes"], {"crops": np.array(crops)})
    return {"global": np.asarray(found[0]), "stripes": np.asarray(found[1])}


def openvino_answers(file: Path, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """The same by OpenVINO, which would choose a shorter precision on some CPUs if it were not told."""
    import openvino

    compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({"crops": np.array(crops)})
    return {name: np.asarray(found[name]) for name in ("global", "stripes")}


def least_cosine(first: dict[str, NDArray[np.float32]], second: dict[str, NDArray[np.float32]]) -> float:
    """The worst agreement of two answers, over all vectors and stripes."""
    return min(float((first[name] * second[name]).sum(axis=-1).min()) for name in ("global", "stripes"))


def check_parity(
    network: AlignedReIDNet, file: Path, crops: NDArray[np.uint8], least: float = LEAST_COSINE
) -> dict[str, float]:
    """Compare each arrow with the network itself on real crops (N, H, W, 3).

    Returns:
        The worst cosine of each arrow, over all vectors and stripes.

    Raises:
        ModelError: two answers differ by more than rounding.
    """
    truth = torch_answers(network, crops)
    arrows = {
        "torch, folded": torch_answers(fold_batchnorm(network), crops),
        "onnxruntime": onnxruntime_answers(file, crops),
        "openvino": openvino_answers(file, crops),
    }
    cosines = {name: least_cosine(truth, answer) for name, answer in arrows.items()}
    for name, cosine in cosines.items():
        if not cosine >= least:
            raise ModelError(f"{file}: {name} differs from the network: cosine {cosine:.6f}, expected {least}")
    return cosines


def write_manifest(trained: Trained, size_hw: tuple[int, int], out: Path, papers: dict[str, Any]) -> None:
    """``model.json`` beside ``model.onnx``; ``papers`` holds licence, terms, training data and figures."""
    document = {
        "format": 1,
        "name": trained.recipe.name,
        "task": "embedder",
        "file": "model.onnx",
        "sha256": hashlib.sha256((out / "model.onnx").read_bytes()).hexdigest(),
        "input": {"name": "crops", "size_hw": size_hw, "colour": "bgr", "dtype": "uint8", "layout": "NHWC"},
        "outputs": {
            "global": {"shape": ["N", GLOBAL_SIZE], "unit_length": True, "meaning": "appearance of the whole person"},
            "stripes": {
                "shape": ["N", STRIPES, STRIPE_SIZE],
                "unit_length": True,
                "meaning": "appearance of 8 horizontal stripes, head to foot",
            },
        },
        "crop_rule": CROP_RULE,
        **papers,
    }
    (out / "model.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def export(
    checkpoint: Path,
    crops_folder: Path,
    cache: Path,
    out: Path,
    size_hw: tuple[int, int] | None = None,
    papers_file: Path | None = None,
    last_stride: int | None = None,
) -> None:
    """Export, compare, and only then replace what lies in ``out``.

    Args:
        checkpoint: what ``train`` wrote.
        crops_folder: pictures of people to compare on.
        cache: for the decoded pictures.
        out: folder of the shipped model.
        size_hw: of the crops; None takes that of the recipe's last stage.
        papers_file: JSON for the manifest; None takes ``papers.json`` in ``out``.
        last_stride: None takes that of the recipe's last stage.

    Raises:
        ConfigError: there are no papers.
        InputError: no picture to compare on decodes.
        ModelError: no checkpoint, or two arrows disagree.
    """
    papers = _read_papers(papers_file or out / "papers.json")
    trained = load_trained(checkpoint, last_stride)
    size_hw = size_hw or trained.recipe.stages[-1].size_hw
    people = read_people(crops_folder)
    few = people.only(np.arange(len(people)) % max(1, len(people) // 64) == 0)
    crops, readable = decode_people(few, size_hw, cache)
    if not readable.any():
        raise InputError(f"{crops_folder}: none of {len(few)} of its pictures decodes; vectors are compared on them")
    out.mkdir(parents=True, exist_ok=True)
    young = out / "model.new.onnx"
    try:
        write_onnx(trained.network, size_hw, young)
        full = check_parity(trained.network, young, crops[readable])
        store_half(young)
        half = check_parity(trained.network, young, crops[readable], LEAST_COSINE_HALF)
        young.replace(out / "model.onnx")
    finally:
        young.unlink(missing_ok=True)
    logger.info("%s after %d pictures; parity %s, stored half %s", out / "model.onnx", trained.seen, full, half)
    write_manifest(trained, size_hw, out, papers)


def _read_papers(file: Path) -> dict[str, Any]:
    wanted = ("licence", "terms", "training_data", "provenance", "figures")
    try:
        papers = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"papers {file}: cannot be read ({error}); write JSON with {', '.join(wanted)}") from error
    missing = [name for name in wanted if name not in papers]
    if missing:
        raise ConfigError(f"papers {file}: {', '.join(missing)} missing; whoever uses the model is told them")
    return dict(papers)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--crops", type=Path, required=True, help="folder of pictures of people to compare on")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model; its papers.json is copied")
    parser.add_argument("--keep-state", type=Path, help="also write what it takes to go on training")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="input size (default: the last stage's)")
    parser.add_argument("--last-stride", type=int, help="1 or 2 (default: the last stage's)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    size_hw = tuple(options.size) if options.size else None
    export(options.checkpoint, options.crops, options.cache, options.out, size_hw, last_stride=options.last_stride)
    if options.keep_state:
        keep_state(options.checkpoint, options.keep_state)


if __name__ == "__main__":
    main()
