"""The per-camera tracker: who in this frame is who of the frames before."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from reid_tracker.boxes import coverage
from reid_tracker.config import TrackingConfig
from reid_tracker.errors import InputError
from reid_tracker.ids import IdAllocator
from reid_tracker.tracking.kalman import KalmanFilter, Motion
from reid_tracker.tracking.matching import centre_distance, grown_overlap, height_ratio, share_inside
from reid_tracker.tracking.memory import AppearanceScale, look_distances
from reid_tracker.tracking.rounds import (
    Matches,
    View,
    match_confident,
    match_tentative,
    match_weak,
    plain_by_place,
    recover_lost,
    rivalry,
)
from reid_tracker.tracking.track import Track
from reid_tracker.tracking.view import ViewWatch
from reid_tracker.types import (
    Appearance,
    BoolArray,
    CameraTracks,
    Detections,
    FloatArray,
    Frame,
    Tracklet,
    TrackletState,
)

_INSTANT = 1e-6  # seconds; times that differ by less are equal (frame times are sums of fractions)


class PersonTracker:
    """Follows people inside one camera. One instance per camera, not thread-safe, shares nothing with others.

    Args:
        camera_id: the camera; frames of another are refused.
        config: settings, all times in seconds, all lengths in heights of the person.
        score_levels: (weak, confident): detections from ``confident`` on start and continue tracks, those from
            ``weak`` on only continue them, others are ignored. They follow the detector and its input size.
        next_id: gives the ids of tracklets, unique in the run.
    """

    def __init__(
        self,
        camera_id: str,
        config: TrackingConfig,
        score_levels: tuple[float, float],
        next_id: IdAllocator,
    ) -> None:
        self.camera_id = camera_id
        self._config = config
        self._weak_score, self._confident_score = score_levels
        self._next_id = next_id
        self._filter = KalmanFilter(config)
        self._scale = AppearanceScale(config.same_distance, config.different_distance)
        self._tracks: list[Track] = []
        self._motion = Motion.none()  # row i belongs to self._tracks[i]
        self._time = -np.inf
        self._watch = ViewWatch(camera_id)

    @property
    def confident_score(self) -> float:
        """Least score of a detection that may begin a track."""
        return self._confident_score

    def wanted(self, frame: Frame, detections: Detections) -> BoolArray:
        """The detections whose appearance the next call needs; changes nothing.

        A confident detection is looked at

        - when its place does not tell who it is: it overlaps no track that was seen in the previous frame well
          (``plain_overlap``: somebody new, not believed yet or lost), or a second track overlaps it, or its track a
          second detection, nearly as well (``plain_margin``);
        - else when its person is due and in full view. Looks become due at growing intervals, ``refresh_share`` of
          the time since the person appeared and at most ``refresh_seconds``, so that somebody new is soon known. One
          who is covered stays due, and is looked at when the cover ends: an earlier look would not be remembered.

        All in seconds, so the looks taken of a scene do not depend on the frame rate.

        Args:
            frame: the frame that the next call will get.
            detections: N detections, likewise.

        Returns:
            (N,) bool.
        """
        confident: BoolArray = detections.scores >= self._confident_score
        if not self._tracks or not confident.any():
            return confident
        view = self._view(frame, self._predicted(frame), detections, None)
        track_of, plain = plain_by_place(view, self._config)
        in_view = coverage(detections.boxes) <= self._config.look_coverage
        needed: BoolArray = confident & (~plain | (self._due(frame.time)[track_of] & in_view))
        return needed

    def _due(self, time: float) -> BoolArray:
        """(T,): the last look is too old at ``time``, for how long the track has been in view."""
        embedded = np.array([track.embedded for track in self._tracks])
        started = np.array([track.started for track in self._tracks])
        interval = np.minimum(self._config.refresh_seconds, self._config.refresh_share * (embedded - started))
        due: BoolArray = time - embedded >= interval - _INSTANT
        return due

    def __call__(self, frame: Frame, detections: Detections, appearance: Appearance) -> CameraTracks:
        """Take one frame and say who is in it.

        Args:
            frame: of this camera, not earlier than the previous one; any time may have passed.
            detections: N detections; none is fine, tracks then age.
            appearance: N rows, valid where the detection was embedded; all invalid tracks by motion alone.

        Raises:
            InputError: a frame of another camera or out of order, or arrays that do not belong together.
        """
        self._check(frame, detections, appearance)

        # 1. Predict every track, and end those that were out of sight for too long.
        self._motion = self._predicted(frame)
        self._time = frame.time
        ended = self._end_expired(frame)

        # 2. Match, from the surest evidence to the least sure.
        view = self._view(frame, self._motion, detections, appearance)
        matches = Matches.none(len(self._tracks), len(detections))
        for matching_round in (match_confident, match_weak, recover_lost, match_tentative):
            matches.take(matching_round(view, matches, self._config))

        # 3. Learn from undisputed matches what distances mean with this embedder.
        self._learn_scale(view, matches)

        # 4. Correct the matched tracks, keep good looks, confirm; the others are out of sight.
        self._correct(frame, detections, appearance, view, matches)

        # 5. Start tracks on what is left.
        self._start(frame, detections, appearance, matches)
        return self._report(frame, ended)

    def finish(self) -> tuple[Tracklet, ...]:
        """End all open tracks; the believed ones are returned."""
        ended = self._ended(self._tracks)
        self._tracks, self._motion = [], Motion.none()
        return ended

    def drop(self, tracklets: Collection[int]) -> None:
        """Forget some people and what they look like; who of them is still in view begins a new tracklet."""
        kept = np.array([track.id not in tracklets for track in self._tracks], np.bool_)
        self._tracks = [track for track in self._tracks if track.id not in tracklets]
        self._motion = self._motion.select(kept)

    def _check(self, frame: Frame, detections: Detections, appearance: Appearance) -> None:
        if frame.camera_id != self.camera_id:
            raise InputError(
                f"tracker of camera {self.camera_id!r}: got a frame of camera {frame.camera_id!r}; "
                "make one tracker per camera"
            )
        if frame.time < self._time:
            raise InputError(
                f"camera {self.camera_id!r}, frame {frame.index}: its time {frame.time:.3f} lies before that of the "
                f"previous frame, {self._time:.3f}; frames must come in order of time"
            )
        if len(appearance) != len(detections):
            raise InputError(
                f"camera {self.camera_id!r}, frame {frame.index}: expected one appearance per detection, "
                f"got {len(appearance)} for {len(detections)}"
            )

    def _predicted(self, frame: Frame) -> Motion:
        return self._filter.predict(self._motion, frame.time - self._time) if self._tracks else self._motion

    def _view(self, frame: Frame, motion: Motion, detections: Detections, appearance: Appearance | None) -> View:
        config, tracks = self._config, self._tracks
        lost = np.array([track.state is TrackletState.LOST for track in tracks], np.bool_)
        unseen = np.array([frame.time - track.seen for track in tracks], np.float64)
        boxes, predicted = detections.boxes, motion.boxes
        growth = config.overlap_growth + config.growth_per_second * np.minimum(unseen, config.max_growth_seconds)
        if appearance is None:
            distances = np.full((len(tracks), len(boxes)), np.nan, np.float32)
        else:
            distances = look_distances([track.memory for track in tracks], appearance.global_)
            distances[:, ~appearance.valid] = np.nan
        confident: BoolArray = detections.scores >= self._confident_score
        return View(
            tentative=np.array([not track.believed for track in tracks], np.bool_),
            lost=lost,
            unseen=unseen,
            confident=confident,
            weak=(detections.scores >= self._weak_score) & ~confident,
            overlap=grown_overlap(predicted, boxes, growth),
            heights=height_ratio(predicted, boxes),
            deviation=self._filter.squared_distance(motion, boxes),
            distance=centre_distance(predicted, boxes) / motion.heights[:, None],
            evidence=self._scale.evidence(distances),
            look_distance=distances,
            looked=~np.isnan(distances),
        )

    def _end_expired(self, frame: Frame) -> tuple[Tracklet, ...]:
        """Drop the tracks whose time is up: before matching, so that none of them comes back."""
        config = self._config
        frame_height, frame_width = frame.image.shape[:2]
        whole = np.array([[0, 0, frame_width, frame_height]], np.float32)
        inside = share_inside(self._motion.boxes, whole)[:, 0]
        unseen = np.array([frame.time - track.seen for track in self._tracks], np.float64)
        missed = np.array([track.missed for track in self._tracks], np.bool_)
        believed = np.array([track.believed for track in self._tracks], np.bool_)
        gone = missed & (inside < config.exit_inside)  # walked out of the view, as far as one can tell
        limit = np.where(
            believed, np.where(gone, config.exit_seconds, config.max_lost_seconds), config.tentative_seconds
        )
        expired = (unseen > limit + _INSTANT) & (believed | missed)
        ended = self._ended([track for track, over in zip(self._tracks, expired, strict=True) if over])
        self._tracks = [track for track, over in zip(self._tracks, expired, strict=True) if not over]
        self._motion = self._motion.select(~expired)
        return ended

    def _ended(self, tracks: list[Track]) -> tuple[Tracklet, ...]:
        believed = [track for track in tracks if track.believed]
        for track in believed:
            track.state = TrackletState.ENDED
            track.quality = 0.0
        return tuple(track.snapshot(self.camera_id) for track in believed)

    def _learn_scale(self, view: View, matches: Matches) -> None:
        """People seen at once are different; a match by nearly all of the box is the same person."""
        rows = np.flatnonzero(~matches.open & ~view.tentative & ~view.lost)
        columns = matches.detection_of[rows]
        pairs = np.ix_(rows, columns)
        distances, looked = view.look_distance[pairs], view.looked[pairs]
        own = np.eye(len(rows), dtype=np.bool_)
        undisputed = (view.overlap[rows, columns] >= self._config.plain_overlap)[:, None]
        self._scale.observe(distances[own & undisputed & looked], distances[~own & looked])

    def _correct(
        self, frame: Frame, detections: Detections, appearance: Appearance, view: View, matches: Matches
    ) -> None:
        """Take over what was matched."""
        rows = np.flatnonzero(~matches.open)
        columns = matches.detection_of[rows]
        found = detections.select(columns)
        shared = rivalry(view, rows, columns)
        corrected = self._filter.update(self._motion.select(rows), found.boxes, found.scores, shared)
        self._motion = self._motion.replaced(rows, corrected)
        share = self._config.box_smoothing
        shown = (found.boxes * (1 - share) + corrected.boxes * share).astype(np.float32)
        covered = coverage(found.boxes)
        for track, missed in zip(self._tracks, matches.open, strict=True):
            if missed:
                self._miss(track)
        for place, (row, column) in enumerate(zip(rows, columns, strict=True)):
            track = self._tracks[row]
            track.see(shown[place], float(found.scores[place]), frame.time)
            self._confirm(track, frame)
            if appearance.valid[column]:
                credible = bool(view.evidence[row, column] >= self._config.look_evidence)
                self._look(
                    track, frame, appearance.select([column]), found.boxes[place], float(covered[place]), credible
                )

    def _miss(self, track: Track) -> None:
        track.missed = True
        track.quality = 0.0
        if track.believed:
            track.state = TrackletState.LOST

    def _confirm(self, track: Track, frame: Frame) -> None:
        """Believe a track whose hits are many enough and spread over time enough; once believed, always."""
        config = self._config
        if not track.believed:
            if track.hits < config.confirm_hits or frame.time - track.started < config.confirm_seconds - _INSTANT:
                return
            track.id = self._next_id()
        track.state = TrackletState.CONFIRMED

    def _look(
        self, track: Track, frame: Frame, look: Appearance, box: FloatArray, covered: float, credible: bool
    ) -> None:
        """Remember how somebody looks, unless somebody else is in the crop."""
        track.embedded = frame.time
        track.quality = float(look.quality[0])
        if credible and covered <= self._config.look_coverage and track.quality >= self._config.look_quality:
            track.memory.add(look, frame.time, box)

    def _start(self, frame: Frame, detections: Detections, appearance: Appearance, matches: Matches) -> None:
        """Begin tentative tracks on confident detections that nobody has and that are not inside a tracked person."""
        config = self._config
        new = matches.free & (detections.scores >= self._confident_score)
        # detectors give a person's torso, or two people as one, as a further box: none begins inside a tracked box,
        # nor inside a better one that begins with it
        better = detections.scores[None] > detections.scores[:, None]
        rivals = ~matches.free[None] | (new[None] & better)
        inside = np.where(rivals, share_inside(detections.boxes, detections.boxes), 0)
        new &= inside.max(axis=1, initial=0) < config.start_coverage
        covered = coverage(detections.boxes)
        for column in np.flatnonzero(new):
            track = Track(config.history_length, config.looks, config.look_variety, frame.time)
            track.see(detections.boxes[column], float(detections.scores[column]), frame.time)
            self._confirm(track, frame)
            if appearance.valid[column]:
                look = appearance.select([column])
                self._look(track, frame, look, detections.boxes[column], float(covered[column]), True)
            self._tracks.append(track)
        self._motion = self._motion.extended(self._filter.start(detections.boxes[new]))

    def _report(self, frame: Frame, ended: tuple[Tracklet, ...]) -> CameraTracks:
        def in_state(state: TrackletState) -> tuple[Tracklet, ...]:
            return tuple(track.snapshot(self.camera_id) for track in self._tracks if track.state is state)

        frame_height, frame_width = frame.image.shape[:2]
        return CameraTracks(
            camera_id=self.camera_id,
            index=frame.index,
            time=frame.time,
            size=(frame_width, frame_height),
            tracklets=in_state(TrackletState.CONFIRMED),
            lost=in_state(TrackletState.LOST),
            ended=ended,
            moved=self._watch(frame.image, frame.time),
            grey=self._watch.grey,
        )
