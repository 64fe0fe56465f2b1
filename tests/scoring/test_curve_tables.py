import numpy as np
import pytest

from brainmri.scoring.curve_tables import curve_tables


def test_each_curve_has_its_points():
    true = np.array([0, 0, 1, 1])
    raw = np.array([[0.8, 0.2], [0.6, 0.4], [0.45, 0.55], [0.7, 0.3]])
    mended = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.8, 0.2]])
    found = curve_tables(true, raw, mended, ["a", "b"])
    assert list(found) == ["roc", "precision_recall", "reliability", "coverage_risk"]
    assert found["roc"].groupby("label")["true_positive_rate"].max().to_dict() == {"a": 1, "b": 1}
    bins = found["reliability"]
    for when, given in (("before", raw), ("after", mended)):
        rows = bins[(bins["when"] == when) & (bins["count"] > 0)]
        assert (rows["confidence"] * rows["count"]).sum() == pytest.approx(given.max(axis=1).sum())
    # The surest answer is right, the next one wrong, the others right.
    curve = found["coverage_risk"]
    assert np.interp([0.25, 0.5, 0.75, 1], curve["coverage"], curve["risk"]) == pytest.approx([0, 0.5, 1 / 3, 0.25])


def test_a_class_that_does_not_occur_has_no_curve():
    found = curve_tables(np.array([0, 0]), *[np.array([[0.9, 0.1], [0.4, 0.6]])] * 2, ["a", "b"])
    assert set(found["precision_recall"]["label"]) == {"a"}
    assert found["roc"].empty
