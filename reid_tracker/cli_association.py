"""Commands about who is who in the results of a run: why, what people know better, what it taught, and once more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reid_tracker.errors import ConfigError

if TYPE_CHECKING:
    from reid_tracker.results.report_view import Link, Person
    from reid_tracker.review.calibrating import SiteLessons
    from reid_tracker.review.correcting import Corrected

out = Console(highlight=False, soft_wrap=True)

correct_app = typer.Typer(
    no_args_is_help=True,
    help="Tell a run what you know better: who is one, who is two. Kept in its corrections.jsonl, and never overruled.",
)

TracksOption = Annotated[Path, typer.Option("--tracks", help="Results of a run: its folder, or its tracks.jsonl.")]


def explain(
    tracks: TracksOption,
    identity: Annotated[int, typer.Option("--identity", help="Number of the person, as shown in any result.")],
    page: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Also write a page (.html) with the pictures side by side and the stripes that met drawn between them "
            "(pictures of people, where the run stored them: track --save-crops).",
        ),
    ] = None,
) -> None:
    """Say why all that is called one person was taken for one, link by link.

    Example: `reid-tracker explain --tracks out/ --identity 7 --out why-7.html`
    """
    from reid_tracker.results.explanation import explain as explanation
    from reid_tracker.results.explanation import write_explanation
    from reid_tracker.results.finished import read_finished

    report = explanation(read_finished(tracks), identity)
    person = report.people[0]
    _say_who(person, identity)
    for link in person.links:
        _say_why(link)
    if not person.links:
        out.print("\nno decision is recorded about this person")
    if page is not None:
        write_explanation(report, page)
        pictures = "" if person.crops else " (without pictures: the run stored none; track with --save-crops)"
        out.print(f"\npage: {page}{pictures}", markup=False)


def _say_who(person: Person, asked: int) -> None:
    from reid_tracker.results.colours import identity_hex, ink_hex

    title = Text(f" {person.identity} ", style=f"bold {ink_hex(person.identity)} on {identity_hex(person.identity)}")
    now = "" if person.identity == asked else f" (carries on {asked})"
    out.print(title, Text(f"Person {person.identity}{now}: {person.route}", style="bold"))
    out.print(f"    {person.span}", markup=False)
    for lane in person.lanes:
        for bar in lane.bars:
            out.print(f"    tracklet {bar.tracklet}: {bar.title.partition(' in ')[2]}", markup=False)
    for words in person.handovers:
        out.print(f"    {words}", markup=False)


def _say_why(link: Link) -> None:
    out.print()
    taken_back = " - taken back later" if link.undone else ""
    out.print(Text(f"{link.time}  {link.kind}, event {link.number}{taken_back}", style="bold"))
    out.print(f"    {link.sentence}", markup=False)
    numbers = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in link.numbers:
        numbers.add_row(Text(name, style="dim"), Text(value))
    if link.path:
        way = f"{link.cameras[1] or 'before'} - {link.cameras[0]}"
        numbers.add_row(Text("stripes that met", style="dim"), Text(f"{link.met}  ({way}; 1 is the head)"))
    out.print(Padding(numbers, (0, 0, 0, 4)))


@correct_app.command("merge")
def correct_merge(
    tracks: TracksOption,
    first: Annotated[int, typer.Argument(help="Number of a person.")],
    second: Annotated[int, typer.Argument(help="Number of the same person.")],
) -> None:
    """These two numbers are one person; the older number stays.

    Example: `reid-tracker correct merge --tracks out/ 3 7`
    """
    from reid_tracker.review.correcting import merge

    done = merge(tracks, first, second)
    _say_corrected(f"persons {first} and {second} are person {done.identity}", done)


@correct_app.command("split")
def correct_split(
    tracks: TracksOption,
    identity: Annotated[int, typer.Argument(help="Number of a person who is two.")],
    tracklets: Annotated[list[int], typer.Argument(help="Tracklets of somebody else, as `explain` lists them.")],
) -> None:
    """These tracklets of a person are somebody else, who gets a new number.

    Example: `reid-tracker correct split --tracks out/ 3 14 15`
    """
    from reid_tracker.review.correcting import split

    done = split(tracks, identity, tracklets)
    which = ", ".join(map(str, tracklets))
    _say_corrected(f"of person {identity}, tracklet {which} is person {done.identity}", done)


@correct_app.command("never")
def correct_never(
    tracks: TracksOption,
    first: Annotated[int, typer.Argument(help="Number of a person.")],
    second: Annotated[int, typer.Argument(help="Number of somebody else.")],
) -> None:
    """These two are never one person, whatever evidence says when the run is solved again.

    Example: `reid-tracker correct never --tracks out/ 3 7`
    """
    from reid_tracker.review.correcting import never

    _say_corrected(f"persons {first} and {second} stay two people", never(tracks, first, second))


@correct_app.command("list")
def correct_list(tracks: TracksOption) -> None:
    """What was said about a run so far, oldest first."""
    from reid_tracker.review.correcting import read_corrections

    table = Table("at", "kind", "persons then", "tracklets", "other tracklets", box=None, pad_edge=False)
    for told in read_corrections(tracks):
        sides = (" ".join(map(str, side)) for side in (told.some, told.others))
        table.add_row(told.at, told.kind, " ".join(map(str, told.identities)), *sides)
    out.print(table)


def _say_corrected(what: str, done: Corrected) -> None:
    out.print(f"{what}; {done.people} people in the run now", markup=False)
    _say_stale(done.stale)


def _say_stale(stale: tuple[str, ...]) -> None:
    if stale:
        out.print(
            f"as before, because they hold pictures: {', '.join(stale)}; `reid-tracker redraw` draws them anew",
            markup=False,
        )


def redraw(
    tracks: TracksOption,
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", metavar="ID=SOURCE", help="Where a camera's recording lies now, if it has moved."),
    ] = None,
) -> None:
    """Draw report and videos of a run anew, with the ids as known now; reads the recordings again.

    For after `correct` and `refine`. What the run did not have (--report, --video) is not begun.

    Example: `reid-tracker redraw --tracks out/`
    """
    from reid_tracker.review.redrawing import redraw as draw

    moved = dict(text.partition("=")[::2] for text in camera or [])
    if not all(moved.values()):
        raise ConfigError("--camera: expected NAME=SOURCE")
    written = draw(tracks, moved)
    for path in written:
        out.print(str(path), markup=False)
    if not written:
        out.print("the run has neither report nor video; track with --report or --video")


def calibrate(
    tracks: TracksOption,
    output: Annotated[
        Path | None,
        typer.Option("--out", help="The calibration file; by default calibration.json in the run's folder."),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(help="Folder for its pictures (SVG, no people); by default calibration/ in the run's folder."),
    ] = None,
) -> None:
    """Learn from a run, without labels, what distances mean on its site, and draw it.

    People seen at once in one camera are two, the looks of one tracklet are one. Let later runs begin with what was
    learned: `calibration = "calibration.json"` under `[association]` in the site's TOML.

    Example: `reid-tracker calibrate --tracks out/ --out site-calibration.json`
    """
    from reid_tracker.results.jsonl import run_folder_of, tracks_file
    from reid_tracker.review.calibrating import CALIBRATION_FILE, write_lessons
    from reid_tracker.review.calibrating import calibrate as learn

    folder = run_folder_of(tracks_file(tracks))
    lessons = learn(tracks)
    written = write_lessons(lessons, output or folder / CALIBRATION_FILE, plots or folder / "calibration")
    _say_learned(lessons)
    for path in written:
        out.print(str(path), markup=False)


def _say_learned(lessons: SiteLessons) -> None:
    start = lessons.start
    shares = f"person {start.person:.0%}, one passage {1 - start.person - start.look:.0%}, one look {start.look:.0%}"
    out.print(f"{lessons.tracklets} tracklets with looks; what differs between strangers is of the {shares}")
    table = Table("camera", "one person", "mean distance", "two people", "mean distance", box=None, pad_edge=False)
    for one in lessons.distances:
        row = one.to_json()
        means = ("" if row[name] is None else f"{row[name]:.3f}" for name in ("same_distance", "different_distance"))
        same, different = means
        pairs = (f"{row['same_pairs']} pairs", f"{row['different_pairs']} pairs")
        table.add_row(Text(" - ".join(one.cameras)), pairs[0], same, pairs[1], different)
    out.print(table)
    for name, judged in lessons.judged.items():
        if judged.usable:
            counts = f"{len(judged.same)} pairs of one person, {len(judged.different)} of two"
            errors = f"{judged.equal_error:.1%} errors where both kinds are as frequent"
            out.print(f"{name}: {errors}, probabilities off by {judged.calibration_error:.1%} ({counts})")
    if lessons.doubts:
        out.print(lessons.doubts, style="yellow", markup=False)


def refine(tracks: TracksOption) -> None:
    """Solve a finished run once more, all tracklets at once, and write the ids that come out.

    While a run goes on, a person is decided with what is known by then; here everything is. Being in one camera at
    once, configured travel times and what people said (`correct`) are never broken, and where nothing better is found
    the run stays as it is.

    Example: `reid-tracker refine --tracks out/`
    """
    from reid_tracker.review.refining import refine_run

    done = refine_run(tracks)
    if not done.moved:
        out.print(f"nothing explains the run better than its own ids; {done.after} people as before")
        return
    out.print(
        f"{done.before} people were, {done.after} are; {done.moved} tracklets under another number "
        f"({done.gain:.1f} nats better)"
    )
    _say_stale(done.stale)


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command("explain")(explain)
    app.add_typer(correct_app, name="correct")
    app.command("calibrate")(calibrate)
    app.command("refine")(refine)
    app.command("redraw")(redraw)
