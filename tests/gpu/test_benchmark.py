"""What a GPU benchmark measured stays, whatever fails or takes too long after it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from benchmarks import gpu, gpu_networks  # noqa: E402
from benchmarks.gpu_measuring import Bench, Row, use_tf32  # noqa: E402


@pytest.fixture
def bench() -> Bench:
    return Bench("cpu", small=True, ends=time.monotonic() + 60)


def test_the_short_parts_come_first() -> None:
    assert list(gpu.PARTS) == ["ceilings", "distance", "crops", "networks", "engines"]


def test_a_form_that_fails_is_named_with_its_reason(bench: Bench) -> None:
    def missing() -> None:
        raise ImportError("No module named 'pydantic'\nand more")

    assert bench.row("a form", missing) == {"name": "a form", "left_out": "No module named 'pydantic'"}


def test_when_the_time_is_up_what_is_left_is_named() -> None:
    over = Bench("cpu", small=True, ends=time.monotonic() - 1)
    assert over.row("a form", lambda: pytest.fail("was run"))["left_out"] == "the time is up"
    rows = list(gpu_networks._engine(over, "model", Path("x.onnx"), None, "tensorrt fp16", 1.0, Path()))
    assert rows == [{"name": "model tensorrt fp16", "left_out": "the time is up"}]


def test_rows_are_written_before_a_part_fails(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gpu.json"
    seen = []

    def breaks(_bench: Bench) -> Iterator[Row]:
        yield {"name": "first", "p50_ms": 1.0}
        seen.append(json.loads(path.read_text())["distance"])
        raise MemoryError

    def goes_on(_bench: Bench) -> Iterator[Row]:
        yield {"name": "second", "p50_ms": 2.0}

    monkeypatch.setattr(gpu, "PARTS", {"distance": breaks, "crops": goes_on})
    gpu.measure(bench, ["distance", "crops"], {"device": "a GPU"}, path)
    assert seen == [[{"name": "first", "p50_ms": 1.0}]]
    assert json.loads(path.read_text()) == {
        "device": "a GPU",
        "distance": [*seen[0], {"name": "the rest of distance", "left_out": "MemoryError"}],
        "crops": [{"name": "second", "p50_ms": 2.0}],
    }
    assert "first:  p50_ms 1.0" in capsys.readouterr().out


def test_an_engine_that_does_not_open_leaves_the_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(engine: str, *_rest: object) -> object:
        raise ImportError(f"no {engine}")

    monkeypatch.setattr(gpu_networks, "_opened", opened)
    monkeypatch.setattr(gpu_networks, "_material", lambda model, folder: (folder / f"{model}.onnx", folder))
    monkeypatch.setattr(gpu_networks, "gflop_of_file", lambda _path: 1.0)
    rows = list(gpu_networks.engines(bench))
    assert len(rows) == 13
    assert all("left_out" in row for row in rows)


@pytest.mark.filterwarnings("ignore")  # torch has newer names for it, which older versions lack
def test_products_and_convolutions_are_rounded_alike() -> None:
    for allowed in (True, False):
        use_tf32(allowed)
        assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is allowed


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_ceilings_are_of_drawn_numbers(precision: str) -> None:
    """A product of equal numbers takes less power than real ones, and promises what nothing reaches."""
    assert gpu.product_of(precision, 64, "cpu")().unique().numel() > 1000  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore")  # torch would rather export in another way
def test_arithmetic_of_networks_is_counted(tmp_path: Path) -> None:
    """By two ways; the documents say 8.1."""
    small = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    path = tmp_path / "small.onnx"
    free = {"crops": {0: "N"}}
    torch.onnx.export(
        small.eval(), (torch.rand(1, 3, 8, 8),), str(path), input_names=["crops"], dynamic_axes=free, dynamo=False
    )
    assert gpu_networks.gflop_of_file(path) == pytest.approx(2 * 27 * 4 * 4 * 4 / 1e9)
    assert gpu_networks.gflop_of_resnet() == pytest.approx(8.1, abs=0.05)
