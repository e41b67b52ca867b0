"""How fast networks, distances and crops are on this machine's GPU, and how near to what the GPU can do.

    python -m benchmarks.gpu [--only ceilings networks engines distance crops] [--small]

Needs torch and numpy; runs whatever else the machine has and says of the rest why it was left out; ``--small`` is for
trying the program on a processor. Prints tables and writes benchmarks/results/gpu.json (gpu_small.json).

* ceilings: products of large square matrices and copies of large arrays, the measure for what follows;
* networks: crops a second of a ResNet-50 with last stride 1 at 256 x 128 (8.6 GFLOP, drawn weights) in torch, eager and
  compiled, by batch and precision, and the share of the product ceiling that it reaches;
* engines: the shipped embedder on ONNX Runtime (processor, CUDA) and on TensorRT at fp32, fp16 and int8, by batch;
  TensorRT engines are built into a folder of their own and compared with float32 on real crops on the way;
* distance: the aligned distance of Market-1501's size, kernel and plain torch, beside the time that its arithmetic and
  its memory traffic take at the measured ceilings; k-reciprocal re-ranking of the same size;
* crops: people cut, resized and normalised from a 1080p frame.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reid_tracker.errors import ReidTrackerError

RESULTS = Path(__file__).parent / "results"
PARTS = ("ceilings", "networks", "engines", "distance", "crops")
EMBEDDER = "alignedreid_small"
QUERIES, GALLERY, STRIPES, DEPTH, DIMENSION = 3368, 15913, 8, 128, 256


def seconds_each(work: Callable[[], object], device: str, least: float) -> list[float]:
    """Seconds of each call, after three unmeasured, for about ``least`` seconds and five calls at least."""
    import torch

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        work()
    wait()
    taken: list[float] = []
    while sum(taken) < least or len(taken) < 5:
        started = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - started)
    return taken


def percentiles(taken: list[float]) -> dict[str, float]:
    """Milliseconds."""
    p50, p99 = np.percentile(taken, (50, 99)) * 1e3
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def ceilings(device: str, small: bool) -> dict[str, Any]:
    """Matrix products in TFLOP/s by type, copies in GB/s."""
    import torch

    side, least = (256, 0.1) if small else (8192, 1.0)
    found: dict[str, Any] = {}
    for name, dtype in (("fp32", torch.float32), ("fp16", torch.float16), ("int8", torch.int8)):
        try:
            first = torch.ones(side, side, device=device).to(dtype)
            product = torch._int_mm if dtype is torch.int8 else torch.mm
            best = min(seconds_each(lambda a=first, f=product: f(a, a), device, least))
            found[name] = round(2 * side**3 / best / 1e12, 2)
        except RuntimeError as error:
            print(f"  {name}: left out, {str(error).splitlines()[0]}")
    source = torch.empty((1 << 22) if small else (1 << 28), device=device)
    target = torch.empty_like(source)
    best = min(seconds_each(lambda: target.copy_(source), device, least))
    found["copy_gb_s"] = round(2 * source.nbytes / best / 1e9, 1)
    for name, value in found.items():
        print(f"  {name}: {value} {'GB/s' if name == 'copy_gb_s' else 'TFLOP/s'}")
    return found


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


GFLOP_RESNET = 8.1  # 4.05 GMAC at 256 x 128 with last stride 1


def networks(device: str, small: bool, ceiling: dict[str, Any]) -> list[dict[str, Any]]:
    """ResNet-50 in torch."""
    import torch

    rows = []
    for precision, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        network = resnet50().to(device, dtype).to(memory_format=torch.channels_last)
        for form in ("eager", "compile"):
            if small and form == "compile":
                continue
            run = network if form == "eager" else torch.compile(network, mode="max-autotune-no-cudagraphs")
            for batch in (1,) if small else (1, 16, 64, 256):
                crops = torch.ones(batch, 3, 256, 128, device=device, dtype=dtype).to(memory_format=torch.channels_last)
                try:
                    with torch.inference_mode():
                        taken = seconds_each(lambda f=run, x=crops: f(x), device, 0.1 if small else 1.0)
                except RuntimeError as error:
                    print(f"  torch {form} {precision} batch {batch}: left out, {str(error).splitlines()[0]}")
                    continue
                rate = batch / float(np.median(taken))
                share = rate * GFLOP_RESNET / 1e3 / ceiling[precision] if ceiling.get(precision) else None
                rows.append(
                    {"form": f"torch {form}", "precision": precision, "batch": batch, "crops_s": round(rate, 1)}
                    | percentiles(taken)
                    | {"share_of_ceiling": round(share, 3) if share else None}
                )
                print("  " + "  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    return rows


def engines(small: bool) -> list[dict[str, Any]]:
    """The shipped embedder on every engine that is here."""
    try:
        from reid_tracker.config import RuntimeConfig
        from reid_tracker.runtime import open_session, shipped_model
    except ImportError as error:  # a bare machine with torch alone still measures all the rest
        print(f"  left out: {error}")
        return []
    model = shipped_model(EMBEDDER)
    size = model.manifest.input.size_hw or (256, 128)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        forms: list[tuple[str, dict[str, Any]]] = [("onnxruntime fp32", {"backend": "onnxruntime"})]
        forms.append(("onnxruntime-cuda fp32", {"backend": "tensorrt", "fallback": ["onnxruntime-cuda"]}))
        for precision in ("fp32", "fp16", "int8"):
            forms.append((f"tensorrt {precision}", {"backend": "tensorrt", "precision": precision}))
        for name, settings in forms:
            try:
                if name.startswith("tensorrt"):
                    build(cache, settings["precision"], small)
                session = open_session(model.path, RuntimeConfig(engine_cache=cache, **settings))
            except ReidTrackerError as error:
                print(f"  {name}: left out, {error}")
                continue
            for batch in (1,) if small else (1, 16, 64, 256):
                crops = {model.manifest.input.name: np.full((batch, *size, 3), 100, np.uint8)}
                taken = seconds_each(lambda s=session, x=crops: s.run(x), "cpu", 0.1 if small else 1.0)
                rate = batch / float(np.median(taken))
                rows.append({"form": name, "batch": batch, "crops_s": round(rate, 1)} | percentiles(taken))
                print("  " + "  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    return rows


def build(cache: str, precision: Any, small: bool) -> None:
    """An engine where a GPU can run it; the comparison goes into the printed lines."""
    from reid_tracker.runtime import cuda
    from reid_tracker.runtime.tensorrt.opening import EngineUnavailable

    if cuda.probe().device is None:
        raise EngineUnavailable(cuda.probe().reason)
    from reid_tracker.compilation import EngineOptions, build_engines
    from reid_tracker.runtime.tensorrt.cache import EngineCache

    options = EngineOptions(precision=precision, batch=(1, 16, 16) if small else (1, 64, 256), force=True)
    built = build_engines(EMBEDDER, options, EngineCache(Path(cache)))
    print(f"  {built.record.name}: {built.record.seconds:.0f} s to build, parity {built.record.parity}")


def distance(device: str, small: bool, ceiling: dict[str, Any]) -> dict[str, Any]:
    """Market-1501's size."""
    import torch

    from reid_tracker.gpu import aligned_distance, aligned_distance_shortlist, rerank_distance

    m, n = (20, 100) if small else (QUERIES, GALLERY)

    def unit(*shape: int) -> Any:
        vectors = torch.randn(*shape, device=device, generator=torch.Generator(device).manual_seed(shape[0]))
        return vectors / vectors.norm(dim=-1, keepdim=True)

    queries, gallery = unit(m, STRIPES, DEPTH), unit(n, STRIPES, DEPTH)
    shortlist = torch.randint(0, n, (m, 50), device=device)
    work: dict[str, Callable[[], object]] = {"torch": lambda: aligned_distance(queries, gallery, kernel=False)}
    if device == "cuda":
        work["kernel"] = lambda: aligned_distance(queries, gallery, kernel=True)
        work["kernel, shortlist of 50"] = lambda: aligned_distance_shortlist(queries, gallery, shortlist, kernel=True)
        for tile, warps in (((32, 32), 4), ((32, 64), 4), ((64, 64), 8), ((64, 32), 8), ((16, 64), 4)):
            work[f"kernel, tile {tile[0]}x{tile[1]}, {warps} warps"] = tiled(queries, gallery, tile, warps)
    else:
        print("  kernel: left out, no GPU")
    work["torch, shortlist of 50"] = lambda: aligned_distance_shortlist(queries, gallery, shortlist, kernel=False)
    vectors = unit(m, DIMENSION), unit(n, DIMENSION)
    work["re-ranking"] = lambda: rerank_distance(*vectors)
    rows: dict[str, Any] = {"queries": m, "gallery": n}
    for name, call in work.items():
        try:
            rows[name] = percentiles(seconds_each(call, device, 0.1 if small else 1.0))
        except (
            Exception
        ) as error:  # whatever stops one form (memory, a tile that does not compile) must not lose the rest
            rows[name] = (str(error) or type(error).__name__).splitlines()[0]
        print(f"  {name}: {rows[name]}")
    if ceiling.get("fp32"):
        flops = 2 * m * n * STRIPES * STRIPES * DEPTH
        rows["arithmetic_floor_ms"] = round(flops / ceiling["fp32"] / 1e9, 4)
        moved = 4 * (STRIPES * DEPTH * (m + n) + m * n)
        rows["memory_floor_ms"] = round(moved / ceiling["copy_gb_s"] / 1e6, 4)
        print(f"  floors: arithmetic {rows['arithmetic_floor_ms']} ms (fp32), memory {rows['memory_floor_ms']} ms")
    return rows


def tiled(queries: Any, gallery: Any, tile: tuple[int, int], warps: int) -> Callable[[], object]:
    """The kernel at another size of tile."""

    def run() -> object:
        from reid_tracker.gpu.aligned_kernel import all_pairs

        return all_pairs(queries, gallery, tile, warps)

    return run


def crops(device: str, small: bool) -> dict[str, Any]:
    """Sixty-four people of a 1080p frame, from its upload to a network's input."""
    import torch

    from reid_tracker.gpu import crop_people, normalised

    draw = np.random.default_rng(0)
    count = 4 if small else 64
    frame = draw.integers(0, 256, (1080, 1920, 3), np.uint8)
    height = draw.uniform(120, 600, count)
    left, top = draw.uniform(0, 1500, count), draw.uniform(0, 400, count)
    boxes = torch.from_numpy(np.stack([left, top, left + height * 0.4, top + height], axis=1)).to(device)
    held = torch.from_numpy(frame)
    resident = held.to(device)

    def whole(picture: Any) -> object:
        cut, _ = crop_people(picture, boxes, (256, 128))
        return normalised(cut, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), half=True)

    found: dict[str, Any] = {}
    for name, call in (
        ("frame on the device", lambda: whole(resident)),
        ("with upload", lambda: whole(held.to(device))),
    ):
        taken = seconds_each(call, device, 0.1 if small else 1.0)
        found[name] = {"crops_s": round(count / float(np.median(taken)), 1), **percentiles(taken)}
        print(f"  {name}: {found[name]}")
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--small", action="store_true", help="small sizes, to try the program on a processor")
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("torch is not installed: nothing can be measured here; pip install torch")
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "CPU",
        "torch": torch.__version__,
        "small": options.small,
    }
    print(f"{report['device']}, torch {report['torch']}")
    if device == "cpu" and not options.small:
        print("no GPU that torch can use: run this on a GPU, or try it with --small")
        return
    ceiling: dict[str, Any] = {}
    for part in (part for part in PARTS if part in options.only):
        print(f"{part}:")
        if part == "ceilings":
            ceiling = ceilings(device, options.small)
            report[part] = ceiling
        elif part == "networks":
            report[part] = networks(device, options.small, ceiling)
        elif part == "engines":
            report[part] = engines(options.small)
        elif part == "distance":
            report[part] = distance(device, options.small, ceiling)
        else:
            report[part] = crops(device, options.small)
        path = RESULTS / ("gpu_small.json" if options.small else "gpu.json")
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")  # after each part: none is lost


if __name__ == "__main__":
    main()
