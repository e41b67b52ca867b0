"""Who may import whom (ARCHITECTURE.md), and what importing costs."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "reid_tracker"
SPINE = {"types", "errors", "ids", "boxes", "parts", "tables", "tables_outbound", "config"}
# room -> what it may know besides itself; the spine's own order is downwards
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "ids": set(),
    "types": {"errors"},
    "boxes": {"errors", "types"},
    "parts": {"errors", "types"},
    "clock": {"types"},
    "tables": set(),
    "tables_outbound": {"tables"},
    "config": {"errors", "tables", "tables_outbound"},
    "distance": {"types", "errors"},
    "sources": SPINE,
    "runtime": SPINE,
    "gpu": {"errors"},
    "detection": SPINE | {"runtime"},
    "embedding": SPINE | {"runtime"},
    "tracking": SPINE | {"distance"},
    "association": SPINE | {"distance"},
    "results": SPINE,
    "interop": SPINE,
    "evaluation": SPINE | {"distance", "results"},
    "review": SPINE | {"association", "distance", "evaluation", "results", "sources"},
    "live": SPINE | {"sources"},
    "telemetry": SPINE,
    "outbound": SPINE | {"live", "results", "store"},
    "store": SPINE | {"association", "distance", "results"},
    "training": SPINE | {"distance", "embedding", "evaluation", "results", "runtime"},
    # the main path wires nothing itself: it asks build for the parts, and sources for the moments of a recording
    "pipeline": SPINE | {"build", "clock", "sources"},
}
# these stand on top: they may know everything, and nothing below may know them
TOP = {"build", "recording", "compilation", "cluster", "service", "cli", "cli_engines", "__init__", "__main__"}
NETWORKS = {"torch", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "triton", "ultralytics", "onnx"}
# third-party packages that a room must do without
MAY_NOT_USE: dict[str, set[str]] = {
    **{room: NETWORKS | {"cv2", "PIL", "av"} for room in ("distance", "tracking", "association", *SPINE, "pipeline")},
    "evaluation": NETWORKS - {"torch"} | {"cv2"},
    "results": NETWORKS,
    "sources": NETWORKS,
    "runtime": {"torch", "cv2"},
    "detection": {"torch"},
    "embedding": {"torch"},
}


def room_of(path: Path, package: Path) -> str:
    """The module or subpackage directly under the package that a file belongs to; all of the command line is one."""
    room = path.relative_to(package).parts[0].removesuffix(".py")
    return "cli" if room.startswith("cli_") else room


def imported(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a file imports, wherever in the file."""
    here = [PACKAGE, *path.relative_to(package).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) + "." if node.level else ""
            module = base + (node.module or "")
            # `from reid_tracker import x` names x; deeper, the module says enough
            names = [f"{module.rstrip('.')}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name) for name in (names if module.rstrip(".") == PACKAGE else [module]))


def offences(package: Path) -> list[str]:
    """Every import that goes against the rules, as ``file:line: room imports what``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        room = room_of(path, package)
        for line, name in imported(path, package):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            where = f"{path.relative_to(package.parent)}:{line}"
            if top != PACKAGE:
                if top in MAY_NOT_USE.get(room, set()):
                    found.append(f"{where}: {room} uses {top}")
            elif room not in TOP and target not in {room, "", "__version__"} and target not in MAY_IMPORT[room]:
                found.append(f"{where}: {room} imports {target}")
    return found


def test_imports_point_down_the_main_path(repository: Path) -> None:
    assert offences(repository / PACKAGE) == []


def test_every_room_has_a_rule(repository: Path) -> None:
    package = repository / PACKAGE
    rooms = {room_of(path, package) for path in package.rglob("*.py")}
    assert rooms - TOP - MAY_IMPORT.keys() == set()


@pytest.mark.parametrize(
    ("file", "code", "offence"),
    [
        ("tracking/a.py", "from reid_tracker.embedding import crops", "tracking imports embedding"),
        ("tracking/a.py", "def f():\n    import torch.nn", "tracking uses torch"),  # inside a function too
        ("tracking/a.py", "from ..results import x", "tracking imports results"),
        ("tracking/a.py", "from reid_tracker import cli", "tracking imports cli"),
        ("types.py", "from reid_tracker import boxes", "types imports boxes"),
        ("results/a.py", "from reid_tracker.tracking.kalman import x", "results imports tracking"),
        ("tracking/a.py", "from reid_tracker.distance import aligned", None),
        ("cli.py", "from reid_tracker.recording import x", None),
    ],
)
def test_the_rules_catch_what_they_should(file: str, code: str, offence: str | None, tmp_path: Path) -> None:
    path = tmp_path / PACKAGE / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
    found = offences(tmp_path / PACKAGE)
    assert [message.partition(": ")[2] for message in found] == ([offence] if offence else [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        (PACKAGE, {*NETWORKS, "cv2", "scipy", "pydantic", "lap", "rich", "ray", "opentelemetry"}),
        (f"{PACKAGE}.tracking", {*NETWORKS, "cv2"}),
        (f"{PACKAGE}.association", {*NETWORKS, "cv2"}),
        (f"{PACKAGE}.distance", {*NETWORKS, "cv2"}),
        (f"{PACKAGE}.evaluation", {*NETWORKS, "trackeval", "matplotlib"}),
        (f"{PACKAGE}.pipeline", {*NETWORKS, "cv2", "opentelemetry"}),
        (f"{PACKAGE}.telemetry", {"opentelemetry"}),
        (f"{PACKAGE}.cli", {*NETWORKS, "cv2", "trackeval", "ray"}),
        (f"{PACKAGE}.recording", {"ray"}),
        (f"{PACKAGE}.cluster.archive", {"ray"}),
    ],
)
def test_importing_pulls_in_nothing_heavy(module: str, forbidden: set[str], repository: Path) -> None:
    """A fresh interpreter: what is loaded, which threads run and which log handlers stand afterwards."""
    program = (
        f"import sys, threading, logging, json; import {module};"
        "print(json.dumps([sorted(sys.modules), threading.active_count(), len(logging.getLogger().handlers)]))"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True)
    modules, threads, handlers = json.loads(ran.stdout)
    assert forbidden & {name.partition(".")[0] for name in modules} == set()
    assert (threads, handlers) == (1, 0)


DISTRIBUTION_OF = {
    "google": "onnx",
    "triton": "torch",
    "cv2": "opencv-python",
    "starlette": "fastapi",
    "paho": "paho-mqtt",
    "nats": "nats-py",
    "confluent_kafka": "confluent-kafka",
    "opentelemetry": "opentelemetry-sdk",
}
# rooms (and the part of one) that are of no use without their extra, and say so when they are asked for
NEEDS_EXTRA = {"gpu", "graphs", "service", "training"}


def declared(repository: Path) -> tuple[set[str], set[str]]:
    """Names of the distributions in setup.cfg: needed by default, and with any extra."""
    settings = configparser.ConfigParser()
    settings.read(repository / "setup.cfg", encoding="utf-8")
    name = re.compile(r"^[\w.-]+", re.MULTILINE)
    default = set(name.findall(settings["options"]["install_requires"].replace(" ", "")))
    extras = {each for text in settings["options.extras_require"].values() for each in name.findall(text)}
    return default, default | extras


def test_what_is_imported_is_declared(repository: Path) -> None:
    """What is imported when a module loads must be installed by default; what a function imports may be an extra."""
    default, anything = declared(repository)
    package = repository / PACKAGE
    undeclared = []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        at_once = {node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
        for node in ast.walk(tree):
            for name in third_party(node):
                distribution = DISTRIBUTION_OF.get(name, name)
                optional = node not in at_once or bool(NEEDS_EXTRA & set(path.relative_to(package).parts))
                if distribution not in (anything if optional else default):
                    undeclared.append(f"{path.relative_to(repository)}:{node.lineno}: {name}")
    assert undeclared == []


def third_party(node: ast.AST) -> list[str]:
    """Top-level names from outside the standard library and this package that an import statement names."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module or ""]
    else:
        return []
    tops = {name.partition(".")[0] for name in names}
    return sorted(tops - sys.stdlib_module_names - {PACKAGE})
