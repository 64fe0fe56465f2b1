"""The augment stage on the generated set."""

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri.core.files import read_json
from brainmri.core.index import read_split
from brainmri.core.params import check
from brainmri.preprocessing.augmentation import VariationParams, draw, vary
from stages import augment


def run(processed, out, **changes):
    augment.run(check(tiny_params(augment=changes)["augment"], augment.Params, "augment"), processed / "train", out)
    return np.load(out / "stored/images.npy"), pd.read_csv(out / "stored/index.csv")


def test_every_variant_can_be_made_again_from_its_row(processed, augmented):
    split = read_split(processed / "train")
    images, table = np.load(augmented / "stored/images.npy"), pd.read_csv(augmented / "stored/index.csv")
    assert len(images) == len(table) == len(split.index)
    for at, row in enumerate(table.to_dict("records")):
        assert split.index.at[row["row"], "image_id"] == row["image_id"]
        np.testing.assert_array_equal(images[at], vary(split.images[row["row"]], row))


def test_training_can_draw_more_from_the_ranges(augmented):
    ranges = check(read_json(augmented / "fresh/ranges.json", dict), VariationParams, "ranges.json")
    assert ranges.rotation_deg == tiny_params()["augment"]["rotation_deg"]
    assert set(draw(1, ranges, np.random.default_rng(0))) < set(pd.read_csv(augmented / "stored/index.csv"))


def test_what_training_draws_from_does_not_depend_on_how_many_are_stored(processed, augmented, tmp_path):
    run(processed, tmp_path / "out", copies=3, seed=5)
    assert [path.name for path in (tmp_path / "out/fresh").iterdir()] == ["ranges.json"]
    assert (tmp_path / "out/fresh/ranges.json").read_bytes() == (augmented / "fresh/ranges.json").read_bytes()


def test_balance_gives_every_class_as_many(processed, tmp_path):
    _, table = run(processed, tmp_path / "out", balance=True, copies=2)
    originals = read_split(processed / "train").index["label"].value_counts()
    totals = table["label"].value_counts() + originals
    assert totals.nunique() == 1


def test_no_copies_is_an_empty_set_with_a_preview(processed, tmp_path):
    images, table = run(processed, tmp_path / "out", copies=0)
    assert images.shape == (0, 32, 32, 3)
    assert len(table) == 0
    assert (tmp_path / "out/preview.png").stat().st_size > 1000


def test_two_runs_write_the_same_bytes_and_another_seed_does_not(processed, augmented, tmp_path):
    run(processed, tmp_path / "same")
    for name in ("stored/images.npy", "stored/index.csv", "fresh/ranges.json", "preview.png"):
        assert (tmp_path / "same" / name).read_bytes() == (augmented / name).read_bytes(), name
    other, _ = run(processed, tmp_path / "other", seed=1)
    assert not np.array_equal(other, np.load(augmented / "stored/images.npy"))


def test_what_an_earlier_version_left_beside_is_no_hindrance(processed, augmented, tmp_path):
    (tmp_path / "out/variants").mkdir(parents=True)
    for _ in range(2):  # over nothing, and over an earlier run
        run(processed, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"variants", "stored", "fresh", "preview.png"}
    assert (tmp_path / "out/preview.png").read_bytes() == (augmented / "preview.png").read_bytes()


def test_a_run_that_fails_leaves_what_was_there(processed, tmp_path, monkeypatch):
    run(processed, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    monkeypatch.setattr(augment.galleries, "grid", lambda path, *rest, **more: path.write_bytes(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(processed, tmp_path / "out", seed=5)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
