"""People cut out of a frame that lies on the GPU, resized and normalised there.

The frame is uploaded once (or was never elsewhere: a decoder's output), not every crop of it. The rule is that of
``reid_tracker.embedding.crops`` exactly: a box covers every pixel that it touches; area average where it shrinks both
ways, else linear between pixel centres. Both are weighted means of the box's pixels along each axis, so both are two
small matrices, one a side; the numbers agree with OpenCV's to its rounding (one grey level).

Boxes are few and what is done next depends on their sizes, so they are worked out on the processor: the GPU is given
work and never asked how far it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from reid_tracker.errors import InputError


def crop_people(
    frame_bgr: torch.Tensor, boxes_xyxy: torch.Tensor, size_hw: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut boxes out of a frame and bring them to one size; see ``reid_tracker.embedding.crops.crop_people``.

    Args:
        frame_bgr: (H, W, 3) uint8, on any device; not copied.
        boxes_xyxy: (N, 4) x1, y1, x2, y2 in pixels of the frame, not necessarily inside it; best on the processor,
            where they are needed.
        size_hw: height and width of the crops.

    Returns:
        Crops (N, h, w, 3) uint8 BGR on the frame's device, and (N,) bool: a crop existed. Those of boxes that are not
        valid are zero.

    Raises:
        InputError: another shape or type.
    """
    if frame_bgr.ndim != 3 or frame_bgr.shape[2] != 3 or frame_bgr.dtype != torch.uint8:
        raise InputError(f"crop_people: expected a (H, W, 3) uint8 frame, got {tuple(frame_bgr.shape)}")
    if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
        raise InputError(f"crop_people: expected (N, 4) boxes, got {tuple(boxes_xyxy.shape)}")
    pixels, valid = _touched_pixels(boxes_xyxy.cpu(), frame_bgr.shape[0], frame_bgr.shape[1])
    height, width = size_hw
    sides = pixels[:, 2:] - pixels[:, :2]
    shrinks = (sides[:, 0] > width) & (sides[:, 1] > height)
    crops = frame_bgr.new_zeros((len(pixels), height, width, 3))
    # One box at a time would leave the GPU idle; all at once would pad each to the largest. Boxes of like height go
    # together, so that padding stays below a factor of two.
    for rows in _of_like_size(sides, valid):
        crops[rows.to(crops.device)] = _resized(frame_bgr, pixels[rows], shrinks[rows], size_hw)
    return crops, valid.to(crops.device)


def normalised(
    crops_bgr: torch.Tensor, mean_bgr: Sequence[float], deviation_bgr: Sequence[float], half: bool = False
) -> torch.Tensor:
    """(N, h, w, 3) uint8 to (N, 3, h, w) of mean 0 and deviation 1, for networks that want that done outside.

    Args:
        mean_bgr, deviation_bgr: per channel, in grey levels 0..255.
        half: give half precision; the arithmetic is float32 all the same.
    """
    mean, deviation = (torch.tensor(values, device=crops_bgr.device) for values in (mean_bgr, deviation_bgr))
    planes = ((crops_bgr.float() - mean) / deviation).permute(0, 3, 1, 2)
    return planes.to(torch.float16 if half else torch.float32).contiguous()


def _touched_pixels(boxes_xyxy: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Integer half-open boxes (N, 4) inside the frame, and which of them hold at least one pixel."""
    boxes = boxes_xyxy.double()
    has_area = torch.isfinite(boxes).all(dim=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    limits = torch.tensor([width, height, width, height], dtype=torch.float64, device=boxes.device)
    inside = torch.minimum(torch.where(has_area[:, None], boxes, 0.0).clamp_min(0.0), limits)
    pixels = torch.cat([inside[:, :2].floor(), inside[:, 2:].ceil()], dim=1).long()
    return pixels, has_area & (pixels[:, 2] > pixels[:, 0]) & (pixels[:, 3] > pixels[:, 1])


def _of_like_size(sides: torch.Tensor, valid: torch.Tensor) -> list[torch.Tensor]:
    """Rows of valid boxes in groups within a factor of two of each other, a side."""
    classes = sides.clamp_min(1).double().log2().floor().long()
    label = torch.where(valid, classes[:, 0] * 64 + classes[:, 1], -1)
    return [(label == group).nonzero(as_tuple=True)[0] for group in torch.unique(label).tolist() if group >= 0]


def _resized(
    frame_bgr: torch.Tensor, pixels: torch.Tensor, shrinks: torch.Tensor, size_hw: tuple[int, int]
) -> torch.Tensor:
    """(K, h, w, 3) uint8 of K boxes of like size, which lie on the processor."""
    device = frame_bgr.device
    widest, highest = (pixels[:, 2:] - pixels[:, :2]).amax(dim=0).tolist()
    pixels, shrinks = pixels.to(device), shrinks.to(device)
    starts, sides = pixels[:, :2], pixels[:, 2:] - pixels[:, :2]
    across = _weights(sides[:, 0], widest, size_hw[1], shrinks)
    down = _weights(sides[:, 1], highest, size_hw[0], shrinks)
    columns = (starts[:, :1] + torch.arange(widest, device=device)).clamp_max(frame_bgr.shape[1] - 1)
    lines = (starts[:, 1:] + torch.arange(highest, device=device)).clamp_max(frame_bgr.shape[0] - 1)
    gathered = frame_bgr[lines[:, :, None], columns[:, None, :]].float()
    # Lines first, as one product a box; the columns and channels of what is left are small.
    lines_done = torch.bmm(down, gathered.flatten(2)).reshape(*down.shape[:2], -1, 3)
    resized = torch.einsum("kwx,khxc->khwc", across, lines_done)
    # OpenCV rounds halves up in its linear form and to even in the other; half a level apart at most.
    return (resized + 0.5).floor().clamp(0, 255).to(torch.uint8)


def _weights(sides: torch.Tensor, most: int, size: int, shrinks: torch.Tensor) -> torch.Tensor:
    """(K, size, most): share of each of a box's pixels, at most ``most``, in each of the crop's, rows summing to 1."""
    scale = (sides / size)[:, None, None]
    target = torch.arange(size, device=sides.device, dtype=torch.float64)[None, :, None]
    source = torch.arange(most, device=sides.device, dtype=torch.float64)[None, None]
    area = (torch.minimum((target + 1) * scale, source + 1) - torch.maximum(target * scale, source)).clamp_min(
        0
    ) / scale
    centre = ((target + 0.5) * scale - 0.5).clamp_min(0)
    centre = torch.minimum(centre, (sides[:, None, None] - 1).double())
    linear = (1 - (centre - source).abs()).clamp_min(0)
    return torch.where(shrinks[:, None, None], area, linear).float()
