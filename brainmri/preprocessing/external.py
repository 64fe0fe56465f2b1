"""Which images of external sets may be scored: none that training has seen, and nobody whom it has met.

An external set comes from elsewhere and is never learnt from (`fetch.external`). It leaves the other sets as they are:
who is in training and validation is decided without it, here is decided what of it goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.manifest import EXTERNAL
from brainmri.preprocessing import known_patients, leakage, splits
from brainmri.preprocessing.duplicates import centred_thumbnail, of_windows
from brainmri.preprocessing.scans import Scans

KEPT, TWIN, PATIENT = "external", "training twin", "training patient"  # values of `split`, and leakage.EXCLUDED


@dataclass(frozen=True)
class Freed:
    """External sets without what training has seen."""

    scans: Scans
    rows: pd.DataFrame  # of the images that may be scored; its index says where in the arrays of `scans`
    counts: dict[str, dict[str, Any]]  # of `counts`


def judged(
    own: Scans, split: pd.Series, others: Scans, twin: float, neighbour: float, mirror: bool, known: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the table of external images, with what becomes of each in `split`.

    Left out are images with a twin in training or validation, and all images of whoever is there too: of a patient
    named there, of one whose slices are recognised there, and of one whom a chain of twins and patients ties to an
    image there. Neighbours stay, and are marked.

    Parameters
    ----------
    own : Scans, N rows
        Of the sets that are learnt from, with the patients that the source names.
    split : Series, N rows
        Where they are: `train`, `val`, and what is not learnt from.
    others : Scans
        Of the external sets.
    twin, neighbour, mirror
        As in `leakage.find`.
    known : DataFrame, optional
        As of `known_patients.read_table`; without, nobody is recognised.

    Returns
    -------
    DataFrame, a row each external image
        The table of `others` with `split` (`KEPT`, `TWIN` or `PATIENT`), `patient`, `group`, `neighbour_group`,
        `training_twin`, `training_neighbour`, and `seen_patient`, whether the patient's name is in training.
    """
    table, plain, centred = _joined(own, split, others)
    table, _ = leakage.group(table, plain, centred, twin, neighbour, mirror)
    if known is not None:
        table = known_patients.with_patients(table, plain, known)
    # Neighbours do not make a person: of nobody known only twins share a unit here.
    person = splits.units(table.assign(neighbour_group=table["group"]))
    learnt = table["split"].isin(["train", "val"])
    marks = {
        "training_twin": table["group"].isin(table["group"][learnt]),
        "training_neighbour": table["neighbour_group"].isin(table["neighbour_group"][learnt]),
        "seen_patient": (table["patient"] != "") & table["patient"].isin(table["patient"][learnt]),
    }
    became = np.where(marks["training_twin"], TWIN, np.where(person.isin(person[learnt]), PATIENT, KEPT))
    return table.assign(**marks, split=became).iloc[len(own.table) :].reset_index(drop=True)


def _joined(own: Scans, split: pd.Series, others: Scans) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the tables of both one below the other, with their plain and their centred thumbnails."""
    # No part that an external set calls its training is learnt from. And a table without rows has no columns.
    elsewhere = [others.table.assign(split=KEPT)] if len(others.table) else []
    parts = [(scans, len(scans.table)) for scans in (own, others)]
    plain = np.concatenate([scans.thumbnails[:count] for scans, count in parts])
    centred = np.concatenate([of_windows(scans.images[:count], centred_thumbnail) for scans, count in parts])
    return pd.concat([own.table.assign(split=split), *elsewhere], ignore_index=True), plain, centred


def kept(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `judged` that may be scored, with their `unit`."""
    rows = table[table["split"] == KEPT]
    return rows.assign(unit=splits.units(rows), training_twin=False)


def counts(
    manifest: pd.DataFrame, table: pd.DataFrame, excluded: Sequence[str], classes: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return of each external set, by its name, how many images there are and what became of them.

    Parameters
    ----------
    manifest : DataFrame
        The rows of external sets.
    table : DataFrame
        Of `judged`, those taken out by hand with `leakage.EXCLUDED` for a `split`.
    excluded : sequence of str
        Ids of images that were taken out by hand, unreadable ones among them.
    classes : sequence of str
        Those that are learnt.

    Returns
    -------
    dict
        `images` is the sum of `excluded`, `unreadable`, `training_twins`, `training_patients` and `left`; the last
        three by label. Of what is left: `unlabelled` images, those of `unknown_classes` by label, `scored` ones by
        label, `masked` ones, `training_neighbours` by label, and how many `patients_seen` in training by name.
        `labelled` and `with_mask` count the readable images before any was left out.
    """
    names = manifest["set"].unique()
    return {
        str(name).removeprefix(EXTERNAL): _of_set(
            manifest[manifest["set"] == name], table[table["set"] == name], excluded, classes
        )
        for name in names
    }


def _of_set(
    manifest: pd.DataFrame, table: pd.DataFrame, excluded: Sequence[str], classes: Sequence[str]
) -> dict[str, Any]:
    by_hand = manifest["image_id"].isin(excluded)
    readable = manifest["image_id"].isin(table["image_id"])
    labels, left = table["label"].replace("", "unlabelled"), table["split"] == KEPT
    known = left & table["label"].isin(classes)
    return {
        "images": len(manifest),
        "labelled": int((table["label"] != "").sum()),
        "with_mask": int(table["has_mask"].sum()),
        "excluded": int(by_hand.sum()),
        "unreadable": int((~readable & ~by_hand).sum()),
        "training_twins": leakage.counts(labels[table["split"] == TWIN]),
        "training_patients": leakage.counts(labels[table["split"] == PATIENT]),
        "left": leakage.counts(labels[left]),
        "unlabelled": int((left & (table["label"] == "")).sum()),
        "unknown_classes": leakage.counts(labels[left & ~known & (table["label"] != "")]),
        "scored": leakage.counts(labels[known]),
        "masked": int(table["has_mask"][left].sum()),
        "training_neighbours": leakage.counts(labels[left & table["training_neighbour"]]),
        "patients_seen": table["patient"][left & table["seen_patient"]].nunique(),
    }


def said(found: dict[str, Any]) -> str:
    """Return the counts of a set in a sentence."""
    twins, patients, left = (sum(found[name].values()) for name in ("training_twins", "training_patients", "left"))
    return (
        f"{found['images']} images, {found['unreadable']} unreadable, {found['excluded']} taken out by hand, {twins} "
        f"twins of training left out, {patients} images of training's patients left out, {left} left"
    )
