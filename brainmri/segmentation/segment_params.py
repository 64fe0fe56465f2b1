"""Section `segment` of `params.yaml`, without Keras, so that params are checked in a moment."""

from typing import Annotated

from pydantic import Field, field_validator

from brainmri.core.params import Seed
from brainmri.segmentation.methods import MethodName, MethodParams


class SegmentParams(MethodParams):
    """The whole section."""

    seed: Seed
    bootstrap: Annotated[int, Field(ge=100, le=100_000)]
    methods: Annotated[list[MethodName], Field(min_length=1)]
    gate: bool
    guide: bool  # whether kmeans_brain is given the classifier's evidence
    size_bounds_px: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: list[str]) -> list[str]:
        if len(set(methods)) < len(methods):
            raise ValueError("different from each other")
        return methods

    @field_validator("size_bounds_px")
    @classmethod
    def _rising(cls, bounds: list[int]) -> list[int]:
        if bounds[0] >= bounds[1]:
            raise ValueError("rising")
        return bounds
