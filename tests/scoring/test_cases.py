"""Which answers a report begins with."""

import pandas as pd

from brainmri.scoring.predictions_table import cases


def predictions(*answers):
    """Return a table of classes a and b: each answer is a label and the probability of a."""
    labels, p = zip(*answers, strict=True)
    table = pd.DataFrame({"image_id": [f"i{at}" for at in range(len(p))], "label": labels, "p_a": p})
    return table.assign(p_b=1 - table["p_a"], predicted=["a" if value > 0.5 else "b" for value in p])


def test_the_surest_wrong_answers_come_first_then_right_ones_from_the_least_sure_to_the_surest():
    wrong = [("b", 0.6), ("b", 0.9), ("a", 0.25), ("b", 0.7)]
    right = [("a", 0.95), ("a", 0.55), ("b", 0.2), ("a", 0.7), ("a", 1.0)]
    found = cases(predictions(*wrong, *right))
    assert found["confidence"].tolist() == [0.9, 0.75, 0.7, 0.55, 0.8, 1.0]
    assert found["image_id"].tolist() == ["i1", "i2", "i3", "i5", "i6", "i8"]
    assert found.index.tolist() == [1, 2, 3, 5, 6, 8]


def test_there_may_be_fewer_of_both_kinds():
    assert cases(predictions(("b", 0.9), ("a", 0.8)))["image_id"].tolist() == ["i0", "i1"]
    assert cases(predictions(("b", 0.9)))["image_id"].tolist() == ["i0"]
    assert cases(predictions(("a", 0.9), ("a", 0.8), ("a", 0.7), ("a", 0.6)))["confidence"].tolist() == [0.6, 0.7, 0.9]
