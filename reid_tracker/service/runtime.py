"""Everything that a running service holds, opened together and closed in order."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from reid_tracker.association.corrections import (
    Correction,
    CorrectionKind,
    erase_identity,
    keep_apart,
    merge_identities,
    split_identity,
)
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.association.remembering import restore
from reid_tracker.association.topology import CameraLink
from reid_tracker.build import build_pipeline
from reid_tracker.cluster.condition import SiteState
from reid_tracker.config import CameraConfig, Config
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.live import LiveCameras
from reid_tracker.outbound import Announcer
from reid_tracker.pipeline import Pipeline
from reid_tracker.results.blurring import blur_heads
from reid_tracker.results.crops import BestCrops, Crop
from reid_tracker.runtime.registry import checksum, find_model
from reid_tracker.service.hub import Hub
from reid_tracker.service.map import load_map
from reid_tracker.service.memory import open_store, store_name
from reid_tracker.service.models import check_names
from reid_tracker.service.pictures import CameraPictures
from reid_tracker.service.site import Cameras, Listener, LiveSite
from reid_tracker.store import LookIndex, Match, Recorder, Store, StoredCrop, search
from reid_tracker.telemetry import open_telemetry
from reid_tracker.types import Appearance, Frame, IdentityEvent, Image, TrackedFrame

_CROP_HEIGHT = 256
_DAY = 86_400.0
_WAYS_SECONDS = 1.0
_SEARCH_CAMERA = "(search)"  # the camera that uploaded pictures come from, for the detector

_log = logging.getLogger(__name__)

PipelineOf = Callable[[Config, int], Pipeline]


class Service:
    """Cameras, tracking, memory and what viewers see. A context manager.

    Args:
        config: the effective configuration.
        pipeline_of: makes the pipeline, given the number of the first tracklet; by default the configuration's.

    Raises:
        ConfigError: sinks are configured, the store holds looks of another embedder, a destination of messages cannot
            be used, or a camera's name has no place in an address.
        StoreError: the store cannot be opened.
        ModelError: a network cannot be used.
    """

    role = "site"
    """What this process is in traces."""

    def __init__(self, config: Config, pipeline_of: PipelineOf | None = None) -> None:
        check_names(config.cameras)
        if config.output.sinks:
            raise ConfigError(
                f"output.sinks: {', '.join(config.output.sinks)}: sinks write what `track` makes of recordings, and a "
                "service has none; leave them out, and use /api/stream, webhooks or a broker"
            )
        self.config = config
        self.map = load_map(config.site.map)
        self.started = time.time()
        self.announcer = Announcer(config)
        self.store: Store = open_store(config.store)
        try:
            self._check_embedder()
        except ConfigError:
            self.store.close()
            raise
        numbers = self.store.numbers()
        pipeline = (pipeline_of or _configured_pipeline)(config, numbers.tracklet + 1)
        self.telemetry = open_telemetry(config.telemetry, self.role)
        if self.telemetry is not None:
            pipeline.stage = self.telemetry.stage
        self.pipeline = pipeline
        self.index = LookIndex()
        self.index.add(self.store.vectors())
        self.cameras, self.site = self._wired(pipeline)
        self._remember(numbers.identity, numbers.event)
        self.recorder = Recorder(
            self.store, self.index, config.association.looks_per_passage, config.store.retention_days * _DAY
        )
        self.hub = Hub(config.service.viewer_queue, config.service.recent_events)
        self.pictures = CameraPictures(config.service.picture_width)
        self.site.remember(self.recorder.take)
        if (telemetry := self.telemetry) is not None:
            self.site.listen(lambda _frames, tracked, _events: telemetry.told(tracked))
        self.site.listen(self.hub)
        self.site.listen(self.announcer)
        self._ways: list[CameraLink] = []
        self._next_ways = 0.0
        self.site.listen(self._note_ways)
        draw: list[Listener] = [self.pictures]
        self._crops: _CropKeeper | None = None
        if config.store.crops:
            self._crops = _CropKeeper(self.recorder, config.store.crops_per_tracklet)
            draw.append(self._crops)
        if config.privacy.blur_faces:
            draw = [_FaceBlur(draw)]
        for listener in draw:
            self.site.listen(listener)

    def _wired(self, pipeline: Pipeline) -> tuple[Cameras, LiveSite]:
        """Where pictures come from, and the loop over them."""
        cameras = LiveCameras(self.config.live)
        return cameras, LiveSite(cameras, pipeline, self.config.tracking.max_lost_seconds)

    def _cameras_to_add(self) -> Sequence[CameraConfig]:
        return self.config.cameras

    def __enter__(self) -> Service:
        for camera in self._cameras_to_add():
            self.cameras.add(camera)
        self.announcer.start()
        self.site.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.site.stop()
        self.cameras.close()
        self.announcer.close()
        self.recorder.close()
        self.store.close()
        if self.telemetry is not None:
            self.telemetry.close()

    def people_present(self) -> dict[int, list[TrackedFrame]]:
        """Who is in view now: identity -> the frames that show the person."""
        present: dict[int, list[TrackedFrame]] = {}
        for tracked in self.site.newest():
            for person in tracked.people:
                present.setdefault(person.identity, []).append(tracked)
        return present

    def search_picture(
        self, image: Image, count: int, camera: str | None, since: float | None, until: float | None
    ) -> list[Match]:
        """The sightings most like the person in a picture (the largest one; the whole picture where none is found).

        Raises:
            InputError: nothing in the picture can be described.
            Busy: tracking has too much to do.
            StoreError: the store cannot be reached.
        """
        query = self.site.call(lambda: self._described(image))
        if not query.valid.any():
            raise InputError("picture: shows nobody who could be described; give a picture of one person")
        return search(self.store, self.index, query, count, camera, since, until)

    def search_person(
        self, identity: int, count: int, camera: str | None, since: float | None, until: float | None
    ) -> list[Match]:
        """The sightings most like what is remembered of a person; their own among them.

        Raises:
            InputError: nothing is known of what the person looks like.
            StoreError: the store cannot be reached.
        """
        tracklets = [sighting.tracklet for sighting in self.store.history(identity)]
        looks = [passage.looks for _, passage in self.store.sightings(tracklets).values() if passage.looks is not None]
        if not looks:
            raise InputError(f"identity {identity}: nothing is known of what this person looks like")
        best = [each.select(np.argsort(-each.quality)[:1]) for each in looks[-5:]]
        query = Appearance(
            np.concatenate([each.global_ for each in best]),
            np.concatenate([each.stripes for each in best]),
            np.concatenate([each.quality for each in best]),
            np.concatenate([each.valid for each in best]),
        )
        return search(self.store, self.index, query, count, camera, since, until)

    def merge(self, first: int, second: int) -> int:
        """These two are one person; the number that stays. Raises InputError, Busy, StoreError."""
        sides = self._tracklets(first), self._tracklets(second)
        number = self._merged(first, second)
        self._keep_told("merge", sides, (first, second))
        return number

    def split(self, identity: int, tracklets: Sequence[int]) -> int:
        """These passages are somebody else; the new number. Raises InputError, Busy, StoreError."""
        own = self._tracklets(identity)
        number = self._parted(identity, tracklets)
        leaving = tuple(tracklet for tracklet in own if tracklet in tracklets)
        self._keep_told("split", (leaving, tuple(one for one in own if one not in leaving)), (identity,))
        return number

    def never(self, first: int, second: int) -> None:
        """These two are never one person. Raises InputError, Busy, StoreError."""
        sides = self._tracklets(first), self._tracklets(second)
        self._apart(first, second)
        self._keep_told("never", sides, (first, second))

    def erase(self, identity: int) -> int:
        """Remove a person everywhere; how many passages went. Raises InputError (nobody known), Busy, StoreError."""

        def forget() -> bool:
            tracklets = self._erased(identity)
            self.recorder.ignore(tracklets)
            if self._crops is not None:
                self._crops.forget(tracklets)
            self.site.forget(identity)
            self.pictures.forget_person(identity)
            return bool(tracklets)

        known = self.site.call(forget)
        self._forget_told(identity)  # whether or not the store answers
        erased = self.recorder.erase(identity)
        for number in erased.numbers:
            self._forget_told(number)
        if not known and not erased.tracklets:
            raise InputError(f"identity {identity}: nobody of that number is known")
        return len(erased.tracklets)

    def ways(self) -> list[CameraLink]:
        """The ways that people are known to have taken from camera to camera, as they were a moment ago."""
        return self._ways

    def _note_ways(self, *_: object) -> None:
        """Keep the ways for whoever asks, so that nobody waits for tracking (reid_tracker.service.site.Listener)."""
        if time.monotonic() >= self._next_ways:
            self._next_ways = time.monotonic() + _WAYS_SECONDS
            self._ways = self.site.associator.topology.links()

    def site_state(self) -> SiteState:
        """How the parts of a cluster are; without any on one machine."""
        return SiteState()

    def remembered_passages(self) -> list[RememberedPassage]:
        """What the store holds of people who are not forgotten yet. Raises StoreError."""
        association = self.config.association
        return self.store.remembered(
            time.time() - association.memory_seconds, association.passages_per_camera, association.max_identities
        )

    def _merged(self, first: int, second: int) -> int:
        return self.site.call(lambda: merge_identities(self.site.associator, first, second, time.time()))

    def _parted(self, identity: int, tracklets: Sequence[int]) -> int:
        number, _ = self.site.call(lambda: split_identity(self.site.associator, identity, tracklets, time.time()))
        return number

    def _apart(self, first: int, second: int) -> None:
        self.site.call(lambda: keep_apart(self.site.associator, first, second))

    def _erased(self, identity: int) -> tuple[int, ...]:
        """Have associator and trackers forget a person; the tracklets that they knew. On the tracking thread."""
        tracklets = erase_identity(self.site.associator, identity, time.time())
        self.site.pipeline.drop(tracklets)
        return tracklets

    def _forget_told(self, identity: int) -> None:
        self.hub.forget(identity)
        self.announcer.forget(identity)

    def _described(self, image: Image) -> Appearance:
        frame = Frame(_SEARCH_CAMERA, 0, 0.0, image)
        (found,) = self.pipeline.detector([frame])
        boxes = found.boxes
        if len(found):
            largest = int(np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * found.scores))
            found = found.select([largest])
        else:
            whole = np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)
            found = replace(found, boxes=whole, scores=np.ones(1, np.float32))
        (looks,) = self.pipeline.embedder([frame], [found])
        return looks

    def _tracklets(self, identity: int) -> tuple[int, ...]:
        """The passages by which a correction names somebody: those keep their numbers when identities change theirs."""
        self.recorder.flush()
        return tuple(sorted(sighting.tracklet for sighting in self.store.history(identity)))

    def _keep_told(
        self, kind: CorrectionKind, sides: tuple[tuple[int, ...], tuple[int, ...]], identities: tuple[int, ...]
    ) -> None:
        if all(sides):  # else there is nothing in the store that it could hold for
            self.store.correct(Correction(kind, *sides, identities, datetime.now(UTC).isoformat(timespec="seconds")))

    def _check_embedder(self) -> None:
        mine = _embedder_name(self.config)
        kept = self.store.embedder(mine)
        if kept != mine:
            raise ConfigError(
                f"store {store_name(self.config.store)}: its looks are of embedder {kept}, and this run uses {mine}; "
                "looks of two embedders do not compare: choose another store, or that embedder"
            )

    def _remember(self, last_identity: int, last_event: int) -> None:
        passages = self.remembered_passages()
        restore(self.site.associator, passages, last_identity, last_event)
        if passages:
            people = len({passage.identity for passage in passages})
            _log.info("%d people remembered from %s", people, store_name(self.config.store))


class _FaceBlur:
    """Shows others the pictures with everybody's head blurred (reid_tracker.service.site.Listener)."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def __call__(
        self, frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent]
    ) -> None:
        boxes = {moment.camera_id: [person.box for person in moment.people] for moment in tracked}
        blurred = [replace(each, image=blur_heads(each.image, boxes.get(each.camera_id, ()))) for each in frames]
        for listener in self._listeners:
            listener(blurred, tracked, events)


class _CropKeeper:
    """Keeps the best pictures of each passage, where pictures are asked for (reid_tracker.service.site.Listener)."""

    def __init__(self, recorder: Recorder, count: int) -> None:
        self._recorder = recorder
        self._best = BestCrops(count, _CROP_HEIGHT, self._keep)

    def __call__(
        self, frames: Sequence[Frame], tracked: Sequence[TrackedFrame], _events: Sequence[IdentityEvent]
    ) -> None:
        images = {frame.camera_id: frame.image for frame in frames}
        for moment in tracked:
            self._best.add(replace(moment, image=images.get(moment.camera_id)))

    def forget(self, tracklets: Iterable[int]) -> None:
        """Drop the pictures of somebody who is erased. On the tracking thread."""
        self._best.forget(tracklets)

    def _keep(self, crops: list[Crop]) -> None:
        self._recorder.take_crops([StoredCrop(crop.tracklet, crop.time, crop.quality, crop.jpeg) for crop in crops])


def _configured_pipeline(config: Config, first_tracklet: int) -> Pipeline:
    embedder = None
    if config.runtime.backend == "tensorrt" and config.runtime.build:
        from reid_tracker.compilation import live_embedder

        embedder = live_embedder(config)  # live cameras do not wait for a build
    return build_pipeline(config, embedder=embedder, first_tracklet=first_tracklet)


def _embedder_name(config: Config) -> str:
    """Name and contents of the embedder: looks of two models do not compare even where the file has one name."""
    name = config.embedding.model
    try:
        return f"{name} {checksum(find_model(name, 'embedder').path)[:16]}"
    except ConfigError:  # one that another package registered: its name has to do
        return f"{name} {hashlib.sha256(name.encode()).hexdigest()[:16]}"
