"""Make an ONNX file of torchreid's weights of OSNet x0.25, to put them beside ours.

    python -m benchmarks.osnet_peer osnet_x0_25_market1501.pth out/osnet_x0_25_market1501.onnx
    python -m benchmarks.reid_market --peer out/osnet_x0_25_market1501.onnx

The whole network that torchreid extracts features with: backbone, mean over the map, its fully connected layer. The
file takes BGR 0..255 of 256 x 128 and gives 512 numbers. The weights are torchreid's models, e.g. as trackers that use
StrongSORT carry them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from reid_tracker.errors import ModelError
from reid_tracker.training.osnet import OSNet

SIZE_HW = (256, 128)
DIMENSION = 512


class OSNetFeatures(OSNet):
    """OSNet x0.25 with the layer that torchreid puts behind it."""

    def __init__(self) -> None:
        super().__init__(width=0.25)
        self.fc = nn.Sequential(nn.Linear(self.channels, DIMENSION), nn.BatchNorm1d(DIMENSION), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """BGR 0..255 (B, 3, H, W) to (B, 512)."""
        features: Tensor = self.fc(super().forward(x.flip(1) / 127.5 - 1).mean(dim=(2, 3)))
        return features


def read_weights(file: Path) -> OSNetFeatures:
    """The network with a file's weights, all but the classifier of its training people.

    Raises:
        ModelError: the file holds another network.
    """
    state = torch.load(file, map_location="cpu", weights_only=True)
    tensors = {name.removeprefix("module."): value for name, value in state.get("state_dict", state).items()}
    network = OSNetFeatures().eval()
    try:
        network.load_state_dict({name: value for name, value in tensors.items() if not name.startswith("classifier.")})
    except RuntimeError as error:
        raise ModelError(f"{file}: no OSNet x0.25 of torchreid: {error}") from error
    return network


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="a .pth of torchreid's OSNet x0.25")
    parser.add_argument("onnx", type=Path, help="file to write")
    options = parser.parse_args()
    options.onnx.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        read_weights(options.weights),
        (torch.zeros(1, 3, *SIZE_HW),),
        str(options.onnx),
        input_names=["crops"],
        output_names=["global"],
        dynamic_axes={"crops": {0: "batch"}, "global": {0: "batch"}},
        dynamo=False,
    )


if __name__ == "__main__":
    main()
