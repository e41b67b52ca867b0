"""What identities get wrong on a case, as a page with pictures: whom they take for one, and whom they take for several.

The page holds crops of the case's real people, so it goes where the caller says and never into the repository.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np

from benchmarks.association.cases import Case, owners
from benchmarks.association.scoring import Ids, most_common, score
from reid_tracker.evaluation.linking import NOBODY
from reid_tracker.types import Image, Tracklet

_MOST = 60  # of either kind on a page, the costliest first
_PICTURES = 4  # of a tracklet
_HIGH = 128  # pixels of a picture
_STYLE = """body{font-family:sans-serif;margin:2em;max-width:75em}section{border-top:1px solid #ccc;margin-top:1em}
.group{display:flex;flex-wrap:wrap;gap:12px;align-items:flex-end;margin:6px 0;padding-left:8px;border-left:6px solid}
figure{margin:0}figcaption{font-size:11px;color:#444}img{height:128px}.none{font-size:11px;color:#888}"""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


@dataclass(frozen=True, slots=True)
class Confusion:
    """Something that identities get wrong.

    Attributes:
        title: what it is.
        boxes: that count against it: all but those of the largest part.
        groups: name of each part, the largest first, and its tracklets in the order of time.
    """

    title: str
    boxes: int
    groups: Mapping[str, Sequence[Tracklet]]


def confusions(case: Case, ids: Ids) -> tuple[list[Confusion], list[Confusion]]:
    """Wrong merges and wrong splits, the costliest first.

    Args:
        ids: (N,) identity of each of the case's sightings.
    """
    owner = owners(case.sightings)
    identity = most_common(case.sightings.tracklets, ids)
    boxes = Counter(case.sightings.tracklets.tolist())
    known = {one.id: one for one in case.tracklets()}
    shown = [number for number in identity if owner[number] != NOBODY]
    merges = _parts(shown, identity, owner, boxes, known, "identity {}: {} people", "person {}")
    splits = _parts(shown, owner, identity, boxes, known, "person {}: {} identities", "identity {}")
    return merges, splits


def _parts(
    tracklets: Sequence[int],
    whole_of: Mapping[int, int],
    part_of: Mapping[int, int],
    boxes: Mapping[int, int],
    known: Mapping[int, Tracklet],
    title: str,
    name: str,
) -> list[Confusion]:
    """Wholes that hold several parts."""
    wholes: defaultdict[int, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number in tracklets:
        wholes[whole_of[number]][part_of[number]].append(number)
    found = []
    for whole, parts in wholes.items():
        if len(parts) < 2:
            continue
        sizes = {part: sum(boxes[number] for number in members) for part, members in parts.items()}
        groups = {
            f"{name.format(part)} ({sizes[part]} boxes)": sorted(
                (known[number] for number in parts[part]), key=lambda one: (one.started, one.id)
            )
            for part in sorted(parts, key=lambda part: (-sizes[part], part))
        }
        found.append(Confusion(title.format(whole, len(parts)), sum(sizes.values()) - max(sizes.values()), groups))
    return sorted(found, key=lambda one: (-one.boxes, one.title))


def write_confusions(folder: Path, name: str, case: Case, ids: Ids) -> Path:
    """The page of a case; where it was written."""
    merges, splits = confusions(case, ids)
    figures = score(case, ids)
    parts = [
        f"<!doctype html><meta charset='utf-8'><title>{escape(name)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(name)}</h1><p>IDF1 {figures.idf1:.3f}, pairs of tracklets in different cameras: precision "
        f"{figures.precision:.3f}, recall {figures.recall:.3f}. {len(merges)} identities hold several people, "
        f"{len(splits)} people have several identities. The costliest first; of each the largest part is first.</p>",
    ]
    for heading, found in (("Several people taken for one", merges), ("One person taken for several", splits)):
        parts.append(f"<h2>{heading}</h2>")
        parts += [_section(case, one) for one in found[:_MOST]]
        if len(found) > _MOST:
            parts.append(f"<p>and {len(found) - _MOST} that cost less</p>")
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{''.join(letter if letter.isalnum() else '-' for letter in name)}.html"
    page.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return page


def _section(case: Case, one: Confusion) -> str:
    parts = [f"<section><h3>{escape(one.title)}, {one.boxes} boxes wrong</h3>"]
    for number, (name, members) in enumerate(one.groups.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        figures = "".join(_figure(case, tracklet) for tracklet in members)
        parts.append(f"<div class='group' style='border-color:{colour}'><b>{escape(name)}</b>{figures}</div>")
    return "".join([*parts, "</section>"])


def _figure(case: Case, tracklet: Tracklet) -> str:
    said = f"{tracklet.camera_id}, {tracklet.started:.1f} to {tracklet.updated:.1f} s, tracklet {tracklet.id}"
    images = "".join(f"<img src='data:image/jpeg;base64,{jpeg}'>" for jpeg in _jpegs(case, tracklet))
    return f"<figure>{images or '<span class=none>no picture</span>'}<figcaption>{escape(said)}</figcaption></figure>"


def _jpegs(case: Case, tracklet: Tracklet) -> Iterator[str]:
    pictures: Sequence[Image] = case.pictures(tracklet)
    places = np.unique(np.linspace(0, len(pictures) - 1, _PICTURES).round().astype(int)) if len(pictures) else []
    for place in places:
        picture = pictures[place]
        wide = max(1, round(picture.shape[1] * _HIGH / picture.shape[0]))
        done, jpeg = cv2.imencode(".jpg", cv2.resize(picture, (wide, _HIGH)), [cv2.IMWRITE_JPEG_QUALITY, 80])
        if done:
            yield base64.b64encode(jpeg.tobytes()).decode()
