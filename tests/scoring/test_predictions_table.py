"""The table of predictions becomes numbers, once."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from brainmri.core.errors import ArtifactError
from brainmri.scoring import predictions_table

CLASSES = ["b", "a", "1"]


def table(labels, predicted):
    rows = pd.DataFrame({"label": list(labels), "predicted": list(predicted), "unit": [f"u{at}" for at in labels]})
    return rows.assign(**{f"p_{name}": (rows["predicted"] == name) * 0.7 + 0.1 for name in CLASSES})


def test_labels_become_positions_in_the_order_of_the_classes():
    found = predictions_table.read_answers(table("ab1a", "ab11"), CLASSES)
    assert found.true.tolist() == [1, 0, 2, 1]
    np.testing.assert_allclose(found.probabilities[0], [0.1, 0.8, 0.1])
    assert found.units.tolist() == ["ua", "ub", "u1", "ua"]


def test_a_part_holds_the_chosen_rows_of_every_column():
    found = predictions_table.read_answers(table("ab1a", "ab11"), CLASSES).part(np.array([False, True, False, True]))
    assert (found.true.tolist(), found.units.tolist(), found.classes) == ([0, 1], ["ub", "ua"], CLASSES)
    assert found.probabilities.argmax(axis=1).tolist() == [0, 2]


def test_a_label_that_is_no_class_is_named():
    with pytest.raises(ArtifactError, match="labels: should each be one of b, a, received '1'; give every image"):
        predictions_table.read_answers(table("ab1", "ab1"), CLASSES[:2])


def test_confusion_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    rows = table(rng.choice(CLASSES[:2], 50), rng.choice(CLASSES, 50))  # one class is predicted and never true
    expected = metrics.confusion_matrix(rows["label"], rows["predicted"], labels=CLASSES)
    np.testing.assert_array_equal(predictions_table.confusion(rows, CLASSES), expected)
