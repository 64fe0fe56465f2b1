"""Section `train` of `params.yaml`: the classifier's network and how it learns."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from brainmri.core.params import Count, Seed
from brainmri.models.classifier_networks import ArchitectureName, ArchitectureParams
from brainmri.models.columns import NUMBERS, WORDS
from brainmri.models.training import Plan


class ClassifierParams(ArchitectureParams):
    """The whole section."""

    seed: Seed
    repeats: Annotated[int, Field(ge=1, le=100)]
    architecture: ArchitectureName
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

    def plan(self) -> Plan:
        """Return how long the network learns, how fast, and when it stops."""
        return Plan(self.epochs, self.learning_rate, self.schedule, self.warmup_epochs, self.patience)
