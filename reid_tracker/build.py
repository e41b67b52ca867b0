"""From a configuration to the parts that it names, wired."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.site_calibration import read_start
from reid_tracker.config import Config
from reid_tracker.detection import detector_name, open_detector
from reid_tracker.detection.mot_file import MotFileDetector
from reid_tracker.detection.network import NetworkDetector
from reid_tracker.embedding import NetworkEmbedder, open_embedder
from reid_tracker.errors import ConfigError
from reid_tracker.ids import IdAllocator
from reid_tracker.parts import Detector, Embedder, find_part, registered_names
from reid_tracker.pipeline import Pipeline
from reid_tracker.results import ModelFacts
from reid_tracker.runtime.registry import checksum, find_model
from reid_tracker.tracking import PersonTracker

# For detectors that do not say which of their scores to believe: every box that they report may continue a track,
# and one in the better half of the scale may begin one.
_UNSTATED_LEVELS = (0.0, 0.5)


def build_pipeline(
    config: Config,
    detection_files: Mapping[str, Path] | None = None,
    detector: Detector | None = None,
    embedder: Embedder | None = None,
    first_tracklet: int = 1,
) -> Pipeline:
    """The pipeline that ``config`` describes.

    Args:
        detection_files: camera id -> MOT file whose detections stand in for the detector.
        detector, embedder: in place of the configuration's, whose networks are then not loaded.
        first_tracklet: number of the first tracklet, above those of an earlier run that is remembered.

    Raises:
        ConfigError: a part or model of that name does not exist.
        ModelError: a model cannot be used.
    """
    if config.runtime.backend == "tensorrt" and config.runtime.build:
        from reid_tracker.compilation import prepare_engines

        all_from_files = detection_files is not None and all(camera.id in detection_files for camera in config.cameras)
        prepare_engines(config, detector=detector is None and not all_from_files, embedder=embedder is None)
    _check_calibration(config, embedder)
    finder = _build_detector(config, detection_files or {}, detector)
    next_tracklet = IdAllocator(first_tracklet)

    def new_tracker(camera_id: str) -> PersonTracker:
        levels_of = getattr(finder, "score_levels_of", lambda _camera: _UNSTATED_LEVELS)
        return PersonTracker(camera_id, config.tracking, levels_of(camera_id), next_tracklet)

    return Pipeline(
        finder,
        embedder or _build_embedder(config),
        new_tracker,
        CrossCameraAssociator(config.association, config.cameras),
        keep_images=config.output.video or config.output.report or config.output.save_crops,
    )


def model_facts(config: Config, pipeline: Pipeline) -> dict[str, ModelFacts]:
    """What run.json says of the networks in use."""
    facts = {}
    for part, name, network in (
        ("detector", detector_name(config.detection, config.runtime), pipeline.detector),
        ("embedder", config.embedding.model, pipeline.embedder),
    ):
        runtime = {"description": network.describe()} if hasattr(network, "describe") else {}
        if isinstance(network, NetworkDetector | NetworkEmbedder) and not name.endswith(".pt"):
            model = find_model(name, part)
            terms = model.manifest.terms if model.manifest else None
            facts[part] = ModelFacts(model.name, checksum(model.path), runtime, terms)
        else:
            facts[part] = ModelFacts(name, runtime=runtime)
    return facts


def _check_calibration(config: Config, embedder: Embedder | None) -> None:
    """Distances of another embedder mean something else: refuse its calibration before anything is tracked."""
    name = config.embedding.model
    if not config.association.calibration or embedder is not None or name in registered_names("embedders"):
        return
    model = find_model(name, "embedder")
    read_start(config.association.calibration, {"name": model.name, "sha256": checksum(model.path)})


def _build_detector(config: Config, files: Mapping[str, Path], given: Detector | None) -> Detector:
    for camera in files:
        if config.cameras and camera not in [entry.id for entry in config.cameras]:
            raise ConfigError(f"detections for {camera!r}, which is no camera")
    if files and all(camera.id in files for camera in config.cameras):
        return MotFileDetector(files)
    network: Detector
    if given is not None:
        network = given
    elif config.detection.model in registered_names("detectors"):
        network = find_part("detectors", config.detection.model)(config)
    else:
        network = open_detector(config.detection, config.runtime)
    return MotFileDetector(files, network) if files else network


def _build_embedder(config: Config) -> Embedder:
    if config.embedding.model in registered_names("embedders"):
        embedder: Embedder = find_part("embedders", config.embedding.model)(config)
        return embedder
    return open_embedder(config.embedding, config.runtime)
