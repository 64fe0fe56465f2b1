"""The table behind the chart of scores."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from brainmri.reporting.score_table import score_table
from brainmri.scoring.assessment import PARTS

ENDS = {"low": 0.8, "high": 0.95}
PART = {"images": 4, "accuracy": 0.9, "macro": {"f1": 0.85}, "classes": {"a": {"support": 3}, "b": {"support": 1}}}
CLASSIFY = {"whole": PART, "ci95": {"whole": {"accuracy": ENDS, "macro": {"f1": ENDS}}}}
PROBE = {"accuracy": 0.5, "macro_f1": 0.4, "ci95": {"accuracy": ENDS, "macro_f1": ENDS}, "chance": 0.5}
PROBES = {"nearest_neighbour": {"whole": PROBE, "reading": "words"}, "reading": "words"}


def values(table):
    return {(row.who, row.part, row.metric): (row.value, row.low, row.high) for row in table.itertuples()}


def test_every_score_has_its_row():
    found = values(score_table(CLASSIFY, PROBES))
    assert found["classifier", "whole", "accuracy"] == (0.9, 0.8, 0.95)
    assert found["classifier", "whole", "macro F1"] == (0.85, 0.8, 0.95)
    assert found["probe: nearest neighbour", "whole", "macro F1"] == (0.4, 0.8, 0.95)
    assert len(found) == 6


def test_the_commonest_class_scores_as_scikit_learn_says():
    found = values(score_table(CLASSIFY, PROBES))
    assert found["commonest class", "whole", "accuracy"][0] == 0.75
    expected = f1_score([0, 0, 0, 1], [0] * 4, average="macro")
    assert found["commonest class", "whole", "macro F1"][0] == pytest.approx(expected)
    assert np.isnan(found["commonest class", "whole", "accuracy"][1])


def test_a_part_that_is_the_same_images_stands_once():
    ends = CLASSIFY["ci95"]["whole"]
    ten = {**PART, "images": 10, "classes": {"a": {"support": 6}, "b": {"support": 4}}}
    classify = {"whole": ten, "twin_free": PART, "neighbour_free": PART, "ci95": dict.fromkeys(PARTS, ends)}
    found = score_table(classify, {"nearest_neighbour": dict.fromkeys(PARTS, PROBE)})
    assert set(found["part"]) == {"whole", "twin_free"}
    assert len(found) == 2 * 2 * 3


def test_several_seeds_have_their_own_row():
    scores = {"mean": {"accuracy": 0.9, "macro": {"f1": 0.8}}, "sd": {"accuracy": 0.02, "macro": {"f1": 0.01}}}
    found = values(score_table({**CLASSIFY, "repeats": {"seeds": 3, "whole": scores}}, {}))
    assert found["mean of 3 seeds (bar: ± SD)", "whole", "macro F1"] == pytest.approx((0.8, 0.79, 0.81))
    assert len(found) == 6
