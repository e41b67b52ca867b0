"""A training recipe: everything that decides the result, typed, from one TOML file. Unknown keys fail."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator

from reid_tracker.errors import ConfigError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SetRecipe(_Part):
    """One folder of people."""

    name: str = Field(
        pattern=r"^[^/\\]+$", description="how the set is called in logs, packs and caches, each set otherwise"
    )
    folder: str = Field(
        description="folder of pictures or MSMT17's list file, below the data folder of the command line"
    )
    people: int = Field(ge=1, description="people of this set in each batch")
    most_per_person: int = Field(0, ge=0, description="pictures kept of each person; 0 keeps all")
    composed: int = Field(
        0, ge=0, description="use this many people made of the halves of the set's people instead of themselves"
    )
    teacher: bool = Field(True, description="whether the teacher is asked about this set")


class StageRecipe(_Part):
    """A stretch of training at one picture size: small and cheap first, the size that ships last."""

    pictures: int = Field(ge=1, description="pictures seen in this stage")
    size_hw: tuple[PositiveInt, PositiveInt] = Field(description="height and width in pixels")
    last_stride: int = Field(2, ge=1, le=2, description="1 keeps 8 rows of features on pictures of half the size")
    frozen_blocks: int = Field(0, ge=0, description="first blocks of the backbone that stay as they are")
    fixed_statistics: bool = Field(
        False,
        description="normalise by known statistics instead of each batch's: much faster on a CPU, for later stages",
    )
    teacher: bool = Field(True, description="whether the teacher's losses count in this stage")


class OptimizerRecipe(_Part):
    """AdamW with a linear warm-up and a cosine to zero over all stages."""

    backbone_rate: float = Field(5e-4, gt=0)
    head_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(5e-4, ge=0)
    warmup_pictures: int = Field(5000, ge=1)
    most_gradient: float = Field(10.0, gt=0, description="gradients are scaled down to this norm")
    ema: float = Field(0.998, ge=0, lt=1, description="decay a step of the averaged weights, which are what ships")


class LossRecipe(_Part):
    """Weights of the losses; 0 leaves one out."""

    identity: float = Field(0.5, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    trihard_global: float = Field(1.0, ge=0)
    trihard_local: float = Field(1.0, ge=0)
    margin_global: float = Field(0.3, gt=0, description="on Euclidean distances of unit vectors, 0..2")
    margin_local: float = Field(0.1, gt=0, description="on aligned distances of unit stripes, 0..0.77")
    mined_by: Literal["global", "local", "both"] = Field(
        "global",
        description="distance that finds the hard pairs of both losses (the paper: global); both: each its own",
    )
    cut_bodies: Literal["all", "stripes"] = Field(
        "all",
        description="what pictures teach of which body_crop kept a part: everything, or the stripes alone, so that the "
        "global vector stays with whole bodies",
    )
    centre: float = Field(0.0, ge=0, description="half squared distance to a learnt centre of the person")
    circle: float = Field(0.0, ge=0, description="circle loss on cosines")
    circle_margin: float = Field(0.25, gt=0, lt=1)
    circle_scale: float = Field(64.0, gt=0)
    teacher_direct: float = Field(0.0, ge=0, description="1 - cosine to the teacher's vector")
    teacher_pairs: float = Field(0.0, ge=0, description="mean square error of the similarities inside the batch")
    teacher_ranks: float = Field(0.0, ge=0, description="whom of all the training pictures a picture is most like")
    ranks_temperature: float = Field(0.07, gt=0, description="of teacher_ranks: small looks at the nearest alone")
    teacher_aligned: float = Field(0.0, ge=0, description="1 - correlation of aligned with the teacher's distances")
    teacher_stripes: float = Field(0.0, ge=0, description="1 - cosine to the teacher's stripes, where it has some")
    mutual_identity: float = Field(0.01, ge=0, description="Kullback-Leibler from the partner's classification")
    mutual_metric: float = Field(0.001, ge=0, description="squared difference from the partner's global distances")


class AugmentRecipe(_Part):
    """How strong and how often pictures are changed."""

    flip: float = Field(0.5, ge=0, le=1)
    shift: float = Field(0.05, ge=0, le=0.5, description="most shift, part of the picture's side")
    scale: float = Field(0.1, ge=0, lt=1, description="most change of each side's length")
    brightness: float = Field(0.2, ge=0)
    contrast: float = Field(0.2, ge=0, lt=1)
    colour: float = Field(0.08, ge=0, lt=1)
    erase: float = Field(0.3, ge=0, le=1, description="part of the pictures in which a rectangle is hidden")
    erase_most: float = Field(0.25, gt=0.02, le=1, description="largest hidden part of the picture")
    body_crop: float = Field(0.0, ge=0, le=1, description="part of the pictures of which a band of the height is kept")
    body_least: float = Field(0.5, gt=0, le=1, description="smallest part of the height that is kept of those")
    blur: float = Field(0.0, ge=0, le=1, description="part of the pictures that are blurred as by motion or focus")
    blur_most: float = Field(0.015, gt=0, le=0.1, description="strongest blur, standard deviation over the height")


class ComputeRecipe(_Part):
    """Where and in which numbers the network computes; losses are always in float32."""

    device: Literal["cpu", "cuda", "auto"] = Field("cpu", description="auto takes an accelerator where there is one")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of the network; fp16 scales its loss")


class Recipe(_Part):
    """A whole training run."""

    name: str
    backbone: str = "efficientnet_lite0"
    partner: str = Field("", description="backbone of a second network for mutual learning; empty: none")
    seed: int = 0
    pictures_per_person: int = Field(4, ge=2)
    teacher_size_hw: tuple[PositiveInt, PositiveInt] = (256, 128)
    sets: tuple[SetRecipe, ...] = Field(min_length=1)
    stages: tuple[StageRecipe, ...] = Field(min_length=1)
    optimizer: OptimizerRecipe = OptimizerRecipe()
    loss: LossRecipe = LossRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    compute: ComputeRecipe = ComputeRecipe()

    @field_validator("sets")
    @classmethod
    def _names_differ(cls, sets: tuple[SetRecipe, ...]) -> tuple[SetRecipe, ...]:
        names = [one.name for one in sets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sets are called {', '.join(twice)}: packs go by names, so give each its own")
        return sets

    @property
    def batch(self) -> int:
        """Pictures in a batch."""
        return self.pictures_per_person * sum(one.people for one in self.sets)

    @property
    def uses_teacher(self) -> bool:
        """Whether a loss needs a teacher's vectors."""
        loss = self.loss
        of_vectors = (loss.teacher_direct, loss.teacher_pairs, loss.teacher_ranks, loss.teacher_aligned)
        return any((*of_vectors, loss.teacher_stripes)) and any(stage.teacher for stage in self.stages)

    def stage_at(self, seen: int) -> StageRecipe | None:
        """The stage that the picture number ``seen`` belongs to; None past the end."""
        for stage in self.stages:
            if seen < stage.pictures:
                return stage
            seen -= stage.pictures
        return None

    def pixels_left(self, seen: int) -> int:
        """Pixels of all pictures after the first ``seen``: what a step costs goes by them."""
        left = 0
        for stage in self.stages:
            height, width = stage.size_hw
            left += max(0, stage.pictures - seen) * height * width
            seen = max(0, seen - stage.pictures)
        return left

    @property
    def pictures(self) -> int:
        """Pictures seen over all stages."""
        return sum(stage.pictures for stage in self.stages)


def with_compute(recipe: Recipe, device: str | None, precision: str | None) -> Recipe:
    """The recipe on another device or in other numbers; None leaves what it says.

    Raises:
        ConfigError: no such device or precision.
    """
    changed = {"device": device or recipe.compute.device, "precision": precision or recipe.compute.precision}
    try:
        return recipe.model_copy(update={"compute": ComputeRecipe.model_validate(changed)})
    except ValidationError as error:
        faults = "; ".join(f"--{fault['loc'][0]}: {fault['msg']}, got {fault['input']!r}" for fault in error.errors())
        raise ConfigError(faults) from error


def read_recipe(file: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        ConfigError: it is missing, no TOML, or has a key that is unknown or out of range.
    """
    try:
        return Recipe.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"recipe {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"recipe {file}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"recipe {file}: not TOML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"recipe {file}: {faults}") from error
