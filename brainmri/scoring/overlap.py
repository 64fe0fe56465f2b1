"""How well a mask agrees with the true one: overlap, distance between surfaces, size.

What is undefined is decided here, once:

- Both masks empty: there is nothing to find and nothing was found. Overlap and distances are NaN, not scored, as in
  nnU-Net; a Dice of 1 would let a set of empty slices lift the mean.
- Only one empty: Dice and IoU are 0. Distances are the frame's diagonal, the largest that two of its pixels can have,
  as the BraTS challenges do: as NaN, a missed tumour would leave the mean, and missing would pay. `one_empty` counts
  them.
- A ratio whose denominator is empty (sensitivity without tumour, precision without prediction) is NaN.

Definitions follow Maier-Hein, Reinke et al. 2024, doi:10.1038/s41592-023-02151-z.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from brainmri.core.errors import ArtifactError
from brainmri.scoring.training_scores import dice


def compare(truth: np.ndarray, prediction: np.ndarray, spacing_mm: Sequence[float] | None = None) -> dict[str, float]:
    """Score one predicted mask against the true one.

    Parameters
    ----------
    truth, prediction
        Bool, `(H, W)` or `(D, H, W)`, of one shape.
    spacing_mm
        Distance between neighbours along each axis, in mm; None where it is unknown: then distances and sizes are in
        pixels.

    Returns
    -------
    dict
        `dice`, `iou`, `sensitivity`, `precision`, `specificity`, all in [0, 1]; `hd95`, the larger of the two directed
        95th percentiles of the distance between surfaces, and `assd`, the average symmetric surface distance, both in
        mm or px; `size_error`, predicted minus true, in mm² (mm³ of a volume) or px, and `size_error_relative`, the
        same as a share of the true size; `one_empty`, 1 if exactly one mask is empty, else 0, NaN if both are.

    Raises
    ------
    ArtifactError
        If shapes or types differ from the above, or a spacing is not above 0.
    """
    _check(truth, prediction, spacing_mm)
    spacing = np.ones(truth.ndim) if spacing_mm is None else np.asarray(spacing_mm, float)
    hits = int(np.count_nonzero(truth & prediction))
    true, predicted = int(np.count_nonzero(truth)), int(np.count_nonzero(prediction))
    others = truth.size - true
    hd95, assd = _surface_distances(truth, prediction, spacing) if true or predicted else (np.nan, np.nan)
    return {
        "dice": float(dice(truth[None], prediction[None])[0]),
        "iou": _ratio(hits, true + predicted - hits),
        "sensitivity": _ratio(hits, true),
        "precision": _ratio(hits, predicted),
        "specificity": _ratio(others - (predicted - hits), others),
        "hd95": hd95,
        "assd": assd,
        "size_error": float((predicted - true) * spacing.prod()),
        "size_error_relative": _ratio(predicted - true, true),
        "one_empty": float(not (true and predicted)) if true or predicted else np.nan,
    }


def summary(values: np.ndarray) -> dict[str, float]:
    """Summarise scores `(N,)`, NaN meaning not scored: `mean`, `median`, `p5` (5th percentile), `n`, `n_not_scored`."""
    scored = int(np.count_nonzero(~np.isnan(values)))
    point = weighted({"": values}, np.ones((1, len(values))))
    result = {name.removeprefix("."): float(value[0]) for name, value in point.items()}
    return {**result, "n": scored, "n_not_scored": len(values) - scored}


def weighted(scores: Mapping[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean, median and 5th percentile of each column of scores for each of R rows of image weights.

    Parameters
    ----------
    scores
        Columns `(N,)`, NaN meaning not scored: such an image counts in none of the three.
    weights
        `(R, N)` whole numbers, how often each image was drawn by `intervals.bootstrap`.

    Returns
    -------
    dict
        `<column>.mean`, `<column>.median` and `<column>.p5`, each `(R,)`: what NumPy gives for the rows repeated as
        often as they were drawn; NaN where no scored image was drawn.
    """
    result = {}
    for name, values in scores.items():
        order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]  # NaN sorts last
        ranked, upto = values[order], np.cumsum(weights[:, order], axis=1)
        total = upto[:, -1] if len(order) else np.zeros(len(weights))
        sums = weights[:, order] @ ranked
        result[f"{name}.mean"] = np.divide(sums, total, out=np.full(len(weights), np.nan), where=total > 0)
        result[f"{name}.median"] = _quantile(ranked, upto, total, 0.5)
        result[f"{name}.p5"] = _quantile(ranked, upto, total, 0.05)
    return result


def _quantile(ranked: np.ndarray, upto: np.ndarray, total: np.ndarray, share: float) -> np.ndarray:
    """Interpolate linearly between the two drawn values about rank `share * (total - 1)`, as `numpy.quantile` does."""
    result = np.full(len(total), np.nan)
    drawn = total > 0
    rank = share * (total[drawn] - 1)
    below, above = (
        # The first value whose cumulated weight passes the rank is the one that stands at it.
        ranked[(upto[drawn] > place[:, None]).argmax(1)] if drawn.any() else np.empty(0)
        for place in (np.floor(rank), np.ceil(rank))
    )
    result[drawn] = below + (above - below) * (rank - np.floor(rank))
    return result


def surface(mask: np.ndarray) -> np.ndarray:
    """Return the foreground pixels that touch background or the frame's edge: bool, of the shape of `mask`.

    Neighbours share a side: 4 of them in a slice, 6 in a volume.
    """
    edge: np.ndarray = mask & ~ndimage.binary_erosion(mask)
    return edge


def _surface_distances(truth: np.ndarray, prediction: np.ndarray, spacing: np.ndarray) -> tuple[float, float]:
    """Return HD95 and ASSD of two masks, at least one of which is not empty."""
    if not (truth.any() and prediction.any()):
        diagonal = float(np.linalg.norm((np.array(truth.shape) - 1) * spacing))
        return diagonal, diagonal
    # Both surfaces lie in the bounding box of the union, so that distances inside it are those of the whole frame.
    box = ndimage.find_objects((truth | prediction).view(np.uint8))[0]
    surfaces = [surface(truth[box]), surface(prediction[box])]
    to_truth, to_prediction = (ndimage.distance_transform_edt(~each, sampling=spacing) for each in surfaces)
    distances = [to_prediction[surfaces[0]], to_truth[surfaces[1]]]
    hd95 = max(float(np.percentile(each, 95)) for each in distances)
    return hd95, float(np.concatenate(distances).mean())


def _check(truth: np.ndarray, prediction: np.ndarray, spacing_mm: Sequence[float] | None) -> None:
    if truth.shape != prediction.shape or truth.dtype != bool or prediction.dtype != bool:
        raise ArtifactError(
            "masks: truth and prediction should be boolean and of one shape, received "
            f"{truth.dtype} {truth.shape} and {prediction.dtype} {prediction.shape}; run the segment stage again"
        )
    if spacing_mm is not None and (len(spacing_mm) != truth.ndim or not all(0 < step < np.inf for step in spacing_mm)):
        raise ArtifactError(
            f"spacing_mm: should be {truth.ndim} lengths above 0, one an axis, received {list(spacing_mm)}; "
            "correct the index or leave the spacing empty"
        )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
