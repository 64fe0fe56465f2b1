"""What can be told without a look at the anatomy."""

import numpy as np
import pandas as pd
import pytest

from brainmri.core.index import QUALITY
from brainmri.models import probes


def test_the_nearest_row_is_found_and_the_first_of_equal_ones(monkeypatch):
    monkeypatch.setattr(probes, "ROWS_AT_ONCE", 2)
    train = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    test = np.array([[0.6, 0.8], [1, 0], [-1, 0]], np.float32)
    row, similarity = probes.nearest(train, test)
    assert row.tolist() == [1, 0, 1]
    np.testing.assert_allclose(similarity, [0.8, 1, 0])


def test_nearest_agrees_with_scikit_learn():
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = NearestNeighbors(n_neighbors=1).fit(vectors[:40]).kneighbors(vectors[40:], return_distance=False)
    assert probes.nearest(vectors[:40], vectors[40:])[0].tolist() == expected[:, 0].tolist()


def test_borders_are_measured_at_each_side():
    window = np.full((10, 10), probes.BLACK, np.uint8)
    window[3:9, 1:5] = 200
    assert probes.border_shares(window) == (0.1, 0.5, 0.3, 0.1)  # left, right, top, bottom
    assert probes.border_shares(np.full((10, 10), 9, np.uint8)) == (0, 0, 0, 0)
    assert probes.border_shares(np.zeros((10, 10), np.uint8)) == (1, 1, 1, 1)


def index(count, **columns):
    base = {"mode": "L", "height_px": 64, "width_px": 64} | dict.fromkeys(QUALITY, 0.5)
    return pd.DataFrame({name: columns.get(name, value) for name, value in base.items()}, index=range(count))


def test_the_features_hold_every_group_and_no_place_of_a_pixel():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 16, 16, 2), dtype=np.uint8)
    table, groups = probes.features(index(3), images)
    assert sorted(groups) == ["borders", "intensity", "mode", "size"]
    assert sorted(table.columns) == sorted(column for columns in groups.values() for column in columns)
    mean, spread = table["level_0"], table["level_1"]
    np.testing.assert_allclose(mean, images[..., 0].mean((1, 2)))
    np.testing.assert_allclose(spread, images[..., 0].std((1, 2)))
    np.testing.assert_allclose(
        table[["level_2", "level_3", "level_4", "level_5", "level_6"]].iloc[0],
        np.percentile(images[0, ..., 0], probes.PERCENTILES, method="inverted_cdf"),
    )
    inner = images.copy()
    inner[:, 1:-1, 1:-1] = inner[:, 1:-1, 1:-1][:, ::-1]  # the middle turned upside down
    again, _ = probes.features(index(3), inner)
    pd.testing.assert_frame_equal(table, again)


def given_away_by(group, count=120):
    """Tables of features in which one group alone tells the two classes apart."""
    rng = np.random.default_rng(1)
    true = np.arange(count) % 2
    images = rng.integers(20, 200, (count, 16, 16, 1), dtype=np.uint8)
    table = index(count)
    if group == "mode":
        table["mode"] = np.where(true, "RGB", "L")
    if group == "size":
        table["width_px"] = np.where(true, 128, 64)
    if group == "borders":
        images[true == 1, :, :1] = 0  # one column: hardly a change of the levels
        images[true == 0, -1:, :, :] = 0
    if group == "intensity":
        images[true == 1] //= 2
    return *probes.features(table, images), true


@pytest.mark.parametrize("group", ["mode", "size", "borders", "intensity"])
def test_the_group_that_gives_the_classes_away_is_named(group):
    table, groups, true = given_away_by(group)
    learnt, held_out = slice(0, 80), slice(80, None)
    found = probes.by_group((table[learnt], true[learnt]), (table[held_out], true[held_out]), groups, 20, 0)
    assert max(found, key=lambda name: found[name]["alone"]) == group
    assert found[group]["alone"] > 0.95
    assert found[group]["without"] < 0.8


def test_two_fits_give_the_same_bytes_and_an_unknown_mode_is_missing():
    table, groups, true = given_away_by("mode")
    columns = [column for own in groups.values() for column in own]
    first, second = (probes.MetadataProbe(columns, 20, 3).fit(table, true).probabilities(table, 3) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.shape == (len(table), 3)
    assert not first[:, 2].any()
    model = probes.MetadataProbe(["mode"], 20, 3).fit(table, true)
    other = model.probabilities(table.assign(mode="CMYK"), 2)
    np.testing.assert_allclose(other.sum(1), 1)


def part(recall, low, chance=0.25):
    return {"macro_recall": recall, "chance": chance, "ci95": {"macro_recall": {"low": low, "high": 1.0}}}


@pytest.mark.parametrize(
    ("whole", "twin_free", "sentence"),
    [
        (part(0.30, 0.26), part(0.9, 0.8), "finds no shortcut"),
        (part(0.40, 0.35), part(0.9, 0.8), "finds no shortcut"),  # just at the margin
        (part(0.40, 0.351), part(0.9, 0.8), "0.90 on twin-free images: the set gives classes away"),
        (part(0.90, 0.85), part(0.3, 0.2), "not surely above chance: copies explain it"),
        (part(0.90, 0.85), None, "too few images are left to tell"),
        (part(0.90, float("nan")), None, "finds no shortcut"),
    ],
)
def test_the_reading_follows_the_interval(whole, twin_free, sentence):
    said = probes.reading("Metadata alone", whole, twin_free, "mode")
    assert sentence in said
    assert said.startswith("Metadata alone: mean recall")
    assert said.endswith(".")
    assert ("mostly by mode" in said or "by mode" in said) == probes.is_high(whole)


def test_the_reading_does_not_call_brightness_a_shortcut_without_a_word():
    high = part(0.9, 0.8)
    assert "mostly by intensity (which a bright tumour changes too)" in probes.reading(
        "Metadata", high, high, "intensity"
    )
