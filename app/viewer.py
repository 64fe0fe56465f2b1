"""One scan on the page: its slices in a window of levels, its answer, and what can be taken away of both."""

import io
import json
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot  # noqa: F401 -- first: where Keras's thread is halfway through it, the figures fail
import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from app import batch, tables
from app.words import plain
from brainmri.core.labels import NOT_CLINICAL
from brainmri.prediction import overlays, scan_batch, volume_masks
from brainmri.prediction.answer import Answer, as_dict, display_window, evidence
from brainmri.prediction.inputs import Input
from brainmri.prediction.trained_models import Models
from brainmri.reporting.documents import Table
from brainmri.reporting.figures import COLOURS
from brainmri.segmentation.methods import METHODS

# How a plane is seen, as `slicing` turns it.
SIDES = {
    "axial": "seen from the feet, the patient's left on the right",
    "coronal": "seen from the front, the patient's left on the right",
    "sagittal": "seen from the left, the front on the left",
}
FACTS = {
    "mode": "Pixel format",
    "slices": "Slices",
    "height_px": "Height, px",
    "width_px": "Width, px",
    "plane": "Plane",
    "voxel_row_mm": "Between rows, mm",
    "voxel_col_mm": "Between columns, mm",
    "slice_mm": "Between slices, mm",
    "modality": "Modality",
    "field_t": "Field strength, T",
    "tr_ms": "Repetition time, ms",
    "te_ms": "Echo time, ms",
}
# Of the charts' colours those with a contrast of 3 to 1 and more on white and on the dark page (WCAG 1.4.11).
LINES = [COLOURS[at] for at in (0, 5, 2, 3)]
COLUMNS = [2, 3]  # the answer and the scan; on a phone they stand below each other, the answer first
DASHES = [[1, 0], [6, 2], [3, 2], [8, 2, 2, 2]]  # px drawn and left out; shorter ones blur to a pale line

Heat = Callable[[int], np.ndarray]  # slice to its map of evidence


class View(NamedTuple):
    """The slices of one plane, as they are shown."""

    plane: str  # empty where it is not known
    levels: np.ndarray  # (D, H, W)
    mask: np.ndarray | None  # (D, H, W) bool
    spacing_mm: tuple[float, float]  # between rows, columns
    acquired: bool  # the file's own slices, those that were answered for
    unsure: np.ndarray | None  # (D, H, W) bool, the part of the mask that is not to be relied on


def scan_alone(scan: Input) -> None:
    """Show a scan for which there is no model to answer."""
    left, right = st.columns(COLUMNS, gap="large")
    with left:
        _metadata({"mode": scan.mode, "slices": len(scan.levels)})
    with right:
        place = st.container()
        look = _look(scan, scan.name)
        with place:
            _slices(_views(scan), look, scan.name, None)


def waiting(scan: Input) -> None:
    """Show the middle of a scan while its answer is on its way."""
    own = _views(scan)[0]
    look = overlays.Look(display_window(scan))
    drawn = overlays.picture(own.levels[len(own.levels) // 2], look, spacing_mm=own.spacing_mm)
    left, right = st.columns(COLUMNS, gap="large")
    left.info("Answering")
    right.image(drawn, alt="The scan, before it is answered for", width="stretch", output_format="PNG")


def answer(found: Answer, models: Models, memory: MutableMapping[batch.Key, Any], key: str) -> None:
    """Show a scan with its answer.

    Parameters
    ----------
    memory : mutable mapping
        The session's, for maps of evidence.
    key : str
        Of the file that the scan came in.
    """
    name = f"{key} {found.scan.name}"
    left, right = st.columns(COLUMNS, gap="large")
    with left:
        _verdict(found, models)
        _along(found)
        _take_away(found)
        _metadata(found.facts)
    with right:
        place = st.container()  # the picture stands above what changes it
        label = _evidence_for(found, name)
        look = _look(found.scan, name, label is not None, found.mask is not None)

        def heat(at: int) -> np.ndarray:
            return batch.remembered(memory, (key, found.scan.name, label, at), evidence, found, models, label, at)

        with place:
            _slices(_views(found.scan, found), look, name, heat if label is not None else None)


def table(outcomes: Sequence[Answer | batch.Failed], classes: list[str]) -> None:
    """Show the answers of many scans as a table; one with more columns can be downloaded."""
    st.header(f"{len(outcomes)} scans")
    headings = ["Scan", "Answer", *classes, "Tumour outlined", "Outlined by"]
    tables.show(Table("Answers, and the probability of each class", headings, [_row(one, classes) for one in outcomes]))
    rows = [
        scan_batch.row(as_dict(one) if isinstance(one, Answer) else {"name": one.name, "error": one.reason}, classes)
        for one in outcomes
    ]
    columns = [name for name in scan_batch.columns(classes) if name not in ("mask", "overlay", "note")]
    found = pd.DataFrame(rows, columns=columns)
    written = found.assign(note=NOT_CLINICAL, name=[_inert(name) for name in found["name"]])
    st.download_button(
        "Download the table (CSV)", written.to_csv(index=False), "answers.csv", "text/csv", on_click="ignore"
    )


def _row(one: Answer | batch.Failed, classes: list[str]) -> list[str]:
    if isinstance(one, batch.Failed):
        return [one.name, f"none: {one.reason}", *[""] * (len(classes) + 2)]
    said = one.label + (", unlike training: abstains" if one.is_unlike else ", abstains" if one.abstain else "")
    method = "" if one.mask is None else METHODS[one.method].title
    return [one.scan.name, said, *(f"{one.probabilities[name]:.3f}" for name in classes), overlays.extent(one), method]


def _evidence_for(found: Answer, name: str) -> str | None:
    """Return the class for which the evidence is to be shown; at first the answer's, but of a volume none."""
    classes = ["none", *found.probabilities]
    first = classes.index(found.label) if found.scan.kind == "image" else 0
    label = st.selectbox("Show the evidence for", classes, first, key=f"evidence {name}")
    return None if label == "none" else label


def _verdict(found: Answer, models: Models) -> None:
    # Who looks at the heading alone should not take a guess for an answer.
    st.header(plain(f"not sure, perhaps {found.label}" if found.abstain else found.label))
    least = models.classifier.abstain_below
    if max(found.probabilities.values()) < least:
        rule = f"below {least:.3f} an answer is not to be relied on" if least <= 1 else "this model abstains from all"
        st.warning(
            f"**Abstains**: the likeliest class has a probability of {max(found.probabilities.values()):.3f}; {rule}.",
            icon=":material/help:",
        )
    if found.is_unlike:
        st.warning(plain(found.remarks[0]), icon=":material/help:")
    for name, share in found.probabilities.items():
        st.progress(min(1.0, share), f"{plain(name)}: {share:.3f}")
    st.markdown(f"**Tumour outlined**: {_size(found)}")
    for remark in found.remarks[found.is_unlike :]:
        st.markdown(plain(remark))
    st.caption(f"Calibrated probabilities. Answered in {sum(found.seconds.values()):.2f} s. Not for clinical use.")


def _size(found: Answer) -> str:
    if found.mask is None:
        return "not asked for"
    if found.gated:
        return "none, because the classifier is sure that there is no tumour"
    if not found.mask.any():
        return "none"
    if found.measures is not None:
        return f"{overlays.extent(found)}, largest diameter {found.measures.largest_diameter_mm:.0f} mm"
    return overlays.extent(found) + (" (the file does not tell how large a pixel is)" if found.area_mm2 is None else "")


def _look(scan: Input, name: str, with_evidence: bool = False, with_mask: bool = False) -> overlays.Look:
    """Return how the user wants to see the scan: window in the file's own values, and opacities."""
    scale, offset = (scan.volume.level_scale, scan.volume.level_offset) if scan.volume else (1.0, 0.0)
    low, high = (value * scale + offset for value in (float(scan.levels.min()), float(scan.levels.max())))
    high = max(high, low + scale)
    first, last = (value * scale + offset for value in display_window(scan))
    step = scale if high - low <= 4096 * scale else (high - low) / 1024
    sides = st.columns(2)
    level = sides[0].slider(
        "Window level", low, high, min(max((first + last) / 2, low), high), step, "%.4g", key=f"level {name}"
    )
    width = sides[1].slider(
        "Window width", step, high - low, min(max(last - first, step), high - low), step, "%.4g", key=f"width {name}"
    )
    outline = shade = 0.0
    if with_mask:
        outline = sides[0].slider("Opacity of the outline", 0.0, 1.0, 1.0, 0.05, key=f"outline {name}")
    if with_evidence:
        shade = sides[1].slider("Opacity of the evidence", 0.0, 1.0, 0.6, 0.05, key=f"shade {name}")
    window = ((level - width / 2 - offset) / scale, (level + width / 2 - offset) / scale)
    return overlays.Look(window, outline, shade)


def _views(scan: Input, found: Answer | None = None) -> list[View]:
    """Return the planes to show: the file's own first, and of a volume the other two."""
    mask, unsure = (None, None) if found is None else (found.mask, found.unsure)
    spacing_mm = scan.volume.spacing_mm if scan.volume else (1.0, 1.0, 1.0)
    row_mm, col_mm = spacing_mm[1:] if np.isfinite(spacing_mm[1:]).all() else (1.0, 1.0)
    own = scan.volume.plane if scan.volume else ""
    views = [View(own, scan.levels, mask, (row_mm, col_mm), True, unsure)]
    if scan.kind == "volume" and own and np.isfinite(spacing_mm).all():
        for plane in (name for name in SIDES if name != own):
            turned = overlays.spacing_in_plane(spacing_mm, own, plane)
            seen = [None if part is None else overlays.in_plane(part, own, plane) for part in (mask, unsure)]
            levels = overlays.in_plane(scan.levels, own, plane)
            views.append(View(plane, levels, seen[0], turned[1:], False, seen[1]))
    return views


def _slices(views: Sequence[View], look: overlays.Look, name: str, heat: Heat | None) -> None:
    """Show a slice of each plane, each with a slider where there are several."""
    own, others = views[0], views[1:]
    _slice(own, look, name, heat)
    if others:
        for place, view in zip(st.columns(len(others)), others, strict=True):
            with place:
                _slice(view, look, name, None)


def _slice(view: View, look: overlays.Look, name: str, heat: Heat | None) -> None:
    depth = len(view.levels)
    at, title = 0, view.plane.capitalize() or "Slice"
    if depth > 1:
        sizes = view.mask.sum(axis=(1, 2)) if view.mask is not None else np.zeros(depth)
        start = int(sizes.argmax()) if sizes.any() else depth // 2
        at = st.slider(f"{title} slice", 1, depth, start + 1, key=f"slice {view.plane} {name}") - 1
    mask = None if view.mask is None else view.mask[at]
    with st.spinner("Looking for the evidence") if heat else st.empty():
        found = heat(at) if heat and view.acquired else None
    unsure = None if view.unsure is None else view.unsure[at]
    drawn = overlays.picture(view.levels[at], look, mask, found, view.spacing_mm, unsure=unsure)
    line = "orange, broken where unsure" if unsure is not None and unsure.any() else "orange"
    words = [title if depth == 1 else f"{title} slice {at + 1} of {depth}"]
    words += [f"{int(mask.sum())} px outlined in {line}"] if mask is not None and mask.any() else []
    words += ["evidence shown from dark to bright"] if found is not None and found.any() else []
    words += [SIDES[view.plane]] if view.plane else []
    text = "; ".join(words)
    st.image(drawn, text, alt=text, width="stretch", output_format="PNG")


def _along(found: Answer) -> None:
    """Show how the answers of a volume's slices go along it."""
    if found.scan.kind != "volume" or len(found.slice_probabilities) < 2:
        return
    shares = pd.DataFrame(found.slice_probabilities, columns=list(found.probabilities))
    shares.index = pd.RangeIndex(1, len(shares) + 1, name="slice")
    st.markdown("**Probabilities of each slice**")
    long = shares.melt(var_name="class", value_name="probability", ignore_index=False).reset_index()
    st.vega_lite_chart(long, _lines(list(shares)), height=280, theme=None, alt="Lines: probabilities of each slice")
    with st.expander("The same as a table"):
        st.dataframe(shares.round(3), height=240, alt="Probabilities of each slice")


def _lines(classes: list[str]) -> dict[str, Any]:
    """Return a Vega-Lite chart of lines told apart by colour and dash, with its words in the page's own colour.

    `st.line_chart` draws words too pale to read on white, and marks without a name for a screen reader.
    """
    scale = {"domain": classes, "range": [LINES[at % len(LINES)] for at in range(len(classes))]}
    return {
        "mark": "line",
        "encoding": {
            "x": {"field": "slice", "type": "quantitative", "axis": {"tickMinStep": 1, "grid": False}},
            "y": {"field": "probability", "type": "quantitative", "scale": {"domain": [0, 1]}},
            "color": {"field": "class", "type": "nominal", "scale": scale},
            "strokeDash": {"field": "class", "type": "nominal", "scale": {"domain": classes, "range": DASHES}},
        },
        "config": {"legend": {"orient": "bottom", "title": None, "columns": 2}},
    }


def _take_away(found: Answer) -> None:
    if found.mask is not None:
        if found.scan.kind == "volume" and found.scan.volume is not None:
            data, name = volume_masks.mask_bytes(found.scan.volume, found.mask, packed=True), "mask.nii.gz"
            st.download_button("Download the mask (NIfTI)", data, name, "application/gzip", on_click="ignore")
        else:
            place = io.BytesIO()
            Image.fromarray(found.mask[0].astype(np.uint8) * 255).save(place, "PNG")
            st.download_button("Download the mask (PNG)", place.getvalue(), "mask.png", "image/png", on_click="ignore")
    text = json.dumps(as_dict(found), indent=2, allow_nan=False)
    st.download_button("Download the answer (JSON)", text, "answer.json", "application/json", on_click="ignore")


def _metadata(known: dict[str, Any]) -> None:
    rows = [(title, _said(known[name])) for name, title in FACTS.items() if name in known]
    with st.expander("Metadata"):
        tables.show(Table("Metadata of the scan", ["Fact", "Value"], rows))
        st.caption("Fields that name a person are never read.")


def _said(value: Any) -> str:
    if value is None:
        return "not told"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _inert(name: str) -> str:
    """Return a name that a spreadsheet does not take for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
