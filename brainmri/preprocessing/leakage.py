"""Who leaks into whom: mark held-out images that training has seen, and take their copies out of training.

Everything goes by group (`duplicates.groups`): twins share a `group`, twins and neighbours a `neighbour_group`. That a
chain of neighbours does not join strangers was measured, see docs/twins.md; `summary` tells the largest group, so that
it can be seen on other sets too.
"""

from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import InputError
from brainmri.preprocessing import duplicates

DROPPED, EXCLUDED = "dropped", "excluded"  # values of `split` beside train, val and test
COPY_OF_TEST, COPY_OF_VAL, NEIGHBOUR = "copy of test", "copy of validation", "neighbour"


def find(
    table: pd.DataFrame, plain: np.ndarray, images: np.ndarray, twin: float, neighbour: float, mirror: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table with `group` and `neighbour_group`, and the table of twin pairs.

    Parameters
    ----------
    table : DataFrame, N rows
        Columns image_id, set, split, label, sha256.
    plain : ndarray, shape (N, 1024), float32
        Of `duplicates.thumbnail`.
    images : ndarray, shape (N, S, S, C), uint8
        The first window is looked at.
    twin, neighbour : float
        Similarities above which two images are twins, and neighbours.
    mirror : bool
        Whether mirror images count.
    """
    centred = duplicates.of_windows(images[: len(table)], duplicates.centred_thumbnail)
    near = duplicates.similar_pairs(centred, neighbour, mirror)
    whole = duplicates.similar_pairs(plain, twin, mirror)
    equal = duplicates.equal_pairs(table["sha256"].to_numpy(str))  # constant images have no thumbnail
    twins = _merged([whole, tuple(part[near[2] > twin] for part in near), (*equal, np.ones(len(equal[0])))])
    first, second = twins["row_a"].to_numpy(), twins["row_b"].to_numpy()
    groups = duplicates.groups(len(table), first, second)
    wider = duplicates.groups(len(table), np.append(first, near[0]), np.append(second, near[1]))
    return table.assign(group=groups, neighbour_group=wider), _described(twins, table, images)


def _merged(found: list[tuple[np.ndarray, ...]]) -> pd.DataFrame:
    """Return every pair once, with the largest of its similarities."""
    parts = [pd.DataFrame({"row_a": a, "row_b": b, "similarity": s.astype(float)}) for a, b, s in found]
    return pd.concat(parts).groupby(["row_a", "row_b"], as_index=False)["similarity"].max()


def _described(twins: pd.DataFrame, table: pd.DataFrame, images: np.ndarray) -> pd.DataFrame:
    """Add to pairs of rows who they are, and whether they are equal by bytes and by pixels on the grid."""
    pairs = twins.copy()
    one, other = (table.iloc[twins[row]].reset_index(drop=True) for row in ("row_a", "row_b"))
    for name in ("image_id", "set", "split", "label"):
        pairs[f"{name}_a"], pairs[f"{name}_b"] = one[name], other[name]
    pairs["equal_bytes"] = one["sha256"] == other["sha256"]
    rows = np.unique(twins[["row_a", "row_b"]])
    pixels = pd.Series([duplicates.digest(images[row]) for row in rows], index=rows, dtype=str)
    equal = pixels[twins["row_a"]].to_numpy() == pixels[twins["row_b"]].to_numpy()
    return pairs.assign(equal_pixels=equal)


def mark(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `training_twin` and `training_neighbour`: whether one stands among train and val."""
    training = table["split"].isin(["train", "val"]) & (table["label"] != "")
    return table.assign(
        training_twin=table["group"].isin(table["group"][training]) & ~training,
        training_neighbour=table["neighbour_group"].isin(table["neighbour_group"][training]) & ~training,
    )


def drop(table: pd.DataFrame, mode: str) -> pd.DataFrame:
    """Return the table with the `split` of leaking images set to `dropped`, and with why in `reason`.

    Copies of test images leave training and validation, copies of validation images leave training: labelled images
    count against labelled ones, masked against masked. Mode `drop_neighbours` goes on with the neighbours of labelled
    ones; `report` changes nothing, and `drop` stops at the copies.

    Raises
    ------
    InputError
        If no split, or no class in training, would be left with an image.
    """
    table = table.assign(reason="", given=table["split"])
    labelled = table["label"] != ""
    if mode != "report":
        for task in (labelled, table["has_mask"]):
            _drop(table, task, "group", COPY_OF_TEST, COPY_OF_VAL)
    if mode == "drop_neighbours":
        _drop(table, labelled, "neighbour_group", NEIGHBOUR, NEIGHBOUR)
    for name in ("train", "val", "test"):
        if not (table["split"] == name).any():
            raise InputError(f"preprocess: every split needs images, received none for {name}; {_way_out(table)}")
    lost = set(table["label"][table["given"] == "train"]) - set(table["label"][table["split"] == "train"]) - {""}
    if lost:
        raise InputError(
            f"preprocess: every class should keep training images, received none of {sorted(lost)} after leaving out "
            f"copies (preprocess.duplicates: {mode}); choose report, or bring images that are no copies"
        )
    return table


def _way_out(table: pd.DataFrame) -> str:
    """Return what to do where a split stays empty: anonymisers give many people one PatientID, and none is divided."""
    patients = table["patient"][table["patient"] != ""]
    if not 0 < patients.nunique() < 3:
        return "bring more images"
    return (
        f"a patient is never divided, and {len(patients)} of {len(table)} images are of {patients.nunique()}; bring "
        "more patients, or, where several people have the same PatientID, say who is who in column patient of a "
        "manifest or in fetch.local.patients (docs/your-own-images.md)"
    )


def _drop(table: pd.DataFrame, task: pd.Series, groups: str, of_test: str, of_val: str) -> None:
    for held_out, others, reason in (("test", ["train", "val"], of_test), ("val", ["train"], of_val)):
        copied = table[groups].isin(table[groups][task & (table["split"] == held_out)])
        leaking = task & copied & table["split"].isin(others)
        table.loc[leaking, "reason"] = reason
        table.loc[leaking, "split"] = DROPPED


def conflicts(table: pd.DataFrame) -> pd.DataFrame:
    """Return the labelled images whose twins carry another label, by group: columns group, image_id, set, split, label.

    They are counted and stay: who of them is right is not for this project to say. `exclude.csv` takes them out.
    """
    labelled = table[table["label"] != ""]
    mixed = labelled.groupby("group")["label"].transform("nunique") > 1
    columns = ["group", "image_id", "set", "split", "label"]
    return labelled[mixed].sort_values(["group", "image_id"])[columns]


def patients(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return of train, val and test how many patients are known, and how many images are of nobody that is known.

    `recognised` counts the images whose patient the source did not name (`known_patients`). Of test also
    `seen_in_training`: how many of its known patients have images in train or val as well, labelled images against
    labelled ones, which is what the classifier learns from; and `seen_in_training_masked`, masked against masked, for
    the U-Net.
    """
    parts = {name: table[table["split"] == name] for name in ("train", "val", "test")}
    found = {
        name: {
            "known": len(set(rows["patient"]) - {""}),
            "recognised": int(rows["recognised"].sum()),
            "images_without": int((rows["patient"] == "").sum()),
        }
        for name, rows in parts.items()
    }
    found["test"]["seen_in_training"] = _seen_in_training(table[table["label"] != ""])
    found["test"]["seen_in_training_masked"] = _seen_in_training(table[table["has_mask"]])
    return found


def _seen_in_training(task: pd.DataFrame) -> int:
    learnt, tested = (set(task["patient"][task["split"].isin(names)]) for names in (["train", "val"], ["test"]))
    return len((learnt & tested) - {""})


def summary(table: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, Any]:
    """Return the counts of twins, of what was dropped, by reason and class, and of what is left."""
    labels = table["label"].replace("", "unlabelled")
    test = (table["split"] == "test") & (table["label"] != "")
    gone = table["split"] == DROPPED
    mixed = conflicts(table)
    return {
        "pairs": len(pairs),
        "pairs_equal_bytes": int(pairs["equal_bytes"].sum()),
        "pairs_equal_pixels": int(pairs["equal_pixels"].sum()),
        "groups": int((table["group"].value_counts() > 1).sum()),
        "largest_group": int(table["group"].value_counts().max()),
        "largest_neighbour_group": int(table["neighbour_group"].value_counts().max()),
        "label_conflicts": mixed["group"].nunique(),
        "label_conflict_images": counts(mixed["label"], mixed["split"]),
        "dropped": counts(labels[gone], table["reason"][gone]),
        "dropped_from": counts(labels[gone], table["given"][gone]),
        "before": _by_split(labels, table["given"]),
        "after": _by_split(labels, table["split"]),
        "test_with_training_twin": counts(labels[test & table["training_twin"]]),
        "test_twin_free": counts(labels[test & ~table["training_twin"]]),
        "test_with_training_neighbour": counts(labels[test & table["training_neighbour"]]),
        "test_neighbour_free": counts(labels[test & ~table["training_neighbour"]]),
    }


def _by_split(labels: pd.Series, split: pd.Series) -> dict[str, Any]:
    kept = split.isin(["train", "val"])
    return counts(labels[kept], split[kept])


def counts(labels: pd.Series, by: pd.Series | None = None) -> dict[str, Any]:
    """Count labels, in their own order; with `by`, one such count for each of its values."""
    if by is None:
        return {str(label): int(count) for label, count in labels.value_counts().sort_index().items()}
    return {str(name): counts(part) for name, part in labels.groupby(by)}
