"""Gives tracklets identities over all cameras, and keeps asking whether they are right.

One call takes what all cameras saw at one moment:

    1. read    what the trackers say: passages that began, went on, got new looks, ended
    2. weigh   each passage that has something new to say against everybody remembered (candidates.py)
    3. decide  all open questions of a camera at once (assignment.py)
    4. learn   from passages that ended: what distances mean here, how soon people return, who was one after all
    5. tell    who is in each frame, and what was decided with it

The answer to a question can change as long as the passage is open; whole identities are compared again whenever one of
them has gained a passage, and once more when the run ends.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from reid_tracker.association.assignment import assign
from reid_tracker.association.calibration import Calibration
from reid_tracker.association.candidates import Candidates, Weigher
from reid_tracker.association.erased import Erased
from reid_tracker.association.evidence import summarise
from reid_tracker.association.explain import Explainer
from reid_tracker.association.ground import GroundPlane
from reid_tracker.association.identities import Identity, IdentityBook, Passage, seen_as, taken_twice
from reid_tracker.association.judge import Parts, certainly_two
from reid_tracker.association.memory import Gallery, varied
from reid_tracker.association.rethinking import Rethinker
from reid_tracker.association.revision import Reviser
from reid_tracker.association.site_calibration import read_start
from reid_tracker.association.still import StillWatch
from reid_tracker.association.topology import ReturnTimes
from reid_tracker.config import AssociationConfig, CameraConfig
from reid_tracker.types import CameraTracks, IdentityEvent, TrackedFrame, TrackedPerson, Tracklet

_log = logging.getLogger(__name__)
_REFRESH_AFTER = 4  # ended passages between two counts of all who have not returned
_COMPANY = 12  # people beside one in a camera from whom is learned, with each look, what strangers look like
_FORGET_EVERY = 10.0  # seconds between two looks for who is out of date, or a quarter of a short memory


class CrossCameraAssociator:
    """The associator (reid_tracker.parts.Associator). One instance per site, not thread-safe.

    Args:
        config: settings.
        cameras: configured cameras: homographies and neighbours, where known. Others may turn up.

    Raises:
        ConfigError: the configured calibration cannot be used.
    """

    def __init__(self, config: AssociationConfig | None = None, cameras: Sequence[CameraConfig] = ()) -> None:
        self.config = config or AssociationConfig()
        self.calibration = Calibration(read_start(self.config.calibration) if self.config.calibration else None)
        self.topology = ReturnTimes(cameras)
        self.gallery = Gallery(self.config.passages_per_camera)
        self.ground = GroundPlane(cameras, self.calibration)
        self.book = IdentityBook(self._identity_changed)
        self._explainer = Explainer(self.book)
        parts = Parts(self.config, self.book, self.gallery, self.calibration, self.topology, self.ground)
        self._weigher = Weigher(parts)
        self._reviser = Reviser(parts, self._explainer)
        self._rethinker = Rethinker(parts, self._explainer)
        self._passages: dict[int, Passage] = {}
        self._erased = Erased()
        self._outlook: dict[int, Candidates] = {}
        self._moved_cameras = 0
        self._still = StillWatch()
        self._ended_since_refresh = 0
        self._next_forgetting = -np.inf
        self._now = -np.inf

    def __call__(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        """Take what all cameras saw at one moment; one result per input, in order."""
        try:
            return self._step(self._erased.left_out(tracks))
        except Exception:
            self._let_go(tracklet.id for moment in tracks for tracklet in moment.ended)  # nobody tells of them again
            raise

    def _step(self, tracks: Sequence[CameraTracks]) -> list[TrackedFrame]:
        told: list[TrackedFrame] = []
        news = [self._read(moment) for moment in tracks]
        self._compare([passage for changed in news for passage in changed])
        self._weigher.look_ahead([passage for changed in news for passage in changed])
        for moment, changed in zip(tracks, news, strict=True):
            changed += self._taken_twice(moment, changed)
            self.ground.learn(self.passages, self._now)
            self._decide(changed, moment.time)
            for tracklet in moment.ended:
                self._close(self._passages.pop(tracklet.id), moment.time)
            self._forget(moment.time)
            told.append(self._tell(moment))
        return told

    def finish(self, ended: Sequence[Tracklet]) -> tuple[IdentityEvent, ...]:
        """The run is over: read the last tracklets, compare everybody once more, and close the book."""
        ended = self._erased.others(ended)
        changed = [passage for tracklet in ended if self._take_in(tracklet, passage := self._passage(tracklet))]
        self._compare(changed)
        by_camera: dict[int, list[Passage]] = {}
        for passage in changed:
            by_camera.setdefault(passage.camera, []).append(passage)
        for passages in by_camera.values():
            self._decide(passages, self._now)
        for tracklet in ended:
            self._close(self._passages.pop(tracklet.id), self._now)
        self._reviser.settle(self._now)
        for identity in self.book.identities.values():
            self.book.end(identity, self._now)
        if counts := self.counters():
            _log.info(
                "dropped from memory, or noticed: %s", ", ".join(f"{count} {what}" for what, count in counts.items())
            )
        return self.book.take_events()

    # 1. read

    def _read(self, moment: CameraTracks) -> list[Passage]:
        """Take in one camera's tracklets; the passages that have something new to say."""
        self._now = max(self._now, moment.time)
        self.topology.advance(moment.time)
        if moment.moved:
            self._camera_moved(moment.camera_id)
        changed = []
        for tracklet in (*moment.tracklets, *moment.lost, *moment.ended):
            passage = self._passage(tracklet, moment.grey)
            if self._take_in(tracklet, passage):
                changed.append(passage)
        for tracklet in moment.tracklets:
            self._watch_still(self._passages[tracklet.id], tracklet, moment.time)
            self.ground.saw(tracklet.id, moment.camera_id, moment.time, tracklet.box, moment.size)
        return changed

    def _taken_twice(self, moment: CameraTracks, changed: Sequence[Passage]) -> list[Passage]:
        """Part whoever took a lost one's place from the person who has come back; those of them to be asked besides.

        That comes before anybody is weighed: with both in it their person speaks against each, and either may go.
        """
        twice = taken_twice([self._passages[tracklet.id] for tracklet in moment.tracklets])
        for passage in twice:
            passage.settled = False
            self._outlook.pop(passage.tracklet, None)
            self.book.part(passage, moment.time)
        return [passage for passage in twice if passage not in changed]

    def _watch_still(self, passage: Passage, tracklet: Tracklet, time: float) -> None:
        """Somebody who turns out never to move, or to move after all, is asked for again."""
        still = self._still(tracklet.id, tracklet.camera_id, time, tracklet.box)
        if still != passage.still:
            passage.still, passage.settled = still, False
            self._outlook.pop(passage.tracklet, None)

    def _camera_moved(self, camera_id: str) -> None:
        """Drop what was learned of a camera that looks elsewhere now; people and what they look like stay."""
        for grey in (False, True):
            self.calibration.forget_camera(seen_as(camera_id, grey))
        self.topology.forget_camera(camera_id)
        self.ground.forget_camera(camera_id)
        self._still.forget_camera(camera_id)
        self._moved_cameras += 1
        _log.warning("camera %s was moved: what was learned of its colours, ways and ground is dropped", camera_id)

    def _passage(self, tracklet: Tracklet, grey: bool = False) -> Passage:
        passage = self._passages.get(tracklet.id)
        if passage is None:
            camera = self.topology.index(tracklet.camera_id)
            passage = Passage(tracklet.id, tracklet.camera_id, camera, tracklet.started, tracklet.updated, grey=grey)
            self._passages[tracklet.id] = passage
        return passage

    def _take_in(self, tracklet: Tracklet, passage: Passage) -> bool:
        """Update a passage from its tracklet; whether there is anything new to decide by."""
        passage.end = tracklet.updated
        if passage.identity:
            self.gallery.saw(self.book.identities[passage.identity])
        if tracklet.looks_version == passage.version:
            return passage.identity == 0
        passage.version = tracklet.looks_version
        usable = tracklet.looks.valid
        if usable.any():
            looks = tracklet.looks if usable.all() else tracklet.looks.select(usable)
            if passage.looks is None:
                self.calibration.observe_passage(looks, passage.seen_by, ended=False)
            offset = self.calibration.camera_offset(passage.seen_by, looks.global_.shape[1])
            passage.looks = summarise(passage.seen_by, looks.global_, self.calibration.weights(looks.quality), offset)
            passage.kept = varied(looks, self.config.looks_per_passage)
        return True

    def _compare(self, changed: Sequence[Passage]) -> None:
        """Learn from new looks, all together: what is learned from one moves the model for the next."""
        present: dict[int, list[Passage]] = {}
        for passage in self._passages.values():
            if passage.looks is not None:
                present.setdefault(passage.camera, []).append(passage)
        unasked = sum(passage.identity == 0 for passage in self._passages.values())
        self.calibration.count_people(self.book.people + unasked)
        for passage in changed:
            self._compare_with_company(passage, present.get(passage.camera, ()))
        for number in sorted({passage.identity for passage in changed if passage.identity}):
            self._identity_changed(self.book.identities[number], False)

    def _compare_with_company(self, passage: Passage, present: Sequence[Passage]) -> None:
        """People in one camera at one time are different people: learn what that looks like."""
        if passage.looks is None:
            return
        company = [
            (other.looks, frozenset((passage.tracklet, other.tracklet)))
            for other in present
            if other is not passage and other.looks is not None and other.overlaps(passage)
        ]
        # In a crowd a few, evenly over those who came early and late, tell as much and cost no more than few people do.
        chosen = company[:: max(1, -(-len(company) // _COMPANY))]
        self.calibration.observe_strangers(passage.looks, [looks for looks, _ in chosen], [pair for _, pair in chosen])

    # 2. and 3. weigh and decide

    def _questions(self, changed: list[Passage]) -> list[Passage]:
        """What has to be decided together: the changed passages and what is still open in their camera."""
        if not changed:
            return []
        camera = changed[0].camera
        waiting = [
            passage
            for passage in self._passages.values()
            if passage.camera == camera and not passage.settled and passage not in changed
        ]
        return sorted(changed + waiting, key=lambda passage: passage.tracklet)

    def _decide(self, changed: list[Passage], time: float) -> None:
        """Answer "who is it" for the passages of one camera that have something new to say, and all not settled."""
        passages = self._questions(changed)
        if not passages:
            return
        weighed = self._weighed(passages, changed)
        numbers = sorted({int(number) for candidates in weighed for number in candidates.identities})
        column = {number: place for place, number in enumerate(numbers)}
        log_odds = np.full((len(passages), len(numbers)), -np.inf)
        for row, candidates in enumerate(weighed):
            places = [column[int(number)] for number in candidates.identities]
            log_odds[row, places] = candidates.log_odds + self._reluctance(passages[row], candidates)
        log_odds[:, [number not in self.book.identities for number in numbers]] = -np.inf  # merged away since
        chosen = [numbers[choice] if choice >= 0 else None for choice in assign(log_odds)]
        # an answer may merge whom another one has chosen: their last passage then says who they are
        lasts = {number: self.book.identities[number].last for number in chosen if number is not None}
        for passage, candidates, number in zip(passages, weighed, chosen, strict=True):
            if number is not None and number not in self.book.identities:
                number = lasts[number].identity
            self._answer(passage, candidates, number, time)

    def _weighed(self, passages: list[Passage], changed: list[Passage]) -> list[Candidates]:
        """Passages against everybody; as it was last time where nothing about one has changed."""
        news = {passage.tracklet for passage in changed}
        asked = [passage for passage in passages if passage.tracklet in news or self._out_of_date(passage)]
        answers = dict(zip((passage.tracklet for passage in asked), self._weigher(asked), strict=True))
        return [answers.get(passage.tracklet) or self._outlook[passage.tracklet] for passage in passages]

    def _out_of_date(self, passage: Passage) -> bool:
        before = self._outlook.get(passage.tracklet)
        identity = self.book.identities.get(passage.identity)
        return before is None or before.alone != (identity is not None and identity.tracklets == 1)

    def _reluctance(self, passage: Passage, candidates: Candidates) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What an earlier answer is worth against another one, so that answers do not flutter."""
        margin = self.config.settled_margin if passage.settled else self.config.revise_margin
        if passage.identity == 0:
            return np.zeros(len(candidates.identities))
        if candidates.alone:
            return np.full(len(candidates.identities), -margin)
        return np.where(candidates.identities == passage.identity, margin, 0.0)

    def _answer(self, passage: Passage, candidates: Candidates, number: int | None, time: float) -> None:
        """Write a decision down, where it is one."""
        self._outlook[passage.tracklet] = candidates
        if passage.pinned and passage.identity:
            passage.settled = True
            return
        target = self.book.identities[number] if number is not None else None
        if target is not None and target.number != passage.identity:
            taken = certainly_two(self.topology, target, self.book.going_with(passage))
            target = None if taken else target  # given to somebody else a moment ago
        if passage.identity == 0:
            self._first_answer(passage, candidates, target, time)
        elif target is None and not candidates.alone:
            self.book.move(passage, None, time, self._explainer.unlike(passage, candidates))
        elif target is not None and target.number != passage.identity:
            self.book.move(passage, target, time, self._explainer.like(passage, target, candidates))
        sure = candidates.probability(passage.identity if number is not None else None)
        seen_enough = passage.end - passage.start >= self.config.settle_seconds and passage.looks is not None
        passage.settled = seen_enough and sure >= self.config.settle_probability

    def _first_answer(self, passage: Passage, candidates: Candidates, target: Identity | None, time: float) -> None:
        if target is None:
            self.book.start(passage, time, self._explainer.unlike(passage, candidates))
        else:
            self.book.link(passage, target, time, self._explainer.like(passage, target, candidates))

    # 4. learn

    def _let_go(self, tracklets: Iterable[int]) -> None:
        """Passages that ended in a moment that failed: they stay with whom they belonged to, and teach nothing."""
        for passage in (self._passages.pop(tracklet) for tracklet in tracklets if tracklet in self._passages):
            passage.open = False
            self._outlook.pop(passage.tracklet, None)
            self._still.forget(passage.tracklet)

    def _close(self, passage: Passage, time: float) -> None:
        """A passage has ended: learn from it, and ask whether its person is somebody else as well, or is several."""
        passage.open = False
        self._still.forget(passage.tracklet)
        candidates = self._outlook.pop(passage.tracklet, None)
        if candidates is not None:
            self._weigher.learn(passage, candidates)
        self._compare_with_company(
            passage, [other for other in self._passages.values() if other.camera == passage.camera]
        )
        if passage.kept is not None:
            self.calibration.observe_passage(passage.kept, passage.seen_by, ended=True)
        self._identity_changed(self.book.identities[passage.identity], False)
        self._reviser.reconsider(self.book.identities[passage.identity], time)
        self._rethinker(passage, candidates, time)
        self._ended_since_refresh += 1
        if self._ended_since_refresh >= _REFRESH_AFTER:
            self._ended_since_refresh = 0
            self.topology.refresh(self.gallery.cameras, np.maximum(time - self.gallery.seen, 0))

    def _forget(self, time: float) -> None:
        """Let go of people who have not been seen for long, and of the longest unseen where there are too many."""
        if time < self._next_forgetting and len(self.gallery) <= self.config.max_identities:
            return
        self._next_forgetting = time + min(_FORGET_EVERY, self.config.memory_seconds / 4)
        present = {passage.identity for passage in self._passages.values()}
        for number, reason in self.gallery.overdue(time, self.config.memory_seconds, self.config.max_identities):
            if number not in present:
                self.gallery.dropped[reason] += 1
                self.ground.forget([passage.tracklet for passage in self.book.identities[number].passages])
                self.book.forget(self.book.identities[number], time)

    def _identity_changed(self, identity: Identity, gone: bool) -> None:
        if gone:
            self.gallery.remove(identity.number)
        elif identity.passages:
            self.gallery.update(identity, self.calibration)

    # 5. tell

    def _tell(self, moment: CameraTracks) -> TrackedFrame:
        return TrackedFrame(
            camera_id=moment.camera_id,
            index=moment.index,
            time=moment.time,
            people=tuple(self._person(tracklet) for tracklet in moment.tracklets),
            events=self.book.take_events(),
            size=moment.size,
            finished=moment.ended,
        )

    def _person(self, tracklet: Tracklet) -> TrackedPerson:
        passage = self._passages[tracklet.id]
        x1, y1, x2, y2 = (float(side) for side in tracklet.box)
        return TrackedPerson(
            identity=passage.identity,
            tracklet=tracklet.id,
            box=(x1, y1, x2, y2),
            score=tracklet.score,
            state="settled" if passage.settled else "provisional",
            quality=tracklet.quality,
        )

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The passages that have not ended yet."""
        return tuple(self._passages.values())

    def leave_out(self, passages: Sequence[Passage]) -> None:
        """Forget passages, and hear no more of their tracklets: they hold looks of somebody who was erased."""
        self.ground.forget([passage.tracklet for passage in passages])
        for passage in passages:
            passage.looks = passage.kept = None
            self._outlook.pop(passage.tracklet, None)
            self._still.forget(passage.tracklet)
            if self._passages.pop(passage.tracklet, None) is not None:
                self._erased.add(passage.tracklet)

    def doubt(self, identities: Collection[int]) -> None:
        """Weigh the open passages of these identities anew when they are decided next: somebody else changed them."""
        for passage in self._passages.values():
            if passage.identity in identities:
                self._outlook.pop(passage.tracklet, None)

    def counters(self) -> Mapping[str, int]:
        """What was dropped from memory so far, by reason; and what else was noticed, where anything was."""
        seen = {"moved cameras": self._moved_cameras, "things that never move": self._still.things}
        return dict(self.gallery.dropped) | {name: count for name, count in seen.items() if count}
