"""Section `train` of `params.yaml`: the classifier's network and how it learns.

Without Keras, so that params are checked in a moment.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from brainmri.core.params import Count, Section, Seed
from brainmri.preprocessing.columns import NUMBERS, WORDS

# Backbones of keras.applications that take 0 to 255 and scale it themselves, so that one rule feeds them all.
APPLICATIONS = ("ConvNeXtTiny", "EfficientNetB0", "EfficientNetV2B0", "MobileNetV3Large", "MobileNetV3Small")


class CnnParams(Section):
    """Of the plain network."""

    filters: Annotated[list[Count], Field(min_length=1, max_length=6)]
    pools: Annotated[list[Annotated[int, Field(ge=1, le=8)]], Field(min_length=1, max_length=6)]
    kernel: Annotated[int, Field(ge=1, le=11)]
    stride: Annotated[int, Field(ge=1, le=4)]
    dense: Count

    @model_validator(mode="after")
    def _a_pool_for_each_convolution(self) -> Self:
        if len(self.filters) != len(self.pools):
            raise ValueError(f"as many pools as filters, here {len(self.filters)}")
        return self


class ResidualParams(Section):
    """Of the residual network."""

    widths: Annotated[list[Count], Field(min_length=1, max_length=6)]
    depth: Annotated[int, Field(ge=1, le=20)]
    patch: Annotated[int, Field(ge=1, le=16)]


class Lite0Params(Section):
    """Of EfficientNet-Lite0."""

    weights: Literal["imagenet"] | None
    side: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] | None


class ApplicationParams(Section):
    """Of a backbone of `keras.applications`."""

    name: str
    weights: str | None

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in APPLICATIONS:
            raise ValueError(f"one of {', '.join(APPLICATIONS)}")
        return name


class ArchitectureParams(Section):
    """What the architectures take from section `train`: of each a section with its name."""

    residual: ResidualParams
    cnn: CnnParams
    lite0: Lite0Params
    application: ApplicationParams


def _known(name: str) -> str:
    if name not in ArchitectureParams.model_fields:
        raise ValueError(f"one of {', '.join(ArchitectureParams.model_fields)}")
    return name


class ClassifierParams(ArchitectureParams):
    """The whole section."""

    seed: Seed
    repeats: Annotated[int, Field(ge=1, le=100)]
    architecture: Annotated[str, AfterValidator(_known)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    metadata: list[str]
    variants: Literal["fresh", "stored"]
    epochs: Annotated[int, Field(ge=1, le=10000)]
    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    schedule: Literal["cosine", "constant"]
    warmup_epochs: Annotated[float, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    class_balance: Annotated[float, Field(ge=0, le=1)]
    averaging: Annotated[float, Field(ge=0, lt=1)]
    patience: Annotated[int, Field(ge=0)]
    mirror: bool
    abstain_risk: Annotated[float, Field(ge=0, lt=1)]
    unlike_share: Annotated[float, Field(ge=0, lt=1)]
    unlike_images: Annotated[int, Field(ge=1, le=100_000)]
    precision: Literal["float32", "mixed_bfloat16"]

    @field_validator("metadata")
    @classmethod
    def _columns_of_the_scan(cls, metadata: list[str]) -> list[str]:
        if not set(metadata) <= {*NUMBERS, *WORDS} or len(set(metadata)) != len(metadata):
            raise ValueError(f"different columns out of {', '.join((*NUMBERS, *WORDS))}")
        return metadata

    @model_validator(mode="after")
    def _warm_before_the_end(self) -> Self:
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs of at most epochs, here {self.epochs}")
        return self
