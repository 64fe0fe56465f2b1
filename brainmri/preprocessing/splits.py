"""Decide once who is in training, validation and test, so that what belongs together stays together.

There are two ways (`preprocess.split`). By source: the source's own test split is kept, as everyone scores it, and what
else is needed is drawn. By patient: the source's split is passed over, everybody is dealt to folds, and one of these is
the test part. Either way whole units are drawn: patients where they are known, groups of neighbours otherwise (twins,
and slices that look as if they were of one patient: see docs/twins.md).

The number of a slice is no unit: slices of one patient of the Cheng set stand in several places of its numbering (197
of its 233 patient ids in more than one block of 50 numbers).
"""

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError, InputError


def by_source(
    table: pd.DataFrame, val_fraction: float, test_fraction: float, rng: np.random.Generator
) -> tuple[pd.Series, pd.Series]:
    """Assign each row of one set to a split; where the source names one it stays.

    Parameters
    ----------
    table : DataFrame
        Columns `split` (`train`, `val`, `test` or empty), `label`, `patient`, `group` (twins), `neighbour_group`.
    val_fraction, test_fraction : float
        Shares of the rows that are not yet placed; `test_fraction` only counts where the source names no test split.
    rng : Generator

    Returns
    -------
    split : Series of str
        `train`, `val` or `test`.
    unit : Series of int
        What was kept together.
    """
    unit = units(table)
    names_test, names_val = ((table["split"] == name).any() for name in ("test", "val"))
    table = table.assign(split=_with_their_unit(table["split"], unit))
    if not names_test:
        table = _draw(table, unit, table["split"] != "val", "test", test_fraction, rng)
    if not names_val:
        table = _draw(table, unit, table["split"] != "test", "val", val_fraction, rng)
    return table["split"].replace("", "train"), unit


def by_patient(
    table: pd.DataFrame, val_fraction: float, folds: int, fold: int, rng: np.random.Generator
) -> tuple[pd.Series, pd.Series]:
    """Assign each row of all sets to a split, so that no unit, of whatever sets, stands in two.

    Parameters
    ----------
    table : DataFrame
        Columns `set`, `label`, `patient`, `number`, `group`, `neighbour_group`; `known_fold` where `deal` should keep
        it.
    val_fraction : float
        Share of the rows of the other folds that validate, drawn by whole units.
    folds, fold : int
        Number of folds, and which of them, from 0, is the test part. The folds are the same whichever it is.
    rng : Generator

    Returns
    -------
    split : Series of str
        `train`, `val` or `test`.
    unit : Series of int
        What was kept together.

    Raises
    ------
    InputError
        If there are fewer units than folds, or all units of a class are in the test part.
    """
    unit = units(table)
    test = deal(table, unit, folds, rng) == fold
    kinds = table.assign(label=table["set"] + " " + table["label"], split=np.where(test, "test", ""))
    split = _draw(kinds, unit, ~test, "val", val_fraction, rng)["split"].replace("", "train")
    unlearnt = set(table["label"]) - set(table["label"][split == "train"]) - {""}
    if unlearnt:
        raise InputError(
            f"preprocess.folds: every class should have patients or groups of look-alikes in several folds, received "
            f"none of {sorted(unlearnt)} in training where fold {fold} of {folds} is the test part; bring more patients"
        )
    return split, unit


def units(table: pd.DataFrame) -> pd.Series:
    """Give each row its unit: rows that share a patient or a group of twins share one.

    Of rows without a patient those share one that share a group of neighbours.
    """
    from_patient = table["patient"].where(table["patient"] != "", "group " + table["neighbour_group"].astype(str))
    number = pd.Series(pd.factorize(from_patient)[0], index=table.index)
    while True:  # a group of twins may join patients, who may bring further groups: repeat until nothing moves
        joined = number.groupby(table["group"]).transform("min").groupby(from_patient).transform("min")
        if joined.equals(number):
            return number
        number = joined


def deal(table: pd.DataFrame, unit: pd.Series, folds: int, rng: np.random.Generator) -> pd.Series:
    """Deal whole units to folds, so that each has a like share of the images of every set and label.

    The largest unit comes first, those of equal size in an order that is drawn. Each goes where the fewest images of
    its own sets and labels are, each kind measured by its total (Graham's rule of the longest first
    [1]_, as in scikit-learn's `StratifiedGroupKFold`, which could neither keep units where they are nor promise that
    a label with as many units as there are folds is in every fold).

    A unit whose images are in one of the authors' own folds (`known_fold`, from 1; -1 where unknown) keeps that, where
    there are as many of these as `folds`; a person in two of them is in that of the lowest `number`.

    Parameters
    ----------
    table : DataFrame
        Columns `set`, `label`, `number`, and `known_fold` where it is known.
    unit : Series of int
    folds : int
    rng : Generator

    Returns
    -------
    Series of int
        The fold of each row, from 0.

    Raises
    ------
    InputError
        If there are fewer units than folds.

    References
    ----------
    .. [1] Graham 1969, doi:10.1137/0117039
    """
    images = pd.crosstab(unit, [table["set"], table["label"]])  # a row a unit, a column a kind
    if len(images) < folds:
        raise InputError(
            f"preprocess.folds: should be at most the patients and groups of look-alikes, {len(images)}, "
            f"received {folds}; bring more patients, or say who is who where several people have the same PatientID"
        )
    of_unit, total = images.to_numpy(), images.to_numpy().sum(axis=0)
    dealt = _known_folds(table, unit, folds).reindex(images.index, fill_value=-1).to_numpy(copy=True)
    held = np.stack([of_unit[dealt == fold].sum(axis=0) for fold in range(folds)])
    drawn = rng.permutation(len(images))
    for at in drawn[np.argsort(-of_unit[drawn].sum(axis=1), kind="stable")]:
        if dealt[at] < 0:
            load = (held * (of_unit[at] / total**2)).sum(axis=1)
            dealt[at] = np.lexsort((held.sum(axis=1), load))[0]  # of equal loads the smallest fold
            held[dealt[at]] += of_unit[at]
    return unit.map(dict(zip(images.index, dealt, strict=True)))


def _known_folds(table: pd.DataFrame, unit: pd.Series, folds: int) -> pd.Series:
    """Return the fold, from 0, of each unit that has one of its own, by unit."""
    known = table["known_fold"] if "known_fold" in table else pd.Series(-1, index=table.index)
    if known.max() != folds:
        return pd.Series(dtype=int)
    rows = table.assign(unit=unit, known_fold=known)[known > 0]
    in_order = rows.sort_values("number", key=lambda number: number.where(number >= 0, np.inf), kind="stable")
    return in_order.drop_duplicates("unit").set_index("unit")["known_fold"].astype(int) - 1


def require_apart(table: pd.DataFrame) -> None:
    """Raise `ArtifactError` where a patient, a group of twins or a unit has images in two of train, val and test."""
    placed = table[table["split"].isin(["train", "val", "test"])]
    for column, called in (("patient", "patient"), ("group", "group of twins"), ("unit", "unit")):
        rows = placed[placed[column].astype(str) != ""]
        divided = rows.groupby(column)["split"].nunique() > 1
        if divided.any():
            first = divided.idxmax()
            parts = sorted(set(rows["split"][rows[column] == first]))
            raise ArtifactError(
                f"preprocess.split: by patient nobody should stand in two parts, received {called} {first} in "
                f"{' and '.join(parts)} ({divided.sum()} such); run `dvc repro preprocess`"
            )


def _with_their_unit(split: pd.Series, unit: pd.Series) -> pd.Series:
    """Place the rows of which the source says nothing where it places others of their unit: test before val."""
    placed = split.copy()
    for name in ("val", "test"):
        placed[(split == "") & unit.isin(unit[split == name])] = name
    return placed


def _draw(
    table: pd.DataFrame, unit: pd.Series, free: pd.Series, name: str, fraction: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Name whole units of the `free` rows `name` until, label by label, `fraction` of these rows is reached.

    A unit that would overshoot it is passed over; but of a label with several units one is taken in any case, the
    smallest, so that a small set has every class in every split.
    """
    split = table["split"].copy()
    main_label = table["label"][free].groupby(unit[free]).agg(lambda labels: labels.value_counts().index[0])
    sizes = unit[free].value_counts()
    for _, candidates in sorted(main_label.groupby(main_label).groups.items()):
        wanted = round(fraction * int(sizes[candidates].sum()))
        drawn = rng.permutation(np.sort(candidates))
        taken = []
        for number in drawn:
            if sizes[number] <= wanted:
                taken.append(number)
                wanted -= int(sizes[number])
        if not taken and len(drawn) > 1:
            taken = [min(drawn, key=lambda number: sizes[number])]
        split[free & unit.isin(taken)] = name
    return table.assign(split=split)
