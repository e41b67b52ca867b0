"""Check that an installed distribution brings no GPL or AGPL with it, shared libraries in wheels included.

    python tools/check_licences.py reid_tracker

Walks the default dependencies (no extras) of the distribution in the running environment, reads what each declares,
and looks into the shared libraries that its wheel bundles: an FFmpeg built with GPL parts says so in itself, and x264,
x265 and their like are known by name and by the functions they export. LGPL is allowed and listed. Exit code 1 where
something was found.
"""

from __future__ import annotations

import argparse
import mmap
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

GPL = re.compile(r"\bA?GPL|(?:Affero|GNU) General Public", re.IGNORECASE)
LGPL = re.compile(r"\bLGPL[\w.+-]*|GNU (?:Lesser|Library) General Public Licen[cs]e", re.IGNORECASE)
# run-time libraries of the compiler: GPL with an exception that lets any program carry them
RUNTIME_EXCEPTION = re.compile(r"GCC[ -]RUNTIME[ -]LIBRARY[ -]EXCEPTION|GCC-exception|WITH .*exception", re.IGNORECASE)
# a short field names a licence; a long one is a licence's text, which may quote those of compilers and bundled parts
LONGEST_NAME = 200

GPL_LIBRARY_NAMES = re.compile(
    r"lib(x264|x265|postproc|xvidcore|xavs|davs2|vidstab|rubberband|cdio_paranoia|frei0r|smbclient|readline|gsl)\b",
    re.IGNORECASE,
)
GPL_MARKS = {
    b"--enable-gpl": "FFmpeg configured with --enable-gpl",
    b"--enable-nonfree": "FFmpeg configured with --enable-nonfree",
    b" license: GPL version": "FFmpeg that calls itself GPL",
    b"x264_encoder_encode": "x264",
    b"x265_encoder_encode": "x265",
}


@dataclass(frozen=True)
class Finding:
    """Something that may not be there: which distribution, and why."""

    distribution: str
    reason: str


def default_tree(name: str) -> list[Distribution]:
    """``name`` and all that it needs without extras, in order of name; a requirement that is not installed is left out.

    Extras of a requirement (``package[extra]``) are followed, as an installer would.
    """
    found: dict[str, Distribution] = {}
    waiting = [(name, "")]
    visited = set(waiting)
    while waiting:
        wanted, extra = waiting.pop()
        try:
            installed = distribution(wanted)
        except PackageNotFoundError:
            if not found:
                raise
            continue
        found[_normalised(wanted)] = installed
        for text in installed.requires or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            for needed in [(requirement.name, ""), *((requirement.name, each) for each in requirement.extras)]:
                if needed not in visited:
                    visited.add(needed)
                    waiting.append(needed)
    return [found[key] for key in sorted(found)]


def declared_licences(installed: Distribution) -> list[str]:
    """What the metadata says: the expression alone where there is one, else classifiers and the licence field."""
    metadata = installed.metadata
    expression = metadata.get("License-Expression")
    if expression:
        return [expression]
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier", [])
        if classifier.startswith("License ::")
    ]
    field = (metadata.get("License") or "").strip()
    return [*classifiers, *([field] if field and len(field) <= LONGEST_NAME else [])]


def is_forbidden(licence: str) -> bool:
    """Whether a licence's name is GPL or AGPL, with no other choice and no run-time exception."""
    alternatives = re.split(r"\s+OR\s+", licence.strip("() "), flags=re.IGNORECASE)
    return all(GPL.search(LGPL.sub("", each)) and not RUNTIME_EXCEPTION.search(each) for each in alternatives)


def shared_libraries(installed: Distribution) -> Iterator[Path]:
    """Compiled files that came with the wheel."""
    for file in installed.files or []:
        if re.search(r"\.(so|dll|dylib|pyd)(\.[\w.-]+)?$", file.name):
            path = Path(str(installed.locate_file(file)))
            if path.is_file():
                yield path


def marks_in(library: Path) -> list[str]:
    """Why a compiled file is GPL; empty where nothing says so."""
    reasons = []
    named = GPL_LIBRARY_NAMES.match(library.name)
    if named:
        reasons.append(f"it is {named.group()}")
    if library.stat().st_size:
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            reasons += [f"it contains {reason}" for mark, reason in GPL_MARKS.items() if content.find(mark) >= 0]
    return reasons


def findings_in(installed: Distribution) -> list[Finding]:
    """What is wrong with one distribution."""
    name = installed.metadata["Name"]
    declared = [f"declares {licence!r}" for licence in declared_licences(installed) if is_forbidden(licence)]
    bundled = [
        f"bundles {library.name}: {reason}" for library in shared_libraries(installed) for reason in marks_in(library)
    ]
    return [Finding(name, reason) for reason in [*declared, *bundled]]


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Check, print what was looked at, and say whether it is clean."""
    parser = argparse.ArgumentParser(description="No GPL or AGPL among the default dependencies.")
    parser.add_argument("distribution", help="name of an installed distribution")
    tree = default_tree(parser.parse_args().distribution)
    findings = [finding for installed in tree for finding in findings_in(installed)]
    for finding in findings:
        sys.stderr.write(f"{finding.distribution} {finding.reason}\n")
    if findings:
        return 1
    lesser = [installed.metadata["Name"] for installed in tree if any(map(LGPL.search, declared_licences(installed)))]
    libraries = sum(1 for installed in tree for _ in shared_libraries(installed))
    sys.stdout.write(
        f"{len(tree)} distributions, {libraries} shared libraries: no GPL, no AGPL; "
        f"LGPL declared by {', '.join(lesser) or 'none'}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
