import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from brainmri.core.errors import ArtifactError
from brainmri.scoring import scores

NAMES = ["glioma", "meningioma", "notumor", "pituitary"]


def made_up(images, seed, classes=4, ties=False):
    """True classes and probabilities that are right more often than not; `ties` rounds them so that scores repeat."""
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=images)
    logits = rng.normal(size=(images, classes)) + 1.5 * np.eye(classes)[true]
    if ties:
        logits = logits.round()
    probabilities = np.exp(logits)
    return true, probabilities / probabilities.sum(1, keepdims=True)


def test_four_images_by_hand():
    true = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    result = scores.classification(true, probabilities, ["a", "b"])
    assert result["images"] == 4
    assert result["accuracy"] == 0.75
    assert result["loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())
    a, b = result["classes"]["a"], result["classes"]["b"]
    assert (a["precision"], a["recall"], a["specificity"], a["support"]) == (1, 0.5, 1, 2)
    assert (b["precision"], b["recall"], b["specificity"], b["support"]) == (pytest.approx(2 / 3), 1, 0.5, 2)
    assert (a["f1"], b["f1"]) == (pytest.approx(2 / 3), pytest.approx(0.8))
    assert result["macro"]["f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert (a["auc"], b["auc"]) == (1, 1)


@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_scikit_learn(ties):
    true, probabilities = made_up(300, seed=1, ties=ties)
    predicted = probabilities.argmax(1)
    result = scores.classification(true, probabilities, NAMES)
    assert result["accuracy"] == metrics.accuracy_score(true, predicted)
    assert result["loss"] == pytest.approx(metrics.log_loss(true, probabilities))
    by_class = metrics.precision_recall_fscore_support(true, predicted)
    for k, name in enumerate(NAMES):
        ours = result["classes"][name]
        assert [ours[key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(
            [s[k] for s in by_class]
        )
        assert ours["specificity"] == pytest.approx(metrics.recall_score(true != k, predicted != k))
        assert ours["auc"] == pytest.approx(metrics.roc_auc_score(true == k, probabilities[:, k]))
        expected = metrics.average_precision_score(true == k, probabilities[:, k])
        assert ours["average_precision"] == pytest.approx(expected)
    for average in ("macro", "weighted"):
        expected = metrics.precision_recall_fscore_support(true, predicted, average=average)[:3]
        assert [result[average][key] for key in ("precision", "recall", "f1")] == pytest.approx(expected)
        auc = metrics.roc_auc_score(true, probabilities, multi_class="ovr", average=average)
        assert result[average]["auc"] == pytest.approx(auc)


def test_weights_count_as_repeated_images():
    true, probabilities = made_up(60, seed=2, ties=True)
    weights = np.random.default_rng(3).integers(4, size=(5, 60))
    result = scores.weighted(true, probabilities, NAMES, weights.astype(float))
    for row, times in enumerate(weights):
        rows = np.repeat(np.arange(60), times)
        repeated = scores.weighted(true[rows], probabilities[rows], NAMES, np.ones((1, len(rows))))
        assert {key: values[row] for key, values in result.items()} == pytest.approx(
            {key: values[0] for key, values in repeated.items()}
        )


def test_class_absent_from_the_test_set_is_left_out_of_averages():
    true = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]])
    result = scores.classification(true, probabilities, ["a", "b", "absent"])
    absent = result["classes"]["absent"]
    assert absent["support"] == 0
    assert absent["specificity"] == 0.75
    assert all(np.isnan(absent[key]) for key in ("precision", "recall", "f1", "auc", "average_precision"))
    for average in ("macro", "weighted"):
        expected = metrics.precision_recall_fscore_support(
            true, probabilities.argmax(1), labels=[0, 1], average=average, zero_division=0
        )
        assert [result[average][key] for key in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
    assert result["macro"]["auc"] == pytest.approx((2.5 / 4 + 1) / 2)  # class a ranks 2.5 of its 4 pairs right


def test_class_never_predicted_scores_zero_and_counts():
    true = np.array([0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    result = scores.classification(true, probabilities, ["a", "never"])
    assert [result["classes"]["never"][key] for key in ("precision", "recall", "f1")] == [0, 0, 0]
    expected = metrics.precision_score(true, probabilities.argmax(1), average="macro", zero_division=0)
    assert result["macro"]["precision"] == pytest.approx(expected)


def test_one_class_only_has_no_auc_and_no_specificity():
    result = scores.classification(np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]]), ["a", "b"])
    assert result["macro"]["recall"] == result["accuracy"] == 0.5
    assert np.isnan(
        [result["macro"]["auc"], result["classes"]["b"]["auc"], result["classes"]["b"]["specificity"]]
    ).all()


def test_macro_average_is_undefined_on_a_resample_that_lost_a_class():
    true, probabilities = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    result = scores.weighted(true, probabilities, ["a", "b"], np.array([[1.0, 2, 0]]))
    assert np.isnan(result["macro.f1"]).all()
    assert (result["weighted.f1"], result["accuracy"]) == (1, 1)


def test_a_certain_mistake_has_a_finite_loss():
    result = scores.classification(np.array([0]), np.array([[0.0, 1.0]]), ["a", "b"])
    assert result["loss"] == pytest.approx(-np.log(1e-7))


@given(st.lists(st.text("a.b", min_size=1, max_size=5), min_size=1, max_size=5, unique=True))
def test_nested_keeps_any_class_name(names):
    flat = {"accuracy": 1, "macro.f1": 2} | {f"classes.{name}.f1": k for k, name in enumerate(names)}
    expected = {name: {"f1": k} for k, name in enumerate(names)}
    assert scores.nested(flat) == {"accuracy": 1, "macro": {"f1": 2}, "classes": expected}


@pytest.mark.parametrize(
    ("true", "probabilities", "match"),
    [
        ([0], [[0.5, 0.5], [0.5, 0.5]], r"shape should be .* here \(1, 2\), received \(2, 2\)"),
        ([], np.empty((0, 2)), "at least one image"),
        ([2], [[0.5, 0.5]], "should be 0 to 1, received 2 to 2"),
        ([-1], [[0.5, 0.5]], "should be 0 to 1, received -1"),
        ([0], [[0.5, 0.6]], "sum to 1, received sums from 1.1"),
        ([0], [[-0.5, 1.5]], "smallest number of -0.5"),
        ([0], [[np.nan, 1.0]], "received sums from nan"),
    ],
)
def test_refuses_what_cannot_be_scored(true, probabilities, match):
    with pytest.raises(ArtifactError, match=match):
        scores.classification(np.array(true, int), np.array(probabilities), ["a", "b"])


def test_confusion_has_a_row_for_each_true_class():
    assert scores.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_trials_count_groups_and_those_with_a_mistake():
    true = np.array([0, 0, 0, 1, 1])
    right, mistaken = [0.9, 0.1], [0.2, 0.8]
    probabilities = np.array([right, mistaken, right, [0.1, 0.9], [0.1, 0.9]])
    groups = np.array(["p1", "p1", "p2", "p3", "p4"])
    result = scores.trials(true, probabilities, ["a", "b"], groups)
    assert result["accuracy"] == result["weighted.f1"] == result["weighted.precision"] == (4, 1)
    assert result["classes.a.recall"] == (2, 1)
    assert result["classes.a.precision"] == (2, 0)
    assert result["classes.b.precision"] == (3, 1)
    assert result["classes.b.specificity"] == (2, 1)
    assert result["classes.b.recall"] == (2, 0)
    assert result["macro.recall"] == (4, 0)
    assert "loss" not in result


def test_trials_for_a_ranking_only_if_it_is_perfect():
    true, groups = np.array([0, 0, 0, 1, 1]), np.arange(5)
    perfect = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.3, 0.7]])
    result = scores.trials(true, perfect, ["a", "b"], groups)
    assert result["classes.a.auc"] == result["classes.b.average_precision"] == (2, 0)
    assert (result["macro.auc"], result["weighted.auc"]) == ((4, 0), (5, 0))
    assert not [key for key in scores.trials(true, perfect[[3, 1, 2, 0, 4]], ["a", "b"], groups) if "auc" in key]


def test_results_can_be_written_as_json():
    true, probabilities = made_up(20, seed=6)
    assert "glioma" in json.dumps(scores.classification(true, probabilities, NAMES))


def test_confusions_of_other_classes_are_no_mistakes_of_specificity():
    # a is never missed and never called; b and c are confused eight times.
    true = np.repeat([0, 1, 2], [20, 20, 20])
    predicted = true.copy()
    predicted[20:28] = 2
    found = scores.trials(true, np.eye(3)[predicted], ["a", "b", "c"], np.arange(60))
    assert found["classes.a.specificity"] == (40, 0)
    assert found["classes.c.specificity"] == (40, 8)
