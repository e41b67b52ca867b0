"""report.html: who was where, with pictures and the reasons for each link, in one file that opens anywhere."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reid_tracker.results.closing import Closing
from reid_tracker.results.crops import BestCrops, Crop
from reid_tracker.results.files import output_error, write_atomically
from reid_tracker.results.identities import IdentitySummary
from reid_tracker.results.report_time import TimeAxis
from reid_tracker.results.report_view import CropPicture, Report, build_report
from reid_tracker.types import TrackedFrame

REPORT_FILE = "report.html"
CROP_HEIGHT = 256  # pixels


class ReportSink(Closing):
    """Keeps the best crop of each tracklet while a run goes on and writes the page when it is closed.

    Pictures wait in a file without a name, so that memory does not grow with the run and nothing is left when it ends.

    Args:
        path: of the page.
        summary: filled by the owner with the same frames.
        run: gives the value of run.json as it is when the page is written.

    Raises:
        OutputError: the folder of ``path`` cannot hold a temporary file.
    """

    def __init__(self, path: str | Path, summary: IdentitySummary, run: Callable[[], Mapping[str, Any]]) -> None:
        self._path = Path(path)
        self._summary = summary
        self._run = run
        self._best = BestCrops(1, CROP_HEIGHT, self._keep)
        self._crops: dict[int, tuple[Crop, int, int]] = {}  # tracklet -> crop without picture, and where that lies
        try:
            # unbuffered: a full disk shows when a picture is put aside, not when the file is closed
            self._pictures = tempfile.TemporaryFile(dir=self._path.parent, buffering=0)  # noqa: SIM115 (lives as long as the sink)
        except OSError as error:
            raise output_error(self._path, error) from error
        self._closed = False

    def write(self, tracked: TrackedFrame) -> None:
        """Look at one frame.

        Raises:
            OutputError: a picture cannot be put aside.
        """
        self._best.add(tracked)

    def close(self) -> None:
        """Write the page; may be called twice.

        Raises:
            OutputError: it cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        with self._pictures:
            self._best.finish()
            self._render()

    def _render(self) -> None:
        run = self._run()
        axis = TimeAxis(0, 1, run["time_base"] == "utc")
        view = build_report(self._summary, run, functools.partial(self._picture, axis))
        write_atomically(self._path, render_page(f"{REPORT_FILE}.jinja", view))

    def _keep(self, crops: list[Crop]) -> None:
        best = crops[0]
        try:
            start = self._pictures.seek(0, 2)
            left = memoryview(best.jpeg)
            while left:
                left = left[self._pictures.write(left) :]
        except OSError as error:
            raise output_error(self._path, error) from error
        self._crops[best.tracklet] = (replace(best, jpeg=b""), start, len(best.jpeg))

    def _picture(self, axis: TimeAxis, tracklet: int) -> CropPicture | None:
        if tracklet not in self._crops:
            return None
        crop, start, length = self._crops[tracklet]
        return CropPicture(crop.camera_id, axis.text(crop.time), functools.partial(self._load, start, length))

    def _load(self, start: int, length: int) -> bytes:
        self._pictures.seek(start)
        return self._pictures.read(length)


def render_page(template: str, report: Report) -> Iterator[str]:
    """A page piece by piece.

    Args:
        template: its file in templates/.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,  # names of cameras and models come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).generate(report=report)
