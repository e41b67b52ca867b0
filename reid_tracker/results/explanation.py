"""Why one person is one: the page of ``reid-tracker explain``, and the same links for the terminal."""

from __future__ import annotations

from pathlib import Path

from reid_tracker.results.files import write_atomically
from reid_tracker.results.finished import FinishedRun
from reid_tracker.results.report import render_page
from reid_tracker.results.report_time import TimeAxis
from reid_tracker.results.report_view import Report, build_report
from reid_tracker.results.stored_crops import StoredCrops

EXPLANATION_TEMPLATE = "explanation.html.jinja"


def explain(run: FinishedRun, identity: int) -> Report:
    """The report on one person alone: stays, hand-overs, and each decision with its evidence and pictures.

    Args:
        identity: a number that holds now, or one that was merged away.

    Raises:
        InputError: nobody ever had that number, or the table of stored crops is damaged.
    """
    crops = StoredCrops(run.folder, TimeAxis(0, 1, run.utc))
    return build_report(run.summary, run.run, crops, only=run.person(identity).identity)


def write_explanation(report: Report, path: str | Path) -> None:
    """Write what ``explain`` found as one page that opens anywhere.

    Raises:
        OutputError: it cannot be written.
    """
    write_atomically(Path(path), render_page(EXPLANATION_TEMPLATE, report))
