"""How fast networks, distances and crops are on this machine's GPU, and how near to what the GPU can do.

    python -m benchmarks.gpu [--only ceilings distance crops networks engines] [--minutes 8] [--small]

Needs torch and numpy; runs whatever else the machine has and says of the rest why it was left out; ``--small`` is for
trying the program on a processor. Prints rows and writes each at once to benchmarks/results/gpu.json
(gpu_small.json). After ``--minutes`` nothing more is begun, and what is left is named.

* ceilings: products of large square matrices of drawn numbers and copies of large arrays, the measure for what follows;
  fp32 is float32 throughout, tf32 is float32 with factors rounded to 10 bits, in products and convolutions alike;
* distance: the aligned distance of Market-1501's size, kernel and plain torch, beside the time that its arithmetic and
  its memory traffic take at the measured ceilings; k-reciprocal re-ranking of the same size;
* crops: people cut, resized and normalised from a 1080p frame;
* networks: crops a second of a ResNet-50 with last stride 1 at 256 x 128 (8.1 GFLOP, drawn weights) in torch, eager and
  compiled, by batch and precision, and the share of the product ceiling that it reaches;
* engines: the shipped embedder and that ResNet-50 on ONNX Runtime (CUDA; the embedder also on the processor) and on
  TensorRT at fp16, fp32 and int8, by batch; TensorRT engines are built into a folder of their own and compared with
  float32 on the way.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_measuring import Bench, Row, left_out, use_tf32
from benchmarks.gpu_networks import engines, networks

RESULTS = Path(__file__).parent / "results"
QUERIES, GALLERY, STRIPES, DEPTH, DIMENSION = 3368, 15913, 8, 128, 256
TILES = (((32, 32), 4), ((32, 64), 4), ((64, 64), 8), ((64, 32), 8), ((16, 64), 4))


def ceilings(bench: Bench) -> Iterator[Row]:
    """Matrix products in TFLOP/s by precision, copies in GB/s; what is found is kept for the other parts."""
    import torch

    side = 256 if bench.small else 8192
    for precision in ("fp32", "tf32", "fp16", "int8"):
        use_tf32(precision == "tf32")
        try:
            best = min(bench.seconds(product_of(precision, side, bench.device)))
        except Exception as error:
            yield left_out(precision, error)
            continue
        bench.ceilings[precision] = round(2 * side**3 / best / 1e12, 3)
        yield {"name": precision, "tflop_s": bench.ceilings[precision]}
    use_tf32(False)
    source = torch.rand((1 << 22) if bench.small else (1 << 28), device=bench.device)
    target = torch.empty_like(source)
    best = min(bench.seconds(lambda: target.copy_(source)))
    bench.ceilings["copy_gb_s"] = round(2 * source.nbytes / best / 1e9, 1)
    yield {"name": "copy", "gb_s": bench.ceilings["copy_gb_s"]}


def product_of(precision: str, side: int, device: str) -> Callable[[], object]:
    """A product of two square matrices. Of drawn numbers: equal ones take less power, and clocks rise."""
    import torch

    if precision == "int8":
        first, second = (torch.randint(-127, 128, (side, side), device=device, dtype=torch.int8) for _ in range(2))
        return lambda: torch._int_mm(first, second)
    dtype = torch.float16 if precision == "fp16" else torch.float32
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return lambda: left @ right


def distance(bench: Bench) -> Iterator[Row]:
    """Market-1501's size."""
    import torch

    from reid_tracker.gpu import aligned_distance, aligned_distance_shortlist, rerank_distance

    device = bench.device
    m, n = (20, 100) if bench.small else (QUERIES, GALLERY)

    def unit(*shape: int) -> Any:
        vectors = torch.randn(*shape, device=device, generator=torch.Generator(device).manual_seed(shape[0]))
        return vectors / vectors.norm(dim=-1, keepdim=True)

    queries, gallery = unit(m, STRIPES, DEPTH), unit(n, STRIPES, DEPTH)
    shortlist = torch.randint(0, n, (m, 50), device=device)
    vectors = unit(m, DIMENSION), unit(n, DIMENSION)
    if device == "cuda":
        yield bench.row("kernel", lambda: aligned_distance(queries, gallery, kernel=True))
        yield bench.row(
            "kernel, shortlist of 50", lambda: aligned_distance_shortlist(queries, gallery, shortlist, kernel=True)
        )
    else:
        yield left_out("kernel", "no GPU")
    yield bench.row("torch", lambda: aligned_distance(queries, gallery, kernel=False))
    yield bench.row(
        "torch, shortlist of 50", lambda: aligned_distance_shortlist(queries, gallery, shortlist, kernel=False)
    )
    yield bench.row("re-ranking", lambda: rerank_distance(*vectors))
    if bench.ceilings.get("fp32"):
        flops = 2 * m * n * STRIPES * STRIPES * DEPTH
        moved = 4 * (STRIPES * DEPTH * (m + n) + m * n)
        yield {
            "name": f"floors of {m} x {n}",
            "arithmetic_fp32_ms": round(flops / bench.ceilings["fp32"] / 1e9, 4),
            "memory_ms": round(moved / bench.ceilings["copy_gb_s"] / 1e6, 4),
        }
    for tile, warps in TILES if device == "cuda" else ():
        yield bench.row(f"kernel, tile {tile[0]}x{tile[1]}, {warps} warps", tiled(queries, gallery, tile, warps))


def tiled(queries: Any, gallery: Any, tile: tuple[int, int], warps: int) -> Callable[[], object]:
    """The kernel at another size of tile."""

    def run() -> object:
        from reid_tracker.gpu.aligned_kernel import all_pairs

        return all_pairs(queries, gallery, tile, warps)

    return run


def crops(bench: Bench) -> Iterator[Row]:
    """Sixty-four people of a 1080p frame, from its upload to a network's input."""
    import torch

    from reid_tracker.gpu import crop_people, normalised

    draw = np.random.default_rng(0)
    count = 4 if bench.small else 64
    frame = draw.integers(0, 256, (1080, 1920, 3), np.uint8)
    height = draw.uniform(120, 600, count)
    left, top = draw.uniform(0, 1500, count), draw.uniform(0, 400, count)
    boxes = torch.from_numpy(np.stack([left, top, left + height * 0.4, top + height], axis=1))
    held = torch.from_numpy(frame)
    resident = held.to(bench.device)

    def whole(picture: Any) -> object:
        cut, _ = crop_people(picture, boxes, (256, 128))
        return normalised(cut, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), half=True)

    yield bench.row("frame on the device", lambda: whole(resident), count)
    yield bench.row("with upload", lambda: whole(held.to(bench.device)), count)


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "ceilings": ceilings,
    "distance": distance,
    "crops": crops,
    "networks": networks,
    "engines": engines,
}


def measure(bench: Bench, parts: list[str], report: dict[str, Any], path: Path) -> None:
    """Work the parts off in their order; each row is printed and written at once: whatever comes later, it stays."""
    for part in (part for part in PARTS if part in parts):
        print(f"{part}:")
        rows: list[Row] = []
        report[part] = rows
        for row in guarded(part, PARTS[part](bench)):
            rows.append(row)
            print("  " + "  ".join(f"{key} {value}" if key != "name" else f"{value}:" for key, value in row.items()))
            path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def guarded(part: str, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, and where a part fails as a whole a last one that says why."""
    try:
        yield from rows
    except Exception as error:
        yield left_out(f"the rest of {part}", error)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=8, help="after which nothing more is begun")
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
    use_tf32(False)
    bench = Bench(device, options.small, time.monotonic() + 60 * options.minutes)
    measure(bench, options.only, report, RESULTS / ("gpu_small.json" if options.small else "gpu.json"))


if __name__ == "__main__":
    main()
