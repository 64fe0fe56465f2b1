"""The charts draw what they are given, and the same bytes twice."""

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from brainmri.reporting import figures, galleries

EPOCHS = pd.DataFrame(
    {"epoch": [1, 2, 3], "loss": [1, 0.5, 0.2], "accuracy": [0.4, 0.6, 0.9],
     "val_loss": [1.1, 0.6, 0.7], "val_accuracy": [0.4, 0.7, 0.6]}
)  # fmt: skip
FEW = pd.DataFrame({"coverage": [0.5, 1], "risk": [0, 0.5]})
BINS = pd.DataFrame(
    {"when": ["before", "before", "after", "after"], "low": [0, 0.5] * 2, "high": [0.5, 1] * 2,
     "confidence": [np.nan, 0.9, np.nan, 0.8], "accuracy": [np.nan, 0.8] * 2, "count": [0, 50] * 2}
)  # fmt: skip
SCORES = pd.DataFrame(
    [("classifier", "whole", "accuracy", 0.9, 0.8, 0.95), ("classifier", "whole", "macro F1", 0.8, 0.7, 0.9),
     ("commonest class", "twin_free", "accuracy", 0.3, np.nan, np.nan)],
    columns=["who", "part", "metric", "value", "low", "high"],
)  # fmt: skip
RISK = pd.DataFrame({"coverage": [0.1, 1], "risk": [0, 0.2]})
COUNTS = np.array([[3, 1], [0, 0]])
LEVELS = pd.DataFrame({"label": "glioma", "stage": "before", "level": [0, 4, 8], "share": [0.2, 0.3, 0.5]})
CURVE = pd.DataFrame({"label": "glioma", "x": [0, 0, 1], "y": [0, 1, 1]})
DICE = pd.DataFrame({"method": "kmeans", "label": ["", "glioma"], "dice": [0.1, 0.4]})

CHARTS = {
    "curves": lambda path: figures.curves(path, EPOCHS, "simulated data"),
    "confusion": lambda path: figures.confusion(path, {"whole": COUNTS, "twin-free": COUNTS}, ["a", "b"], "x"),
    "scores": lambda path: figures.scores(path, SCORES, "simulated data"),
    "coverage_risk": lambda path: figures.coverage_risk(path, RISK, 100, 0.8, 0.9, "simulated data"),
    "no answers": lambda path: figures.coverage_risk(path, RISK, 100, 0.0, None, "simulated data"),
    "few answers": lambda path: figures.coverage_risk(path, FEW, 2, 1.0, 0.5, "simulated data"),
    "by_label": lambda path: figures.by_label(path, CURVE, "x", "y", "ROC", {"glioma": 0.5}, "simulated data"),
    "reliability": lambda path: figures.reliability(path, BINS, {"before": 0.2, "after": 0.1}, "x"),
    "histograms": lambda path: figures.histograms(path, LEVELS, ["glioma"], "simulated data"),
    "counts": lambda path: figures.counts(path, {"train": {"a": 3}, "test": {"a": 1, "unlabelled": 2}}, ["a"], "x"),
    "dice": lambda path: figures.dice(path, DICE, ["glioma"], "simulated data"),
    "no dice": lambda path: figures.dice(path, DICE[:0], [], "simulated data"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_the_same_bytes_twice_and_leaves_nothing_open(name, tmp_path):
    for file in ("a.png", "b.png"):
        CHARTS[name](tmp_path / file)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert plt.imread(tmp_path / "a.png").std() > 0.01
    assert plt.get_fignums() == []


def test_the_kept_epoch_and_the_note_are_written_on_the_curves(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    figures.curves(tmp_path / "a.png", EPOCHS, "simulated data")
    monkeypatch.undo()
    figure = kept[0]
    assert [text.get_text() for text in figure.texts] == ["simulated data"]
    assert "epoch kept: 2" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    plt.close(figure)


def test_the_chart_of_scores_shows_each_value_where_it_is(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    figures.scores(tmp_path / "a.png", SCORES, "simulated data")
    monkeypatch.undo()
    left, right = kept[0].axes
    assert [text.get_text() for text in left.texts] == ["0.900", "0.300"]
    assert [text.get_text() for text in right.texts] == ["0.800"]
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["classifier", "commonest class"]
    assert "simulated data" in [text.get_text() for text in kept[0].texts]
    plt.close(kept[0])


def drawn(draw, path, monkeypatch):
    """Return the figure that `draw` saves, open still."""
    kept = []
    with monkeypatch.context() as patch:
        patch.setattr(plt, "close", kept.append)
        draw(path)
    return kept[0]


def test_bins_of_few_images_are_left_out_and_counted_and_the_others_weighed(tmp_path, monkeypatch):
    bins = pd.DataFrame(
        {"when": "after", "low": [0, 0.4, 0.7], "high": [0.4, 0.7, 1], "confidence": [0.3, 0.6, 0.9],
         "accuracy": [0.0, 0.5, 1.0], "count": [3, 10, 90]}
    )  # fmt: skip
    eces = {"before": 0.2, "after": 0.1}
    figure = drawn(lambda path: figures.reliability(path, bins, eces, "x"), tmp_path / "a.png", monkeypatch)
    top, bottom = figure.axes
    line = top.lines[-1]
    assert line.get_xdata().tolist() == [0.6, 0.9]
    assert "3 of 103 images in bins left out" in line.get_label()
    small, large = top.collections[-1].get_sizes()
    assert small < large
    assert bottom.lines[-1].get_ydata().tolist() == [3, 10, 90, 90]  # all bins are counted there
    plt.close(figure)


def test_the_risk_is_drawn_from_ten_images_on(tmp_path, monkeypatch):
    table = pd.DataFrame({"coverage": [0.01, 0.09, 0.1, 1], "risk": [1, 0.2, 0.1, 0.05]})
    figure = drawn(lambda path: figures.coverage_risk(path, table, 100, 0.5, 0.9, "x"), tmp_path / "a.png", monkeypatch)
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0.1, 1]
    plt.close(figure)


def test_outlines_lie_on_the_border_of_the_mask():
    mask = np.zeros((6, 6), bool)
    mask[1:5, 1:5] = True
    picture = galleries.outlined(np.zeros((6, 6), np.uint8), mask, None)
    assert picture.shape == (18, 18, 3)
    assert picture[3, 3].tolist() == [0, 0xC8, 0xFF]
    assert not picture[8:10, 8:10].any()
    assert not picture[:3].any()


def test_a_gallery_shows_every_picture_whole(tmp_path):
    pictures = [np.full((20, 20), 40 * at, np.uint8) for at in range(1, 6)]
    galleries.grid(tmp_path / "a.png", pictures, [str(at) for at in range(5)], "title", 3)
    drawn = np.rint(plt.imread(tmp_path / "a.png")[..., 0] * 255)
    assert all((drawn == 40 * at).sum() > 400 for at in range(1, 6))


def dice_chart(path, table):
    figures.dice_by_method(path, table, "simulated data")
    return cv2.imread(str(path))


def test_dice_chart_shows_the_values_and_is_the_same_twice(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"method": ["kmeans"] * 40 + ["unet"] * 40, "dice": rng.random(80)})
    first = dice_chart(tmp_path / "a.png", table)
    assert first.std() > 10
    dice_chart(tmp_path / "b.png", table)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    other = dice_chart(tmp_path / "c.png", table.assign(dice=table["dice"] / 2))
    assert (first != other).any()


def test_dice_of_no_rows_and_rows_that_are_not_scored(tmp_path):
    assert dice_chart(tmp_path / "a.png", pd.DataFrame({"method": [], "dice": []})) is not None
    assert dice_chart(tmp_path / "b.png", pd.DataFrame({"method": ["kmeans"], "dice": [np.nan]})) is not None
