"""What turns a scan into a network's input: the params that travel with arrays and models, and their file.

Apart from `images`, which does it: a model is checked against these, and is no other when a line there changes.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from brainmri.core.params import Record, Section

Percentile = Annotated[float, Field(ge=0, le=100)]

Window = Annotated[list[Percentile], Field(min_length=2, max_length=2)]  # the percentiles that become 0 and 1


class ImageParams(Section):
    """What turns a scan into a network's input; a model only ever sees images made with one set of these."""

    size: Annotated[int, Field(ge=16, le=1024)]  # side of the square grid, px
    fit: Literal["pad", "stretch"]  # how a non-square image meets the square grid
    # Percentiles inside the head, or of the whole frame; or the scan's own window first and percentiles for the rest.
    window_source: Literal["percentile", "frame", "dicom"]
    windows: Annotated[list[Window], Field(min_length=1, max_length=8)]  # one a channel

    def shape(self) -> tuple[int, int, int]:
        """Return the shape of an image on the square grid, a channel a window."""
        return self.size, self.size, len(self.windows)

    @field_validator("windows")
    @classmethod
    def _low_below_high(cls, windows: list[list[float]]) -> list[list[float]]:
        if any(low >= high for low, high in windows):
            raise ValueError("pairs with the low percentile below the high one")
        return windows


class MadeWith(Record):
    """The `preprocess.json` of a folder of images, and of the model that learnt from them."""

    classes: list[str]
    params: ImageParams
