"""Temperature, threshold and calibration error, by hand and against SciPy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn import metrics
from sklearn.calibration import calibration_curve

from brainmri.core.errors import ArtifactError
from brainmri.scoring import calibration


def overconfident(images, seed, factor=3.0, classes=4):
    """True classes drawn from known probabilities, and the same with logarithms `factor` times too large."""
    rng = np.random.default_rng(seed)
    honest = special.log_softmax(rng.normal(size=(images, classes)) * 1.5, axis=1)
    true = (special.softmax(honest, axis=1).cumsum(axis=1) < rng.random((images, 1))).sum(axis=1)
    return true, special.softmax(honest * factor, axis=1)


@pytest.mark.parametrize("factor", [3.0, 0.5])
def test_the_temperature_of_a_distorted_network_is_found(factor):
    true, probabilities = overconfident(20_000, 0, factor)
    assert calibration.fit_temperature(true, probabilities) == pytest.approx(factor, rel=0.05)


def test_the_temperature_agrees_with_scipys_other_minimiser_on_images_and_one_of_every_label():
    true, probabilities = overconfident(300, 1)
    targets = np.full((300, 4), 1 / 4 / 301) + 300 / 301 * np.eye(4)[true]
    theirs = optimize.minimize(
        lambda inverse: -(targets * special.log_softmax(np.log(probabilities) * inverse, axis=1)).sum(axis=1).mean(),
        [1.0],
    )
    assert calibration.fit_temperature(true, probabilities) == pytest.approx(1 / theirs.x[0], rel=1e-3)


def test_temperature_two_takes_square_roots():
    np.testing.assert_allclose(
        calibration.with_temperature(np.array([[0.64, 0.36]]), 2.0), [[0.8 / 1.4, 0.6 / 1.4]], rtol=1e-6
    )


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_a_temperature_changes_no_prediction_and_rows_sum_to_one(seed, temperature):
    given_ = np.random.default_rng(seed).dirichlet(np.ones(4), size=20).astype(np.float32)
    found = calibration.with_temperature(given_, temperature)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert (found[np.arange(20), given_.argmax(axis=1)] == found.max(axis=1)).all()


def test_temperature_one_changes_no_bit_and_no_rows_stay_none():
    given_ = np.array([[0.1, 0.9], [0, 1]], np.float32)
    assert calibration.with_temperature(given_, 1.0).tobytes() == given_.tobytes()
    assert calibration.with_temperature(np.empty((0, 4), np.float32), 2.0).shape == (0, 4)


def test_certain_mistakes_have_a_temperature_within_its_limits():
    wrong = np.array([[1.0, 0], [0, 1]])
    assert calibration.fit_temperature(np.array([1, 0]), wrong) == pytest.approx(calibration.HOTTEST, rel=1e-3)


@pytest.mark.parametrize("confidence", [0.8, 0.99999])
def test_a_hundred_right_answers_vouch_for_about_99_percent(confidence):
    probabilities = np.tile([confidence, 1 - confidence], (100, 1))
    found = calibration.with_temperature(probabilities, calibration.fit_temperature(np.zeros(100, int), probabilities))
    assert found[0, 0] == pytest.approx(100.5 / 101, abs=1e-4)


@pytest.mark.parametrize(
    ("true", "probabilities"),
    [
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]]),  # uniform
        ([0, 0], [[1.0], [1.0]]),  # one class only
    ],
)
def test_where_no_temperature_changes_anything_it_is_one(true, probabilities):
    assert calibration.fit_temperature(np.array(true), np.array(probabilities)) == 1


def test_one_class_among_the_images_is_fitted_like_any_other_set():
    # Right in 200 of 300 at odds of 9 to 1: they become 2 to 1, about ln 9 / ln 2 times as small.
    probabilities = np.tile([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]], (100, 1))
    assert calibration.fit_temperature(np.zeros(300, int), probabilities) == pytest.approx(
        np.log(9) / np.log(2), rel=0.02
    )


def test_coverage_and_risk_by_hand():
    true = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.3, 0.7], [0.4, 0.6]])
    coverage, risk, confidence = calibration.coverage_risk(true, probabilities)
    assert coverage.tolist() == [0.25, 0.75, 1]  # equal confidence, answered together
    assert risk.tolist() == [0, pytest.approx(1 / 3), 0.25]
    assert confidence.tolist() == [0.9, 0.7, 0.6]


def rows(confidence, wrong):
    """Two classes, the first predicted with each confidence; `wrong` says which rows are of the second."""
    confidence = np.array(confidence)
    return np.isin(np.arange(len(confidence)), wrong).astype(int), np.stack([confidence, 1 - confidence], axis=1)


def test_the_threshold_takes_the_next_image_for_wrong():
    true, probabilities = rows(np.linspace(0.99, 0.6, 40), [39])
    # 1 error + 1 over 40 + 1 is 4.9 %; at 4 % the last, wrong one is left out: 1 over 39 + 1 is 2.5 %.
    assert calibration.abstain_threshold(true, probabilities, 0.05) == 0.6
    assert calibration.abstain_threshold(true, probabilities, 0.04) == pytest.approx(0.61)
    assert calibration.abstain_threshold(true, probabilities, 0.0245) > 1


def test_few_images_are_called_unlike_by_the_validation_images_alone():
    """Of nine values one may lie above: (1 + 1) / (9 + 1) is 0.2, and none where the share is less."""
    unlike = np.array([3.0, 9, 1, 7, 5, 2, 8, 4, 6])
    assert calibration.unlike_threshold(unlike, 0.2) == 8
    assert calibration.unlike_threshold(unlike, 0.29) == 8
    assert calibration.unlike_threshold(unlike, 0.3) == 7
    for share in (0.19, 0.01, 0):
        assert calibration.unlike_threshold(unlike, share) == 9


def test_too_few_images_abstain_from_everything():
    true, probabilities = rows([1.0] * 98, [])
    assert calibration.abstain_threshold(true, probabilities, 0.01) == calibration.ABSTAIN_ALWAYS
    true, probabilities = rows([1.0] * 99, [])
    assert calibration.abstain_threshold(true, probabilities, 0.01) == 1


def test_any_risk_allowed_answers_everything():
    true, probabilities = rows([0.9, 0.8, 0.7], [0, 1, 2])
    assert calibration.abstain_threshold(true, probabilities, 1) == pytest.approx(0.7)


def test_the_promised_risk_holds_on_average_for_new_images():
    rng = np.random.default_rng(3)
    true, probabilities = overconfident(40_000, 4, 1.0)
    risks = []
    for _ in range(60):
        drawn = rng.integers(len(true), size=400)
        threshold = calibration.abstain_threshold(true[drawn], probabilities[drawn], 0.2)
        risks.append(calibration.selective(true, probabilities, threshold)["risk"])
    assert np.nanmean(risks) <= 0.2
    assert np.nanmean(risks) > 0.15  # and does not buy it with answering next to nothing


def test_selective_of_nothing_has_no_risk():
    true, probabilities = rows([0.9, 0.8], [1])
    assert calibration.selective(true, probabilities, 0.85) == {"coverage": 0.5, "risk": 0}
    found = calibration.selective(true, probabilities, calibration.ABSTAIN_ALWAYS)
    assert found["coverage"] == 0
    assert np.isnan(found["risk"])


def test_calibrate_says_what_it_did():
    true, probabilities = overconfident(500, 5)
    found = calibration.calibrate(true, probabilities, 0.3)
    after = calibration.with_temperature(probabilities, found["temperature"])
    part = found["validation"]
    assert part["images"] == 500
    assert part["loss_after"] == pytest.approx(-np.log(after[np.arange(500), true]).mean(), rel=1e-5)
    assert part["loss_after"] < part["loss_before"]
    assert part["ece_after"] < part["ece_before"]
    given_ = after.max(axis=1) >= np.float32(found["abstain_below"])
    assert part["coverage"] == given_.mean()
    assert part["risk"] == (after.argmax(axis=1) != true)[given_].mean() <= 0.3


def test_quality_agrees_with_scikit_learn():
    true, probabilities = overconfident(300, 6)
    found = calibration.quality(true, probabilities)
    assert found["loss"] == pytest.approx(metrics.log_loss(true, probabilities), rel=1e-4)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(true, probabilities, scale_by_half=False))


def test_two_classes_have_twice_the_brier_score_of_one():
    true, probabilities = np.array([1, 0]), np.array([[0.2, 0.8], [0.4, 0.6]])
    assert calibration.quality(true, probabilities)["brier"] == pytest.approx(2 * (0.2**2 + 0.6**2) / 2)


def test_reliability_agrees_with_scikit_learn():
    true, probabilities = overconfident(400, 7)
    found = calibration.reliability(true, probabilities)
    right, confidence = probabilities.argmax(axis=1) == true, probabilities.max(axis=1)
    share, mean = calibration_curve(right, confidence, n_bins=15)
    held = found["count"] > 0
    np.testing.assert_allclose(found["accuracy"][held], share)
    np.testing.assert_allclose(found["confidence"][held], mean)
    assert found["ece"] == pytest.approx((abs(share - mean) * found["count"][held]).sum() / 400)


def test_reliability_by_hand():
    true = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.95, 0.05], [0.9, 0.1], [0.35, 0.65], [0.35, 0.65]])
    result = calibration.reliability(true, probabilities, bins=5)
    assert result["count"].tolist() == [0, 0, 0, 2, 2]
    np.testing.assert_allclose(result["confidence"], [np.nan] * 3 + [0.65, 0.925])
    np.testing.assert_allclose(result["accuracy"], [np.nan] * 3 + [0.5, 1])
    assert result["ece"] == pytest.approx((2 * 0.15 + 2 * 0.075) / 4)


def test_reliability_counts_certainty_and_edges_in_the_bin_below():
    result = calibration.reliability(np.array([0, 0]), np.array([[1.0, 0.0], [0.5, 0.5]]), bins=2)
    assert result["count"].tolist() == [1, 1]


@pytest.mark.parametrize("call", [calibration.fit_temperature, calibration.coverage_risk, calibration.reliability])
def test_no_images_are_refused(call):
    with pytest.raises(ArtifactError, match="at least one image"):
        call(np.empty(0, int), np.empty((0, 4)))


def test_ece_is_that_of_the_bins_one_by_one():
    rng = np.random.default_rng(1)
    true, probabilities = rng.integers(3, size=50), rng.dirichlet(np.ones(3), size=50)
    weights = rng.integers(3, size=(2, 50)).astype(float)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == true
    for row, found in zip(weights, calibration.ece(true, probabilities, weights), strict=True):
        gaps = [
            abs(
                sum(
                    row[at] * (confidence[at] - right[at])
                    for at in range(50)
                    if k / 15 < confidence[at] <= (k + 1) / 15
                )
            )
            for k in range(15)
        ]
        assert found == pytest.approx(sum(gaps) / row.sum())


def test_neighbouring_bins_of_ece_do_not_cancel():
    # 0.95 and wrong stands in the last of 15 bins, 0.92 and right in the one before: (0.95 + 0.08) / 2.
    probabilities = np.array([[0.95, 0.05], [0.92, 0.08]])
    assert calibration.ece(np.array([1, 0]), probabilities, np.ones((1, 2))) == pytest.approx([0.515])
