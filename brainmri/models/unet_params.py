"""Section `train_unet` of `params.yaml`: the U-Net and how it learns.

Without Keras, so that params are checked in a moment. Nothing of the classifier's either, although one class is the
same: a change there would train the U-Net anew.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from brainmri.core.params import Count, Section, Seed
from brainmri.preprocessing.augmentation import VariationParams

ENCODER_NAMES = ("plain", "lite0")


class Lite0Params(Section):
    """Of EfficientNet-Lite0."""

    weights: Literal["imagenet"] | None
    side: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] | None


class EncoderParams(Section):
    """What the encoders take: a section with the name of each that takes any."""

    lite0: Lite0Params


class CleaningCandidates(Section):
    """Section `train_unet.cleaning`: what is tried on validation; with one value each, nothing is chosen."""

    threshold: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)]
    smallest_px: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    largest_only: Annotated[list[bool], Field(min_length=1)]
    fill_holes: Annotated[list[bool], Field(min_length=1)]


def _known(name: str) -> str:
    if name not in ENCODER_NAMES:
        raise ValueError(f"one of {', '.join(ENCODER_NAMES)}")
    return name


class UnetParams(EncoderParams):
    """The whole section."""

    seed: Seed
    folds: Annotated[int, Field(ge=1, le=20)]
    encoder: Annotated[str, AfterValidator(_known)]
    widths: Annotated[list[Count], Field(min_length=1, max_length=6)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    epochs: Annotated[int, Field(ge=1, le=10000)]
    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    warmup_epochs: Annotated[int, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    dice_weight: Annotated[float, Field(ge=0, le=1)]
    averaging: Annotated[float, Field(ge=0, lt=1)]
    no_tumour: Annotated[float, Field(ge=0, le=10)]
    variation: VariationParams
    precision: Literal["float32", "mixed_bfloat16"]
    mirror: bool
    cleaning: CleaningCandidates
