"""The tables of the configuration, one class each; reid_tracker.config makes one tree of them.

Each leaf has its default, its unit and one line of help.
"""

from __future__ import annotations

import math
import tomllib
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _source_text(given: Any) -> Any:
    """The source of a camera, where a webcam may be given as a number."""
    if given == "":
        raise ValueError("is empty; give a video file, a pattern of such, a folder of images or a webcam number")
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


class Table(BaseModel):
    """One table: unknown keys fail, nothing changes later; errors do not show values, which may hold passwords."""

    # no setting means anything as infinity or NaN, which text and TOML can say
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _lists_from_text(cls, given: Any) -> Any:
        """An environment variable and ``--set`` hold text: ``["a", "b"]`` as in TOML, or ``a,b``."""
        if not isinstance(given, dict):
            return given
        lists = {name for name, leaf in cls.model_fields.items() if get_origin(leaf.annotation) in (list, tuple)}
        return {
            name: _listed(value) if name in lists and isinstance(value, str) else value for name, value in given.items()
        }


def _listed(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return [part.strip() for part in text.split(",") if part.strip()]


class CameraConfig(Table):
    """One camera: ``[[cameras]]``."""

    id: str = Field(min_length=1, description="name of the camera, unique")
    source: Annotated[str, BeforeValidator(_source_text)] = Field(
        description="video file, pattern of such, folder of images (paths from the config file), or webcam number"
    )
    start_time: Annotated[datetime, AfterValidator(_with_zone)] | None = Field(
        None, description="when the first frame was taken (ISO 8601; UTC where no zone is given)"
    )
    fps: Positive | None = Field(
        None, description="pictures a second of a folder of pictures (default: its seqinfo.ini, else 25)"
    )
    homography: tuple[tuple[float, float, float], ...] | None = Field(
        None, description="3 x 3 matrix from pixels of the frame to the site's ground plane in metres"
    )
    neighbours: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        default_factory=dict, description="camera id -> [least, most] seconds that people walk to it"
    )
    place: tuple[Fraction, Fraction] | None = Field(
        None, description="where it stands on the site's map: [x, y], shares of width and height from the upper left"
    )

    @model_validator(mode="after")
    def _usable(self) -> CameraConfig:
        if self.homography is not None:
            if len(self.homography) != 3:
                raise ValueError(f"homography of camera {self.id!r} needs 3 rows of 3 numbers")
            if not _invertible(self.homography):
                raise ValueError(f"homography of camera {self.id!r} maps the frame to no plane (determinant 0)")
        for neighbour, (least, most) in self.neighbours.items():
            if not 0 <= least <= most:
                raise ValueError(
                    f"neighbour {neighbour!r} of camera {self.id!r}: expected [least, most] seconds, "
                    f"0 or more and in that order, got [{least:g}, {most:g}]"
                )
        return self


def _invertible(rows: tuple[tuple[float, float, float], ...]) -> bool:
    (a, b, c), (d, e, f), (g, h, i) = rows
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return math.isfinite(determinant) and determinant != 0


class RuntimeConfig(Table):
    """How networks run: ``[runtime]``."""

    backend: Literal["auto", "onnxruntime", "openvino", "tensorrt"] = Field(
        "auto",
        description="inference engine; auto takes a TensorRT engine that was built for this GPU, else OpenVINO on a "
        "CPU where it is installed",
    )
    precision: Literal["fp32", "bf16", "fp16", "int8", "fp8"] = Field(
        "fp32",
        description="arithmetic of the networks; bf16 is faster on CPUs that have it, with small changes; fp16, int8 "
        "and fp8 need a TensorRT engine",
    )
    threads: int = Field(0, ge=0, description="CPU threads for inference; 0 takes all cores")
    build: bool = Field(
        True, description="with backend tensorrt: build an engine that is missing before the run starts"
    )
    engine_batch: tuple[int, int, int] = Field(
        (1, 16, 64), description="least, best and most pictures at once of engines that a run builds"
    )
    engine_cache: str = Field(
        "", description="folder of built engines (default: reid_tracker/engines in the user's cache folder)"
    )
    fallback: list[Literal["onnxruntime-cuda", "openvino", "onnxruntime"]] = Field(
        default_factory=list,
        description="with backend tensorrt: what to take, in this order, where no engine can run; none: refuse to "
        "start",
    )


class DetectionConfig(Table):
    """Finding people: ``[detection]``."""

    model: str = Field(
        "auto",
        description="name of a shipped model, .onnx or .pt file, or registered detector; auto: nanodet_g_int8 (eight "
        "bits, half the time) where OpenVINO runs it on an x86 processor, else nanodet_g",
    )
    trust_model: bool = Field(False, description="allow loading .pt files, which can run code")
    input_size: Annotated[int, Field(ge=32, le=8192)] | Literal["auto"] = Field(
        "auto",
        description="longer side of the network input in pixels, 32 to 8192; auto chooses from the frames and keeps it",
    )
    score_threshold: Fraction | Literal["auto"] = Field(
        "auto", description="least score that leaves the detector; auto follows model and size"
    )
    confident_score: Fraction | Literal["auto"] = Field(
        "auto", description="least score that may begin a track; auto follows model and size"
    )
    nms_overlap: Fraction = Field(0.6, description="boxes that overlap more than this (IoU) are one person")


class EmbeddingConfig(Table):
    """Describing people: ``[embedding]``."""

    model: str = Field("alignedreid_small", description="name of a shipped model, .onnx file, or registered embedder")
    batch: int = Field(16, ge=1, description="crops per call of the network")


class TrackingConfig(Table):
    """Following people inside one camera: ``[tracking]``. Times in seconds, lengths in heights of the person."""

    confirm_hits: int = Field(3, ge=1, description="detections until a new person is believed")
    confirm_seconds: float = Field(0.0, ge=0, description="seconds that these must span at least")
    tentative_seconds: Positive = Field(0.35, description="seconds that somebody not yet believed may be missed")
    max_lost_seconds: Positive = Field(
        12.0, description="seconds that somebody out of sight is looked for; after that the associator takes over"
    )
    exit_seconds: float = Field(0.5, ge=0, description="the same for somebody who walked out of the picture")
    exit_inside: Fraction = Field(
        0.3, description="share of the predicted box inside the picture below which somebody has walked out"
    )

    overlap_growth: float = Field(
        0.05, ge=0, le=2, description="boxes are enlarged by this share of their sides before overlap is taken"
    )
    growth_per_second: float = Field(0.15, ge=0, le=2, description="further share per second out of sight")
    max_growth_seconds: float = Field(3.0, ge=0, description="seconds after which boxes grow no more")
    least_overlap: Fraction = Field(0.2, description="overlap below which a box cannot continue a track")
    least_weak_overlap: Fraction = Field(0.6, description="the same for boxes of low score")
    weak_seconds: float = Field(1.0, ge=0, description="seconds out of sight after which low scores no longer help")
    least_height_ratio: Fraction = Field(0.6, description="smaller over larger height below which boxes cannot match")
    lost_cost: float = Field(0.05, ge=0, description="handicap of a lost track against one that was just seen")
    cost_limit: Positive = Field(
        0.7, description="1 - overlap - weight x likeness above which a box does not continue a track"
    )
    appearance_weight: float = Field(1.4, ge=0, description="weight of looks beside overlap")

    recover_gate: Positive = Field(24.0, description="squared deviations from the prediction within which to look")
    recover_reach: Positive = Field(3.0, description="heights from the prediction within which to look")
    blind_reach: float = Field(2.0, ge=0, description="the same where nothing is known of the looks, heights")
    blind_seconds: float = Field(
        5.0, ge=0, description="seconds out of sight after which nobody is found again without looks"
    )
    recover_height_ratio: Fraction = Field(0.8, description="smaller over larger height for somebody found again")
    recover_evidence: float = Field(0.5, ge=-1, le=1, description="least likeness (-1..1) to be found again")
    recover_weight: float = Field(0.8, ge=0, description="weight of looks beside place when found again")

    start_coverage: Fraction = Field(
        0.7, description="share inside a tracked person's box from which a detection starts nobody new"
    )
    refresh_seconds: float = Field(
        1.0, ge=0, description="most seconds between looks at somebody who is plain to follow and in full view"
    )
    refresh_share: float = Field(
        0.5, ge=0, description="share of the time in view that goes by until the next such look, while that is shorter"
    )
    plain_overlap: Fraction = Field(0.6, description="overlap from which somebody is plain to follow by place alone")
    plain_margin: Fraction = Field(
        0.3, description="lead in overlap over everybody else that somebody needs to be plain to follow"
    )
    looks: int = Field(16, ge=1, le=256, description="looks remembered per tracklet")
    look_variety: float = Field(0.03, ge=0, le=2, description="cosine distance below which two looks are one")
    look_coverage: Fraction = Field(0.3, description="most of a box that a nearer person may cover for a good look")
    look_evidence: float = Field(
        -0.3, ge=-1, le=1, description="likeness (-1..1) to the looks so far below which a look is not remembered"
    )
    look_quality: Fraction = Field(0.2, description="least quality of a remembered look")
    same_distance: float = Field(
        0.2, ge=0, le=2, description="cosine distance to expect of one person; learned from there on"
    )
    different_distance: float = Field(
        0.5, ge=0, le=2, description="cosine distance to expect of two people; learned from there on"
    )
    history_length: int = Field(64, ge=2, description="newest boxes kept per tracklet")

    position_noise: Positive = Field(0.09, description="error of a detected centre, heights")
    size_noise: Positive = Field(0.2, description="error of a detected width or height, heights")
    score_weight: float = Field(0.0, ge=0, description="how much larger the error is at score 0: 1 + this, times")
    rival_weight: float = Field(
        2.5, ge=0, description="the same for a box where somebody else is expected, too: 1 + this x overlap, times"
    )
    position_change: Positive = Field(0.8, description="change of walking speed in a second, heights per second")
    size_change: Positive = Field(0.15, description="change of the size's speed in a second, heights per second")
    start_speed: Positive = Field(1.6, description="walking speed to expect of a new track, heights per second")
    velocity_memory_seconds: Positive = Field(4.0, description="seconds in which an unseen person's speed fades")
    size_memory_seconds: Positive = Field(0.5, description="the same for changes of size")
    box_smoothing: Fraction = Field(0.7, description="share of the filter's box in what is reported; 0 = detector's")


class AssociationConfig(Table):
    """Linking people across cameras: ``[association]``."""

    shortlist: int = Field(50, ge=1, description="remembered people whose looks are weighed closely for a tracklet")
    settle_probability: Fraction = Field(0.95, description="probability from which a decision counts as settled")
    settle_seconds: float = Field(1.0, ge=0, description="seconds in view before a decision can be settled")
    revise_margin: float = Field(
        1.0, ge=0, description="lead in log-odds that another answer needs to replace a provisional one"
    )
    settled_margin: float = Field(
        3.0, ge=0, description="lead in log-odds that another answer needs to replace a settled one"
    )
    merge_margin: float = Field(1.0, ge=0, description="log-odds from which two identities are merged during a run")
    looks_per_passage: int = Field(4, ge=1, description="looks kept of each tracklet, varied and of good quality")
    passages_per_camera: int = Field(6, ge=1, description="tracklets remembered per identity and camera")
    max_identities: int = Field(10_000, ge=1, description="people remembered; the longest unseen are dropped first")
    memory_seconds: Positive = Field(86_400.0, description="seconds without a sight after which a person is dropped")
    calibration: str = Field(
        "", description="file of reid-tracker calibrate, what distances mean on this site to begin with; empty: learn"
    )


class OutputConfig(Table):
    """What a run leaves on disk: ``[output]``."""

    video: bool = Field(False, description="write an annotated video per camera (pictures of people)")
    report: bool = Field(False, description="write report.html (pictures of people)")
    save_crops: bool = Field(False, description="write the best crops of each tracklet (pictures of people)")
    looks: bool = Field(True, description="write each tracklet's embeddings (no pictures)")
    sinks: list[str] = Field(
        default_factory=list, description="further sinks by name, registered by other packages (reid_tracker.sinks)"
    )
    video_codec: Literal["auto", "h264", "vp8", "vp9"] = Field(
        "auto",
        description="h264 (.mp4) needs an ffmpeg program with an H.264 encoder, vp8 and vp9 (.webm, slower) nothing; "
        "auto takes h264 where it can, else vp8",
    )
    crops_per_tracklet: int = Field(4, ge=1, description="most crops that save_crops writes of one tracklet")


class PrivacyConfig(Table):
    """What pictures of people may show: ``[privacy]``."""

    blur_faces: bool = Field(
        False,
        description="blur the top of each tracked person's box, where the face is, in every picture that is stored or "
        "shown (video, report, crops, page)",
    )


class LiveConfig(Table):
    """Reading live cameras: ``[live]``. Times in seconds."""

    transport: Literal["tcp", "udp"] = Field("tcp", description="how RTSP carries pictures; udp loses some")
    open_seconds: Positive = Field(3.0, description="longest wait for a camera to answer")
    read_seconds: Positive = Field(2.0, description="longest wait for data of a connected camera")
    stall_seconds: Positive = Field(
        4.0, description="seconds without a new picture after which the camera is connected anew"
    )
    frozen_seconds: Positive = Field(
        20.0, description="seconds of exactly the same picture after which the camera is connected anew"
    )
    late_seconds: Positive = Field(0.5, description="a picture this far behind its stream is left out as late")
    first_wait: Positive = Field(0.25, description="wait before the first attempt to connect anew, doubled each time")
    most_wait: Positive = Field(2.0, description="longest wait between two attempts")
    password_seconds: Positive = Field(
        300.0, description="wait after a wrong password, so that the camera does not lock the account"
    )
    most_clock_error: Positive = Field(
        5.0, description="a camera's clock that differs more than this from ours is not believed"
    )
    repeat: bool = Field(False, description="begin recordings given as cameras again when they end")
    decode: Literal["auto", "cpu", "hardware"] = Field(
        "auto",
        description="where network streams are decoded; auto takes hardware that passes a trial, hardware also says "
        "why where none does (and decodes on the CPU)",
    )


class StoreConfig(Table):
    """Memory that outlasts the program: ``[store]``. Used by ``reid-tracker serve``."""

    path: str = Field("", description="SQLite file of identities, looks and sightings; empty keeps none")
    url: str = Field("", description="PostgreSQL database instead of a file: postgresql://user:${PASSWORD}@host/name")
    retention_days: Positive = Field(30.0, description="days after which sightings and events are removed")
    crops: bool = Field(False, description="keep pictures of people (else vectors only)")
    crops_per_tracklet: int = Field(2, ge=1, le=16, description="most pictures kept of one passage")


class ServiceConfig(Table):
    """The web service: ``[service]``. Tokens come from REID_TRACKER_TOKENS or a file, never from here."""

    host: str = Field("127.0.0.1", description="address to listen on; others than this machine's need tokens and TLS")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes any")
    tokens_file: str = Field("", description="file of tokens, a line each: role name token")
    tls_certificate: str = Field("", description="certificate file (PEM)")
    tls_key: str = Field("", description="key file of the certificate (PEM)")
    behind_proxy: bool = Field(False, description="a proxy in front ends TLS; plain HTTP is meant")
    hosts: list[str] = Field(default_factory=list, description="further names under which the service is reached")
    most_viewers: int = Field(200, ge=1, description="open WebSockets and pictures streams together")
    viewer_queue: int = Field(64, ge=1, description="messages that wait for a slow viewer; older ones are skipped")
    viewer_seconds: Positive = Field(10.0, description="seconds that a viewer may take for a message")
    picture_width: int = Field(960, ge=64, description="widest picture sent to a browser, pixels")
    picture_rate: Positive = Field(8.0, description="most pictures a second sent of one camera")
    upload_bytes: int = Field(8_000_000, ge=1000, description="largest picture to search by")
    recent_events: int = Field(2000, ge=10, description="events kept in memory for viewers where there is no store")


class SiteConfig(Table):
    """The place that the cameras watch: ``[site]``."""

    map: str = Field("", description="picture of the site for the page (PNG or JPEG, path from the config file)")


class ClusterConfig(Table):
    """More than one machine: ``[cluster]``. Used with ``--cluster`` (docs/cluster.md)."""

    cpus: Positive = Field(1.0, description="processor cores of a tracking task or of a group of cameras")
    gpus: float = Field(0.0, ge=0, description="GPUs of the same; a fraction lets several share one")
    retries: int = Field(3, ge=0, description="how often a piece is tried again when its worker or machine is lost")
    piece_seconds: Positive = Field(300.0, description="seconds of a camera's recording that one task tracks")
    overlap_seconds: Positive = Field(
        12.0, description="seconds that a piece goes on into the next one, to recognise who walks through the seam"
    )
    group_cameras: int = Field(8, ge=1, description="most live cameras of one group, read and tracked by one worker")
    associator_cameras: int = Field(
        100,
        ge=1,
        description="most cameras of one associator; a larger site is cut into several along its weakest links",
    )
    associator_cpus: float = Field(
        1.0, ge=0, description="processor cores of an associator, where a site is cut into several"
    )
    heartbeat_seconds: Positive = Field(1.0, description="seconds between two reports of a group to the site")
    site_resource: str = Field(
        "", description="Ray resource of the machine that keeps store and service; empty: any machine"
    )
    niceness: int = Field(
        0,
        ge=0,
        le=19,
        description="of the workers of a cluster that --cluster local starts; Ray's own is 15: they wait for all else",
    )
    store_bytes: int = Field(
        200_000_000, ge=80_000_000, description="shared memory of a cluster that --cluster local starts"
    )
