"""How good the masks of a set are: one row an image, and summaries of rows with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.index import Split
from brainmri.core.labels import NO_TUMOUR
from brainmri.preprocessing.images import from_square
from brainmri.preprocessing.masks import NativeTruth
from brainmri.scoring import intervals, overlap
from brainmri.scoring.records import COLUMNS, IN_MM, SIZES, SUMMARISED


def score_rows(
    split: Split, masks: Mapping[str, np.ndarray], truths: Iterable[NativeTruth | None], fit: str
) -> dict[str, pd.DataFrame]:
    """Score the masks of several methods in one pass over the images.

    Parameters
    ----------
    split
        N images with their true masks.
    masks
        By method, `(N, S, S)` uint8 0 or 1.
    truths
        The true masks on the files' own pixels, N in the order of the index.
    fit
        How the images met the square grid, see `images.to_square`.

    Returns
    -------
    dict
        By method a table of `COLUMNS`, one row an image: predicted area, and every measure where there is a true mask.
        Lengths in mm, and areas in mm², are NaN where the voxel size is unknown. `size_error_mm` is in mm².
    """
    rows: dict[str, list[dict[str, Any]]] = {method: [] for method in masks}
    for at, (image, native) in enumerate(zip(split.index.itertuples(), truths, strict=True)):
        known = {name: getattr(image, name) for name in ("image_id", "label", "set", "unit", "training_twin")}
        spacing = (image.voxel_row_mm, image.voxel_col_mm)
        truth = split.masks[image.mask_row].astype(bool) if image.mask_row >= 0 else None
        for method, arrays in masks.items():
            mask = arrays[at].astype(bool)
            area = int(mask.sum())
            row = {**known, "area_px": area, "area_mm2": area * spacing[0] * spacing[1]}
            if truth is not None:
                row |= {"truth_px": int(truth.sum())} | _measures(truth, mask, spacing)
            if native is not None:
                back = from_square(mask, native.mask.shape, fit)
                scored = _measures(native.mask, back, native.spacing_mm)
                row |= {f"native_{name}": value for name, value in scored.items()}
            rows[method].append(row)
    return {method: pd.DataFrame(found).reindex(columns=COLUMNS) for method, found in rows.items()}


def _measures(truth: np.ndarray, mask: np.ndarray, spacing_mm: Sequence[float]) -> dict[str, float]:
    scored = overlap.compare(truth, mask)
    in_mm = {} if np.isnan(spacing_mm).any() else overlap.compare(truth, mask, spacing_mm)
    return scored | {f"{name}_mm": in_mm.get(name, np.nan) for name in IN_MM}


def method_scores(
    table: pd.DataFrame,
    nothing: pd.DataFrame,
    clear: np.ndarray | None,
    size_bounds_px: Sequence[int],
    seed: int,
    repeats: int,
) -> dict[str, Any]:
    """Summarise a method: all test images, also on their own pixels, also gated; and those without a training twin.

    Parameters
    ----------
    table, nothing
        Rows of `score_rows` of the method's masks, and of empty masks.
    clear
        `(N,)` bool, whether the classifier calls an image free of tumour; None without a gate. Gated, such an image has
        an empty mask. The classifier may have seen a twin of a test image: trust the gate on `twin_free` ones only.
    size_bounds_px, seed, repeats
        See `by_kind`.

    Returns
    -------
    dict
        What `summarise` and `by_kind` return, and the first also under `native`, `twin_free`, `gated`, and `gated`
        within `twin_free`.
    """
    result = summarise(table, seed, repeats) | by_kind(table, size_bounds_px, seed, repeats)
    result["native"] = summarise(table, seed, repeats, prefix="native_")
    twin_free = ~table["training_twin"].astype(bool)
    result["twin_free"] = summarise(table[twin_free], seed, repeats)
    if clear is not None:
        gated = table.where(~pd.Series(clear, table.index), nothing)
        result["gated"] = {**summarise(gated, seed, repeats), "emptied": int(clear.sum())}
        result["twin_free"]["gated"] = summarise(gated[twin_free], seed, repeats)
    return result


def summarise(table: pd.DataFrame, seed: int, repeats: int, prefix: str = "") -> dict[str, Any]:
    """Summarise measures over the images with a tumour in truth, with 95 % intervals.

    Parameters
    ----------
    table
        Rows of `score_rows`.
    seed, repeats
        Of the bootstrap over `unit`, which keeps a patient's images together.
    prefix
        `native_` for the measures on the files' own pixels.

    Returns
    -------
    dict
        Counts, `false_positive_area_px` over images without tumour, and `all` if there are images with one.
    """
    tumour = table[table["truth_px"] > 0]
    clear = table[(table["label"] == NO_TUMOUR) | (table["truth_px"] == 0)]
    found = (clear["area_px"] > 0).mean()
    result: dict[str, Any] = {
        "images": len(table),
        "images_with_tumour_mask": len(tumour),
        "false_positive_area_px": {"images": len(clear), "mean": clear["area_px"].mean(), "share_with_any": found},
    }
    return result | ({"all": _summary(tumour, seed, repeats, prefix)} if len(tumour) else {})


def by_kind(table: pd.DataFrame, size_bounds_px: Sequence[int], seed: int, repeats: int) -> dict[str, Any]:
    """Summarise the images with a tumour in truth by class, under its name, and by the tumour's size, under `by_size`.

    `size_bounds_px` are the areas of the true mask on the square grid at which medium and large tumours begin.
    """
    tumour = table[table["truth_px"] > 0]
    sizes = np.searchsorted(size_bounds_px, tumour["truth_px"].to_numpy(), side="right")
    labels = {label: tumour[tumour["label"] == label] for label in sorted(set(tumour["label"])) if label}
    by_size = {name: tumour[sizes == at] for at, name in enumerate(SIZES)}
    result: dict[str, Any] = {name: _summary(part, seed, repeats, "") for name, part in labels.items()}
    result["by_size"] = {name: _summary(part, seed, repeats, "") for name, part in by_size.items() if len(part)}
    return result


def _summary(part: pd.DataFrame, seed: int, repeats: int, prefix: str) -> dict[str, Any]:
    columns = {name: part[prefix + name].to_numpy(float) for name in SUMMARISED}
    summary: dict[str, Any] = {name: overlap.summary(values) for name, values in columns.items()}
    found = intervals.bootstrap(
        part["unit"].to_numpy(),
        lambda weights: overlap.weighted(columns, weights),
        np.random.default_rng(seed),
        repeats,
    )
    # Where one of the two masks is empty there is no distance: HD95 counts the frame's diagonal. Say how often.
    summary["one_empty"] = int(part[f"{prefix}one_empty"].sum())
    for name in columns:
        bounds = found[f"{name}.mean"]
        summary[name]["mean_ci95"] = {"low": bounds["low"], "high": bounds["high"]}
    return summary
