"""Who is in which split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmri.preprocessing import splits


def table(count, **columns):
    base = {"split": "train", "label": "glioma", "patient": "", "number": -1, "group": np.arange(count)}
    base["neighbour_group"] = columns.get("group", base["group"])
    return pd.DataFrame({name: columns.get(name, value) for name, value in base.items()}, index=range(count))


def assign(rows, val=0.25, test=0.25, seed=0):
    return splits.assign(rows, val, test, np.random.default_rng(seed))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=40), st.integers(0, 5))
def test_patients_and_groups_of_twins_are_never_divided(pairs, seed):
    rows = table(len(pairs), split="", patient=[f"p{a}" if a else "" for a, _ in pairs], group=[b for _, b in pairs])
    split, unit = assign(rows, seed=seed)
    for key in (rows["patient"][rows["patient"] != ""], rows["group"], unit):
        assert (split.groupby(key).nunique() == 1).all()


def test_shares_are_kept_in_every_class():
    rows = table(200, label=["glioma"] * 120 + ["notumor"] * 80)
    split, _ = assign(rows.assign(split=["test"] * 0 + [""] * 200), val=0.25, test=0.25)
    counts = pd.crosstab(rows["label"], split)
    assert counts.loc["glioma"].to_dict() == {"test": 30, "train": 68, "val": 22}
    assert counts.loc["notumor"].to_dict() == {"test": 20, "train": 45, "val": 15}


def test_the_sources_own_splits_are_kept():
    given_split = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    split, _ = assign(table(12, split=given_split))
    assert split.tolist() == given_split


def test_only_validation_is_drawn_where_the_source_has_a_test_split():
    split, _ = assign(table(24, split=["train"] * 20 + ["test"] * 4))
    assert split[20:].tolist() == ["test"] * 4
    assert split.value_counts().to_dict() == {"train": 15, "val": 5, "test": 4}


def test_a_large_unit_does_not_overshoot_the_share():
    rows = table(20, group=[0] * 18 + [1, 2])
    split, _ = assign(rows, val=0.1)
    assert (split[:18] == "train").all()


def test_rows_without_a_split_follow_their_patient():
    rows = table(9, split=["test", "", "", "val", "", "train", "", "", ""], patient=[*"aaabbccdd"])
    split, _ = assign(rows)
    assert split.tolist() == ["test"] * 3 + ["val"] * 2 + ["train"] * 4


def test_a_small_set_has_every_class_in_every_split():
    rows = table(18, split="", label=["glioma"] * 9 + ["notumor"] * 9, patient=[f"p{at // 3}" for at in range(18)])
    split, _ = assign(rows, val=0.1, test=0.1)
    assert (pd.crosstab(rows["label"], split) == 3).all().all()


def test_a_class_with_one_patient_stays_in_training():
    split, _ = assign(table(5, split="", patient="p1"))
    assert (split == "train").all()


def test_numbered_slices_are_split_by_blocks_with_a_margin():
    rows = table(500, split="", label="", number=np.arange(500))
    split, unit = assign(rows, val=0.2, test=0.2)
    assert (unit == np.arange(500) // 50).all()
    assert (split == "test").sum() == 100
    numbers = {name: rows["number"][split == name].to_numpy() for name in ("train", "val", "test")}
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        assert np.abs(numbers[one][:, None] - numbers[other]).min() > splits.MARGIN
    assert (split == splits.LEFT_OUT).any()


def test_blocks_are_counted_from_the_lowest_number():
    rows = table(100, split="", label="", number=1 + np.arange(100))
    assert splits.units(rows).value_counts().tolist() == [50, 50]  # and no single slice, number 100, apart


def test_another_seed_draws_another_split():
    rows = table(60)
    assert assign(rows, seed=0)[0].tolist() == assign(rows, seed=0)[0].tolist()
    assert assign(rows, seed=0)[0].tolist() != assign(rows, seed=1)[0].tolist()


@pytest.mark.parametrize("chain", [[(1, 0), (1, 1), (2, 1), (2, 2)]])
def test_units_follow_chains_of_patients_and_twins(chain):
    rows = table(4, patient=[f"p{a}" for a, _ in chain], group=[b for _, b in chain])
    assert splits.units(rows).nunique() == 1


def test_neighbours_stay_together_where_no_patient_is_named():
    rows = table(40, neighbour_group=np.arange(40) // 4)
    split, unit = assign(rows)
    assert (split.groupby(rows["neighbour_group"]).nunique() == 1).all()
    assert unit.nunique() == 10


def test_neighbours_do_not_join_patients_nor_blocks_of_numbers():
    named = table(6, patient=[*"aabbcc"], neighbour_group=[0] * 6)
    assert splits.units(named).nunique() == 3
    numbered = table(100, number=np.arange(100), label="", neighbour_group=[0] * 100)
    assert splits.units(numbered).nunique() == 2
