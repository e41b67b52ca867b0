"""The parts of ``benchmarks.gpu`` that run networks: a ResNet-50 in torch; engines of it and the shipped embedder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.gpu_measuring import Bench, Row, left_out, use_tf32

EMBEDDER = "alignedreid_small"
SIZE_HW = (256, 128)
PRECISIONS = ("fp16", "fp32", "int8")
_CALIBRATED_ON = 4  # drawn pictures: the ResNet's weights are drawn too, so that its answers mean nothing


def resnet50() -> Any:
    """ResNet-50 without its classifier, last stride 1, weights drawn."""
    from torch import nn

    class Bottleneck(nn.Module):
        def __init__(self, given: int, inner: int, stride: int) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for inputs, outputs, kernel, step in (
                (given, inner, 1, 1),
                (inner, inner, 3, stride),
                (inner, 4 * inner, 1, 1),
            ):
                layers += [nn.Conv2d(inputs, outputs, kernel, step, kernel // 2), nn.ReLU()]
            self.body = nn.Sequential(*layers[:-1])
            same = given == 4 * inner and stride == 1
            self.skip = nn.Identity() if same else nn.Conv2d(given, 4 * inner, 1, stride)
            self.last = nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.last(self.body(x) + self.skip(x))

    blocks: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    given = 64
    for inner, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 1)):
        for number in range(count):
            blocks.append(Bottleneck(given, inner, stride if number == 0 else 1))
            given = 4 * inner
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def gflop_of_resnet() -> float:
    """Arithmetic of one crop, a multiplication and an addition counted as two."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        resnet50().to("meta")(torch.empty(1, 3, *SIZE_HW, device="meta"))
    return float(counter.get_total_flops() / 1e9)


def gflop_of_file(path: Path) -> float:
    """Convolutions and products of an ONNX network for one crop, counted likewise. Sizes are seen by running it."""
    import onnx

    from reid_tracker.runtime.graphs import run_on_processor
    from reid_tracker.runtime.graphs.prepare import load_network

    model = load_network(path)
    given = model.graph.input[0]
    # What one number of the output is summed over: a filter of a convolution, a row of a product.
    factors = {"Conv": 1, "Gemm": 0, "MatMul": 0}
    products = [node for node in model.graph.node if node.op_type in factors]
    seen = {name for node in products for name in (node.input[factors[node.op_type]], node.output[0])}
    seen -= {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(seen))
    shape = [size.dim_value or 1 for size in given.type.tensor_type.shape.dim]
    crop = np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type))
    sizes = {
        name: value.shape for name, value in run_on_processor(model.SerializeToString(), [{given.name: crop}]).items()
    }
    total = 0
    for node in products:
        factor = sizes[node.input[factors[node.op_type]]]
        summed = factor[1:] if node.op_type == "Conv" else factor[-1:]
        total += 2 * int(np.prod(summed)) * int(np.prod(sizes[node.output[0]]))
    return total / 1e9


def networks(bench: Bench) -> Iterator[Row]:
    """ResNet-50 in torch: as it is at each precision, and compiled for two batches."""
    import torch

    gflop = gflop_of_resnet()
    cases = [("eager", precision, (1,) if bench.small else (1, 16, 64, 256)) for precision in ("fp32", "tf32", "fp16")]
    if not bench.small:
        cases += [("compile", precision, (64, 256)) for precision in ("fp16", "fp32")]
    for form, precision, batches in cases:
        dtype = torch.float16 if precision == "fp16" else torch.float32
        use_tf32(precision == "tf32")
        network = resnet50().to(bench.device, dtype).to(memory_format=torch.channels_last)
        run = network if form == "eager" else torch.compile(network, dynamic=False)
        for batch in batches:
            crops = torch.rand(batch, 3, *SIZE_HW, device=bench.device, dtype=dtype)
            crops = crops.to(memory_format=torch.channels_last)
            with torch.inference_mode():
                name = f"torch {form} {precision} batch {batch}"
                yield bench.row(name, lambda f=run, x=crops: f(x), batch, gflop, precision)
    use_tf32(False)


def engines(bench: Bench) -> Iterator[Row]:
    """The shipped embedder and the ResNet-50 on every engine that is here."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in (EMBEDDER, "resnet50"):
            try:
                path, pictures = _material(model, folder)
                gflop = gflop_of_file(path)
            except Exception as error:  # no torch to export with, no pydantic to read papers with: the rest goes on
                yield left_out(model, error)
                continue
            forms = [f"{engine} {p}" for engine in ("onnxruntime-cuda", "tensorrt") for p in PRECISIONS]
            if model == EMBEDDER:
                forms.insert(0, "onnxruntime fp32")
            for form in forms:
                yield from _engine(bench, model, path, pictures, form, gflop, folder)


def _material(model: str, folder: Path) -> tuple[Path, Path | None]:
    """The network's file, and what to calibrate it on: a folder of pictures, or None for people of the clip."""
    if model == EMBEDDER:
        from reid_tracker.runtime import shipped_model

        return shipped_model(model).path, None
    import torch

    path, pictures = folder / f"{model}.onnx", folder / "pictures"
    free = {"crops": {0: "N"}, "vectors": {0: "N"}}
    torch.onnx.export(
        resnet50(), (torch.rand(1, 3, *SIZE_HW),), str(path), input_names=["crops"], output_names=["vectors"],
        dynamic_axes=free, dynamo=False,
    )  # fmt: skip
    pictures.mkdir()
    draw = np.random.default_rng(0)
    for number in range(_CALIBRATED_ON):
        cv2.imwrite(str(pictures / f"{number}.png"), draw.integers(0, 256, (*SIZE_HW, 3), np.uint8))
    return path, pictures


def _engine(
    bench: Bench, model: str, path: Path, pictures: Path | None, form: str, gflop: float, folder: Path
) -> Iterator[Row]:
    """Rows of one network on one engine, by batch."""
    name = f"{model} {form}"
    if bench.over:
        yield left_out(name, "the time is up")
        return
    engine, precision = form.split()
    try:
        if engine == "tensorrt":
            yield {"name": f"{name} built", **_build(str(path) if pictures else model, precision, pictures, folder)}
        session = _opened(engine, path, precision, pictures, folder)
    except Exception as error:  # each library raises its own
        yield left_out(name, error)
        return
    spec = session.inputs[0]
    size = (*SIZE_HW, 3) if spec.shape[3] == 3 else (3, *SIZE_HW)
    for batch in (1,) if bench.small else (1, 16, 64, 256):
        crops = {spec.name: np.full((batch, *size), 100, spec.dtype)}
        yield bench.row(f"{name} batch {batch}", lambda x=crops: session.run(x), batch, gflop, precision)
    if hasattr(session, "close"):
        session.close()


def _opened(engine: str, path: Path, precision: str, pictures: Path | None, folder: Path) -> Any:
    """A session; ONNX Runtime's is on the very network that TensorRT would build from."""
    from reid_tracker.config import RuntimeConfig
    from reid_tracker.runtime import open_session

    if engine != "onnxruntime-cuda":
        return open_session(path, RuntimeConfig(backend=engine, precision=precision, engine_cache=str(folder)))
    import onnxruntime

    from reid_tracker.runtime.onnxruntime_session import OnnxRuntimeSession

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise RuntimeError("this ONNX Runtime has no CUDA")
    converted = folder / f"{path.stem}-{precision}.onnx"
    converted.write_bytes(_converted(path, precision, pictures))
    return OnnxRuntimeSession(converted, "fp32", 1, "benchmark", cuda=True)


def _converted(path: Path, precision: str, pictures: Path | None) -> bytes:
    from reid_tracker.compilation.build import _spec_of
    from reid_tracker.compilation.pictures import picture_batches
    from reid_tracker.runtime.graphs import convert

    batches = picture_batches(_spec_of(path), True, SIZE_HW, pictures) if precision == "int8" else []
    return convert(path, precision, batches).network


def _build(model: str, precision: Any, pictures: Path | None, folder: Path) -> Row:
    """An engine where a GPU can run it: seconds that took, and how far it is from float32."""
    from reid_tracker.compilation import EngineOptions, build_engines
    from reid_tracker.runtime import cuda
    from reid_tracker.runtime.tensorrt.cache import EngineCache

    if cuda.probe().device is None:
        raise RuntimeError(cuda.probe().reason)
    options = EngineOptions(precision=precision, batch=(1, 64, 256), pictures=pictures, force=True)
    record = build_engines(model, options, EngineCache(folder)).record
    return {"seconds": round(record.seconds, 1), "parity": record.parity}
