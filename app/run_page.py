"""The page that shows what a run found: its metrics, its data, its cases, its params, and what changed between two."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app import blocks
from app.trained import root
from app.words import plain
from brainmri.core.errors import ArtifactError, BrainMRIError, InputError
from brainmri.core.files import open_array, read_json
from brainmri.core.git import git
from brainmri.core.index import read_split, read_table
from brainmri.core.labels import NOT_CLINICAL
from brainmri.reporting import card_data, card_scores, external_sets, model_card
from brainmri.reporting.scan_facts import FACTS
from brainmri.reporting.summary import METRICS
from brainmri.scoring.predictions_table import read_predictions
from brainmri.scoring.records import ROWS
from brainmri.segmentation.methods import METHODS

CASE_COLUMNS = {
    "image_id": "Image (pseudonym)",
    "label": "Class",
    "dice": "Dice",
    "hd95": "HD95, px",
    "truth_px": "True area, px",
    "area_px": "Outlined area, px",
}
COMMITS = 20  # of the history, to choose from
WORKSPACE = "workspace"
_comparing = threading.Lock()  # DVC opens a project for one at a time


def show() -> None:
    """Show the page."""
    st.title("What the run found")
    st.warning(f"**{NOT_CLINICAL}.** Nothing here has been tested for diagnosis.", icon=":material/warning:")
    place = root()
    titles = ("Scores", "Data", "Twins and probes", "Calibration", "Outlines", "Cases", "Params", "Compare")
    tabs = dict(zip(titles, st.tabs(titles), strict=True))
    with tabs["Params"]:
        _guarded(_params, place)
    with tabs["Compare"]:
        _guarded(_compare, place)
    with tabs["Cases"]:
        _guarded(_cases, place)
    _guarded(_metrics, place, tabs)


def _guarded(show_part: Callable[..., None], *given: Any) -> None:
    """Show a part of the page; where its files are missing or wrong, say so and go on with the others."""
    try:
        show_part(*given)
    except BrainMRIError as error:
        st.error(plain(str(error)))


def _metrics(place: Path, tabs: dict[str, Any]) -> None:
    metrics = {name: read_json(place / f"metrics/{name}.json", shape) for name, shape in METRICS.items()}
    predictions, facts = (
        read_predictions(place / "plots/predictions.csv"),
        read_table(place / "plots/metadata.csv", FACTS),
    )
    data, classify, plots = metrics["data"], metrics["classify"], place / "plots"
    parts = {
        "Scores": [
            *model_card.origin(data),
            *model_card.first_cases(predictions, place / "data/evaluation/cases.png"),
            *card_scores.at_a_glance(classify, plots),
            *external_sets.section(metrics),
            *card_scores.by_class(classify, data["classes"], plots),
            *card_scores.confusion(predictions, data["classes"], plots),
            *card_scores.pointing(classify),
            *card_scores.curves(classify, plots),
        ],
        "Data": [*card_data.images(data), *card_data.patients(data), *card_data.metadata(facts, plots)],
        "Twins and probes": [*card_data.twins(data), *card_data.probes(metrics["probe"])],
        "Calibration": card_scores.calibration(classify, plots),
        "Outlines": card_scores.outlines(metrics["segment"], plots),
    }
    for title, content in parts.items():
        with tabs[title]:
            blocks.show(content)


def _params(place: Path) -> None:
    path = place / "params.yaml"
    if not path.exists():
        raise ArtifactError(f"{path}: no such file; name the project's folder with BRAINMRI_ROOT")
    # In one colour and with lines broken: Streamlit's colours of YAML are too pale on white, and its frame for code
    # cannot be scrolled by the keyboard.
    st.code(path.read_text(), None, wrap_lines=True)


def _cases(place: Path) -> None:
    """Show outlines of single test images beside the truth, the worst first."""
    path = place / "data/segmentation/rows.csv"
    if not path.exists():
        raise ArtifactError(f"{path}: no such file; run `dvc repro` or `dvc pull` to see single cases")
    table = read_table(path, ROWS).query("truth_px > 0")
    if table.empty:
        st.info("No test image has a tumour mask, so that no outline was scored.")
        return
    methods = [name for name in METHODS if name in set(table["method"])]
    method = st.radio(
        "Outlined by", methods, len(methods) - 1, format_func=lambda name: METHODS[name].title, horizontal=True
    )
    own = table[table["method"] == method].sort_values("dice", kind="stable")
    names = [f"{row.image_id}, {row.label or 'no class'}, Dice {row.dice:.3f}" for row in own.itertuples()]
    chosen = own.iloc[names.index(st.selectbox("Test image, the worst first", names))]
    st.image(_outlined(place, method, str(chosen["image_id"])), alt="The slice with both outlines", output_format="PNG")
    st.caption("Prediction in orange, truth in blue, on the grid that the network sees. Not for clinical use.")
    table = own[list(CASE_COLUMNS)].round({"dice": 3, "hd95": 1}).rename(columns=CASE_COLUMNS)
    st.dataframe(table, hide_index=True, height=320, alt="Scores of each image, the worst first")


def _outlined(place: Path, method: str, image_id: str) -> np.ndarray:
    # Here and not at the top, because it takes a second; and pyplot first, because `galleries` fails where the thread
    # that warms the networks is halfway through importing it.
    import matplotlib.pyplot  # noqa: F401

    from brainmri.reporting.galleries import outlined

    split = read_split(place / "data/processed/test")
    at = split.index.index[split.index["image_id"] == image_id]
    if not len(at):
        raise ArtifactError(f"{place}: image {image_id} should be in the test set, received none; run `dvc repro`")
    truth = split.masks[split.index.at[at[0], "mask_row"]].astype(bool)
    masks = open_array(place / f"data/segmentation/masks-{method}.npy", split.images.shape[:3])
    found = masks[at[0]].astype(bool)
    return outlined(split.images[at[0], ..., 0], truth, found)


def _compare(place: Path) -> None:
    """Compare two revisions as `brainmri compare` does."""
    st.markdown("What changed between two revisions, and whether it is more than chance. Every difference is B − A.")
    names = [*_revisions(place), WORKSPACE]
    with st.form("compare", border=False):
        left, right = st.columns(2)
        a = left.selectbox("A", names, 0, accept_new_options=True, help="A commit, branch, tag or DVC experiment")
        b = right.selectbox("B", names, len(names) - 1, accept_new_options=True, help="`workspace`: the folder as is")
        asked = st.form_submit_button("Compare")  # not a primary one: white letters are too pale on dark's colour
    if asked and a and b and a.strip() and b.strip():
        # Here and not at the top: DVC takes a second to import.
        from brainmri.comparison.compare import compare
        from brainmri.comparison.compare_document import as_blocks, as_comment

        with st.spinner("Comparing"), _comparing:
            found = as_blocks(compare(place, a.split()[0], b.split()[0]))
        blocks.show(found)
        st.download_button("Download the comparison (Markdown)", as_comment(found), "comparison.md", on_click="ignore")


def _revisions(place: Path) -> list[str]:
    """Return branches, tags and the last commits of the project, each beginning with what git calls it."""
    found = []
    with contextlib.suppress(InputError):  # outside of a repository none; the comparison then says so
        found += git(place, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags").splitlines()
        found += git(place, "log", f"-{COMMITS}", "--format=%h %s").splitlines()
    return found
