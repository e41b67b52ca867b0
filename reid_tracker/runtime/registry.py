"""The models that ship, and any other model a user names by path."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime.manifest import Manifest, read_manifest

NETWORK_SUFFIXES = (".onnx", ".xml")


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A network file with its manifest. What ships lies in ``engines/<name>/``.

    Attributes:
        manifest: its papers.
        folder: where both lie.
    """

    manifest: Manifest
    folder: Path

    @property
    def name(self) -> str:
        """What users call it."""
        return self.manifest.name

    @property
    def task(self) -> str:
        """``detector`` or ``embedder``."""
        return self.manifest.task

    @property
    def path(self) -> Path:
        """The network file."""
        return self.folder / self.manifest.file

    @property
    def size(self) -> int:
        """Bytes on disk, of all files that the network consists of."""
        return sum((self.folder / name).stat().st_size for name in (self.manifest.file, *self.manifest.companions))

    @property
    def sha256(self) -> str:
        """Recorded checksum of the network file; empty where the manifest has none."""
        return self.manifest.sha256 or ""

    @property
    def terms(self) -> str:
        """One line that a user must know before use."""
        return self.manifest.terms

    @property
    def input_text(self) -> str:
        """What it takes, in a few words."""
        return self.manifest.input.to_text()

    def verify(self) -> None:
        """Compare the network's files with their recorded checksums.

        Raises:
            ModelError: a file is missing or not the recorded one.
        """
        if not self.sha256:
            raise ModelError(f"manifest of model {self.path}: has no sha256; add the file's, {checksum(self.path)}")
        for name, expected in {self.manifest.file: self.sha256, **self.manifest.companions}.items():
            got = checksum(self.folder / name)
            if got != expected:
                raise ModelError(
                    f"model {self.folder / name}: expected sha256 {expected}, got {got}; the file is damaged or was "
                    "replaced, reinstall reid_tracker or restore the file"
                )


@dataclass(frozen=True, slots=True)
class FoundModel:
    """What a name or path in the configuration stands for.

    Attributes:
        name: the shipped name, or the file's name.
        path: the network file.
        manifest: its papers; None for a file that has none.
    """

    name: str
    path: Path
    manifest: Manifest | None


def checksum(path: Path) -> str:
    """sha256 of a file, in hexadecimal.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"model {path}: cannot be read ({error.strerror}); reinstall or restore the file") from error


def engines_folder() -> Path:
    """Where the shipped models lie: inside an installed package, or beside it in a checkout.

    Raises:
        ModelError: neither exists.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "engines", package.parent / "engines"):
        if folder.is_dir():
            return folder
    raise ModelError(
        f"engines: no folder {package / 'engines'}; the installation is incomplete, reinstall reid_tracker"
    )


def shipped_models() -> list[ShippedModel]:
    """All shipped models, by name.

    Raises:
        ModelError: a manifest is damaged, or two models share a name.
    """
    models = [ShippedModel(read_manifest(path), path.parent) for path in sorted(engines_folder().glob("*/model.json"))]
    by_name = {model.name: model for model in models}
    if len(by_name) < len(models):
        raise ModelError(f"engines {engines_folder()}: two models share a name")
    return [by_name[name] for name in sorted(by_name)]


def shipped_model(name: str) -> ShippedModel:
    """The shipped model of that name.

    Raises:
        ConfigError: there is none.
        ModelError: its manifest is damaged.
    """
    models = {model.name: model for model in shipped_models()}
    if name not in models:
        nearest = difflib.get_close_matches(name, models, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"shipped: {', '.join(models) or 'none'}"
        raise ConfigError(
            f"model {name!r}: no shipped model, and no .onnx or .xml file (or .pt, of a detector); {hint}"
        )
    return models[name]


def find_model(name: str, task: str) -> FoundModel:
    """What ``name`` stands for: a network file (``.onnx``, ``.xml``) by path, else a shipped model, verified.

    A file's manifest is ``<stem>.json`` beside it, where there is one.

    Args:
        name: shipped name, or path.
        task: ``detector`` or ``embedder``; what it must be for.

    Raises:
        ConfigError: no such shipped model or file, or one for another task.
        ModelError: the file is damaged.
    """
    path = Path(name).expanduser()
    if path.suffix.lower() in NETWORK_SUFFIXES:
        return _own_model(path, task)
    model = shipped_model(name)
    _must_do(task, model.manifest, name)
    model.verify()
    return FoundModel(model.name, model.path, model.manifest)


def _own_model(path: Path, task: str) -> FoundModel:
    if not path.is_file():
        raise ConfigError(f"model {path}: no such file; give the path of an .onnx or .xml file, or a shipped name")
    papers = path.with_suffix(".json")
    if not papers.is_file():
        return FoundModel(path.name, path, None)
    manifest = read_manifest(papers)
    _must_do(task, manifest, str(path))
    if manifest.sha256 is not None:
        if manifest.file != path.name:  # what it vouches for would not be what is loaded
            raise ModelError(f"manifest {papers}: is of {manifest.file!r}, not of {path.name!r}; correct its file")
        ShippedModel(manifest, path.parent).verify()
    return FoundModel(manifest.name, path, manifest)


def _must_do(task: str, manifest: Manifest, name: str) -> None:
    if manifest.task != task:
        raise ConfigError(f"model {name!r}: a model for the task {manifest.task!r}, where the task {task!r} is needed")
