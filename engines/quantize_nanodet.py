"""Make engines/nanodet_g_int8 from engines/nanodet_g: eight-bit arithmetic, half the time on a CPU.

    python engines/quantize_nanodet.py engines/nanodet_g/model.onnx engines/nanodet_g_int8 VIDEO [VIDEO ...]

Post-training quantisation by NNCF (fast bias correction, asymmetric activations, symmetric weights). The videos say
which numbers occur inside the network: frames from all of them, at several scales and brightnesses, so that one
scene's light does not become everybody's. No labels are used. Needs ``nncf`` and ``openvino``.

The result is OpenVINO's own format: OpenVINO 2026.4 reads the same network wrongly from ONNX (scores fall by half).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import nncf
import numpy as np
import openvino

SIDES = (416, 640)  # longer sides of the network's input
GAMMAS = (0.5, 1.0, 1.8)
PAD = 114


def frames(videos: list[Path], each: int) -> Iterator[np.ndarray]:
    """``each`` frames of every video, spread over its length."""
    for path in videos:
        video = cv2.VideoCapture(str(path))
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        for index in range(count):
            decoded, image = video.read()
            if not decoded:
                break
            if index % max(1, count // each) == 0:
                yield image
        video.release()


def network_input(image: np.ndarray, number: int) -> np.ndarray:
    """(1, side, side, 3): a frame in the scale and brightness whose turn it is, at the top left of a grey square."""
    side, gamma = SIDES[number % len(SIDES)], GAMMAS[number % len(GAMMAS)]
    scale = side / max(image.shape[:2])
    height, width = (round(length * scale) for length in image.shape[:2])
    canvas = np.full((1, side, side, 3), PAD, np.uint8)
    shaded = (255 * (cv2.resize(image, (width, height)) / 255.0) ** gamma).astype(np.uint8)
    canvas[0, :height, :width] = shaded
    return canvas


def main(arguments: list[str]) -> None:
    """Quantise and write; says the checksums that model.json must hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path, help="folder for model.xml and model.bin")
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=60, help="of each video")
    options = parser.parse_args(arguments)
    pictures = [network_input(image, number) for number, image in enumerate(frames(options.videos, options.frames))]
    quantised = nncf.quantize(
        openvino.Core().read_model(options.model),
        nncf.Dataset(pictures, lambda picture: {"image": picture}),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(pictures),
        fast_bias_correction=True,
    )
    options.output.mkdir(parents=True, exist_ok=True)
    openvino.save_model(quantised, options.output / "model.xml")
    for name in ("model.xml", "model.bin"):
        data = (options.output / name).read_bytes()
        sys.stdout.write(f"{name}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
