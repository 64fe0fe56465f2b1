"""Decide once who is in training, validation and test, so that what belongs together stays together.

The source's own test split is kept. What else is drawn is drawn by whole units: patients where the source names them,
blocks of neighbouring numbers where slices are numbered, groups of neighbours otherwise (twins, and slices that look as
if they were of one patient: see docs/twins.md), so that validation shares no such group with training.
"""

import numpy as np
import pandas as pd

BLOCK = 50  # numbers a block
MARGIN = 13  # slices this near to a block of another split are left out: about one patient of the Cheng set

LEFT_OUT = "left out"


def assign(
    table: pd.DataFrame, val_fraction: float, test_fraction: float, rng: np.random.Generator
) -> tuple[pd.Series, pd.Series]:
    """Assign each row of one set to a split.

    Parameters
    ----------
    table : DataFrame
        Columns `split` (`train`, `val`, `test` or empty), `label`, `patient`, `number`,
        `group` (twins), `neighbour_group`.
    val_fraction, test_fraction : float
        Shares of the rows that are not yet placed; `test_fraction` only counts where the source names no test split.
    rng : Generator

    Returns
    -------
    split : Series of str
        `train`, `val`, `test`, or `left out` for numbered slices too near to another split's block.
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
    return _leave_margins(table["split"].replace("", "train"), table), unit


def units(table: pd.DataFrame) -> pd.Series:
    """Give each row its unit: rows that share a patient or a group of twins, or a block of numbers, share one.

    Of rows without a patient those share one that share a group of neighbours.
    """
    if (table["number"] >= 0).all() and not table["patient"].any():
        # From the lowest number on: a set that counts from 1 would else end each block with a single slice.
        from_first = table["number"] - table["number"].min()
        return pd.Series(pd.factorize(from_first // BLOCK, sort=True)[0], index=table.index)
    from_patient = table["patient"].where(table["patient"] != "", "group " + table["neighbour_group"].astype(str))
    number = pd.Series(pd.factorize(from_patient)[0], index=table.index)
    while True:  # a group of twins may join patients, who may bring further groups: repeat until nothing moves
        joined = number.groupby(table["group"]).transform("min").groupby(from_patient).transform("min")
        if joined.equals(number):
            return number
        number = joined


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


def _leave_margins(split: pd.Series, table: pd.DataFrame) -> pd.Series:
    """Leave out the numbered training and validation slices within `MARGIN` of a number in a later-named split."""
    kept = split.copy()
    numbered = (table["number"] >= 0) & (table["patient"] == "")
    for name, others in (("val", ["test"]), ("train", ["test", "val"])):
        theirs = np.sort(table.loc[numbered & split.isin(others), "number"].to_numpy())
        mine = table.loc[numbered & (split == name), "number"]
        if len(theirs) and len(mine):
            near = np.searchsorted(theirs, mine + MARGIN, side="right") > np.searchsorted(theirs, mine - MARGIN)
            kept[mine.index[near]] = LEFT_OUT
    return kept
