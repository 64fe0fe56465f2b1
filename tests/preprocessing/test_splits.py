"""Who is in which split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmri.core.errors import ArtifactError, InputError
from brainmri.preprocessing import splits


def table(count, **columns):
    base = {"set": "s", "split": "train", "label": "glioma", "patient": "", "number": -1, "group": np.arange(count)}
    base["neighbour_group"] = columns.get("group", base["group"])
    return pd.DataFrame({**base, **columns}, index=range(count))


def assign(rows, val=0.25, test=0.25, seed=0):
    return splits.by_source(rows, val, test, np.random.default_rng(seed))


def by_patient(rows, fold=0, folds=5, val=0.25, seed=0):
    return splits.by_patient(rows, val, folds, fold, np.random.default_rng(seed))


@settings(max_examples=40)
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


def test_numbered_slices_without_patients_are_split_by_groups_of_neighbours():
    neighbours = np.random.default_rng(0).permutation(np.arange(500) // 4)  # spread over the numbers, as patients are
    rows = table(500, split="", label="", number=np.arange(500), neighbour_group=neighbours)
    split, unit = assign(rows, val=0.25, test=0.2)
    assert unit.nunique() == 125
    assert (split.groupby(rows["neighbour_group"]).nunique() == 1).all()
    assert split.value_counts().to_dict() == {"train": 300, "val": 100, "test": 100}  # and none is left out


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


def test_neighbours_do_not_join_patients():
    named = table(6, patient=[*"aabbcc"], neighbour_group=[0] * 6)
    assert splits.units(named).nunique() == 3


def test_look_alikes_of_nobody_known_are_joined_to_a_patient_by_a_chain_of_twins():
    # Rows 1 and 2 are neighbours, and 1 is a twin of a slice of patient a; row 3 is a neighbour of b's slice alone.
    rows = table(5, patient=["a", "", "", "", "b"], group=[0, 0, 1, 2, 3], neighbour_group=[0, 0, 0, 1, 1])
    assert splits.units(rows).tolist() == [0, 0, 0, *splits.units(rows)[3:]]
    assert splits.units(rows).nunique() == 3


LABELS = ["glioma", "notumor", ""]
# Who it is, which of their twins, in which set, and what is odd about it: 0 that a stranger has a twin, 1 the label.
images = st.tuples(st.integers(0, 24), st.integers(0, 2), st.booleans(), st.integers(0, 15))


def drawn(found):
    """Return a table of all sets; every other of the people is known, and the images of the others are alike."""
    who, twin, other, odd = (np.array(column) for column in zip(*found, strict=True))
    return table(
        len(found),
        set=np.where(other, "masks", "classes"),
        label=[LABELS[at % 3] for at in np.where(odd == 1, who + 1, who)],
        patient=[f"p{at}" if at % 2 else "" for at in who],
        group=np.where(odd == 0, 3 * (who + 1), 3 * who + twin),
        neighbour_group=who,
    )


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(images, min_size=1, max_size=90), st.integers(2, 5), st.integers(0, 3))
def test_the_folds_are_a_partition_into_whole_units_and_the_same_when_drawn_twice(found, folds, seed):
    rows = drawn([*found, *((at, 0, False, 9) for at in range(30, 45))])  # each label in five units at least
    unit, kinds = splits.units(rows), rows["set"] + rows["label"]
    pure = kinds.groupby(unit).transform("nunique") == 1
    enough = unit[pure].groupby(kinds[pure]).nunique() >= folds  # of each kind, units of nothing else
    tested = np.zeros(len(rows), int)
    for fold in range(folds):
        split, kept_together = by_patient(rows, fold, folds, seed=seed)
        assert kept_together.equals(unit)
        for key in (rows["patient"][rows["patient"] != ""], rows["group"], unit):
            assert (split.groupby(key).nunique() == 1).all()
        assert set(enough.index[enough]) <= set(kinds[split == "test"])
        assert set(LABELS[:2]) & set(rows["label"]) <= set(rows["label"][split == "train"])
        tested += split == "test"
    assert (tested == 1).all()
    assert split.equals(by_patient(rows, fold, folds, seed=seed)[0])


def patients(sizes, **columns):
    """Return a table with so many images of each of the patients."""
    named = [f"p{at:02d}" for at, size in enumerate(sizes) for _ in range(size)]
    return table(len(named), patient=named, **columns)


def test_folds_are_of_like_size_in_every_class():
    sizes = np.random.default_rng(0).integers(1, 30, 100)
    label = np.repeat(["glioma"] * 70 + ["notumor"] * 30, sizes)
    rows = patients(sizes, label=label)
    dealt = splits.deal(rows, splits.units(rows), 5, np.random.default_rng(0))
    counts = pd.crosstab(label, dealt)
    assert (counts.max(axis=1) <= 1.1 * counts.min(axis=1)).all()
    drawn = np.random.default_rng(0).permutation(100) % 5  # what a blind draw of as many patients would give
    blind = pd.crosstab(label, drawn[rows["patient"].str[1:].astype(int)])
    assert (blind.max(axis=1) > 1.3 * blind.min(axis=1)).all()


def test_the_draw_of_folds_depends_on_the_seed():
    rows = patients([4] * 20)
    one, again, other = (splits.deal(rows, splits.units(rows), 5, np.random.default_rng(at)) for at in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)


def test_the_sources_split_is_passed_over_by_patient():
    rows = patients([4] * 20)
    named = rows.assign(split=["test"] * 8 + ["train"] * 72)
    assert by_patient(named)[0].equals(by_patient(rows)[0])
    assert by_patient(named)[0].value_counts().to_dict() == {"train": 48, "val": 16, "test": 16}


def test_a_person_of_two_sets_stands_in_one_part():
    rows = patients(
        [4] * 20, set=["classes", "classes", "masks", "masks"] * 20, label=["glioma", "glioma", "", ""] * 20
    )
    split, _ = by_patient(rows)
    assert (split.groupby(rows["patient"]).nunique() == 1).all()
    assert (pd.crosstab(rows["set"], split)["test"] == 8).all()


def test_known_folds_are_kept_and_a_person_in_two_is_in_that_of_the_first_slice():
    # Patient 0 lies in folds 2 and 1, and the lower number is of fold 1; patient 1 has no fold; then folds 1 to 5.
    known = [2, 1, -1, -1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    rows = patients([2] * 7, known_fold=known, number=[9, 8, *range(10, 22)])
    dealt = splits.deal(rows, splits.units(rows), 5, np.random.default_rng(0))
    assert dealt[:2].tolist() == [0, 0]
    assert dealt[4:].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert dealt[2] == dealt[3] != 0  # who has none goes where fewer are


def test_a_numbered_slice_comes_before_one_without_a_number():
    rows = patients([2, *[1] * 5], known_fold=[2, 1, 1, 2, 3, 4, 5], number=[-1, 7, 1, 2, 3, 4, 5])
    dealt = splits.deal(rows, splits.units(rows), 5, np.random.default_rng(0))
    assert dealt[:2].tolist() == [0, 0]


def test_known_folds_are_passed_over_where_another_number_is_asked_for():
    rows = patients([1] * 12, known_fold=[1] * 8 + [2, 3, 4, 5])
    dealt = splits.deal(rows, splits.units(rows), 4, np.random.default_rng(0))
    assert dealt.value_counts().tolist() == [3, 3, 3, 3]


def test_more_folds_than_units_are_refused():
    with pytest.raises(InputError, match=r"preprocess.folds: .* groups of look-alikes, 3, received 4"):
        by_patient(patients([5, 5, 5]), folds=4)


def test_a_class_that_would_be_tested_but_not_learnt_is_refused():
    rows = patients([5] * 6, label=["glioma"] * 25 + ["pituitary"] * 5)
    fold = splits.deal(rows, splits.units(rows), 5, np.random.default_rng(0)).iloc[-1]
    with pytest.raises(
        InputError, match=rf"none of \['pituitary'\] in training where fold {fold} of 5 is the test part"
    ):
        by_patient(rows, fold)
    assert set(by_patient(rows, (fold + 1) % 5)[0][25:]) == {"train"}


@pytest.mark.parametrize(
    ("columns", "called"),
    [
        ({"patient": [*"aabb"], "group": [0, 1, 2, 2], "unit": [0, 1, 2, 2]}, "patient a in test and train"),
        ({"patient": [""] * 4, "group": [7, 7, 2, 2], "unit": [0, 1, 2, 2]}, "group of twins 7 in test and train"),
        ({"patient": [""] * 4, "group": [0, 1, 2, 2], "unit": [5, 5, 2, 2]}, "unit 5 in test and train"),
    ],
)
def test_who_stands_in_two_parts_is_named(columns, called):
    rows = table(4, split=["train", "test", "val", "dropped"], **columns)
    with pytest.raises(ArtifactError, match=rf"nobody should stand in two parts, received {called} \(1 such\)"):
        splits.require_apart(rows)
    splits.require_apart(rows.assign(split=["train", "train", "val", "dropped"]))
