"""The published format: real files keep to the schemas, and neither schema nor document leaves a field out."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from reid_tracker.config import Config
from reid_tracker.results import CameraFacts, ModelFacts, RunFacts, RunFolder
from reid_tracker.results.exporters import SHIPPED
from reid_tracker.types import TrackedFrame

SCHEMAS = ("tracks-line", "identities", "run")  # of what every run writes
AFTERWARDS = ("corrections-line", "revisions-line", "calibration")  # of what commands over a finished run write


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("reid_tracker.results").joinpath(f"schemas/{name}.json").read_text())
    return loaded


def strict(node: Any) -> Any:
    """The schema with every object closed whose properties are listed: what is written must be described."""
    if isinstance(node, dict):
        closed = {key: strict(value) for key, value in node.items()}
        if "properties" in node and "type" in node:
            closed["additionalProperties"] = False
        return closed
    return [strict(one) for one in node] if isinstance(node, list) else node


def fields(node: Any) -> Iterator[str]:
    """The names of all properties in a schema."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"]
        for value in node.values():
            yield from fields(value)
    elif isinstance(node, list):
        for one in node:
            yield from fields(one)


@pytest.fixture
def out(tmp_path: Path, run: list[TrackedFrame]) -> Path:
    facts = RunFacts(
        cameras=(CameraFacts("door", "door.mp4"), CameraFacts("never", "never.mp4")),
        models={"embedder": ModelFacts("alignedreid_small", "ab" * 32, {"precision": "fp32"}, "research only")},
    )
    with RunFolder(tmp_path / "out", Config(), facts) as folder:
        for tracked in run:
            folder.write(tracked)
    return tmp_path / "out"


def documents(out: Path, name: str) -> list[Any]:
    if name == "tracks-line":
        return [json.loads(line) for line in (out / "tracks.jsonl").read_text().splitlines()]
    return [json.loads((out / f"{name}.json").read_text())]


@pytest.mark.parametrize("name", SCHEMAS + AFTERWARDS)
def test_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("name", SCHEMAS)
def test_files_keep_to_their_schema_and_hold_nothing_undescribed(out: Path, name: str) -> None:
    validator = Draft202012Validator(strict(schema(name)))
    written = documents(out, name)
    assert written
    for document in written:
        validator.validate(document)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_that_is_written_is_required_where_it_always_is(out: Path, name: str) -> None:
    """Taking any top-level field away breaks validation, so a file that lost one is noticed."""
    validator = Draft202012Validator(schema(name))
    document = documents(out, name)[-1]
    for key in document:
        shorter = copy.deepcopy(document)
        del shorter[key]
        assert not validator.is_valid(shorter), key


@pytest.mark.parametrize("name", SCHEMAS + AFTERWARDS)
def test_the_document_names_every_field(repository: Path, name: str) -> None:
    text = re.sub(r"```.*?```", "", (repository / "docs" / "output-format.md").read_text(), flags=re.DOTALL)
    quoted = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", text))))
    assert set(fields(schema(name))) <= quoted


def test_the_document_names_the_looks_fields_and_formats(repository: Path, out: Path) -> None:
    text = (repository / "docs" / "output-format.md").read_text()
    with (out / "looks.npy").open("rb") as file:
        np.load(file)
        rows = np.load(file)
    for name in (*rows.dtype.names, *SHIPPED):
        assert f"`{name}`" in text


def test_the_documents_examples_keep_to_the_schemas(repository: Path) -> None:
    text = (repository / "docs" / "output-format.md").read_text()
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert len(examples) == 5
    for name, example in zip(
        ("tracks-line", "run", "identities", "corrections-line", "calibration"), examples, strict=True
    ):
        if name == "run":
            example["models"]["embedder"]["sha256"] = "75e1" * 16  # shortened in the text
        Draft202012Validator(schema(name)).validate(example)


def test_every_output_setting_is_documented(repository: Path) -> None:
    text = (repository / "docs" / "output-format.md").read_text()
    options = {"video": "--video", "report": "--report", "save_crops": "--save-crops"}
    for name in type(Config().output).model_fields:
        assert options.get(name, f"output.{name}") in text
