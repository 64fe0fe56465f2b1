"""The stage that trains the U-Net: equal bits, resuming, data without masks, what is chosen."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri.core.errors import ParamsError
from brainmri.core.index import read_split
from brainmri.core.params import check
from brainmri.learning import training
from brainmri.models import unet, unet_networks
from brainmri.models.model_files import require_same_images
from brainmri.models.unet_batches import folds, masked
from brainmri.scoring.training_scores import dice
from brainmri.segmentation.methods import Tools, outline
from stages import train_unet

pytestmark = pytest.mark.slow


def params(**changes):
    return check(tiny_params(train_unet=changes)["train_unet"], train_unet.Params, "train_unet")


def run(processed, place, **changes):
    train_unet.run(params(**changes), processed / "train", processed / "val", place / "unet", place)
    return place / "unet"


def same(one, other):
    names = sorted(path.name for path in one.iterdir())
    return names == sorted(path.name for path in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


@pytest.fixture(scope="module")
def trained(processed, tmp_path_factory):
    return run(processed, tmp_path_factory.mktemp("models"))


def test_the_folder_holds_what_prediction_needs(trained, processed):
    assert sorted(path.name for path in trained.iterdir()) == [
        "choices.csv", "curves.csv", "model.keras", "postprocess.json", "preprocess.json",
        "versions.json",
    ]  # fmt: skip
    assert (trained / "preprocess.json").read_bytes() == (processed / "train/preprocess.json").read_bytes()
    curves = pd.read_csv(trained / "curves.csv")
    assert list(curves) == ["network", "epoch", "loss", "soft_dice", "val_loss", "val_soft_dice"]
    assert not list((trained.parent / ".resume").glob("*"))


def test_two_runs_write_the_same_bytes(trained, processed, tmp_path):
    assert same(run(processed, tmp_path), trained)


def test_a_killed_run_goes_on_to_the_same_bytes(trained, processed, tmp_path, monkeypatch, capsys):
    passed, done = training._pass, []

    def die_in_the_second_epoch(step, batches, name):
        if len(done) == 2:  # a training pass and a validation pass
            raise KeyboardInterrupt
        done.append(name)
        return passed(step, batches, name)

    monkeypatch.setattr(training, "_pass", die_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        run(processed, tmp_path)
    assert not (tmp_path / "unet").exists()
    monkeypatch.setattr(training, "_pass", passed)
    assert same(run(processed, tmp_path), trained)
    assert "resuming after epoch 1" in capsys.readouterr().out


def test_a_network_learns_the_bright_spots(processed, tmp_path):
    folder = run(processed, tmp_path, epochs=25, learning_rate=0.01, batch_size=8)
    assert pd.read_csv(folder / "choices.csv")["dice"].max() > 0.6  # 0.15 where everything is called tumour


def test_the_choice_is_the_first_of_the_best_and_is_what_a_loaded_network_does(trained, processed):
    table = pd.read_csv(trained / "choices.csv")
    choice = json.loads((trained / "postprocess.json").read_text())
    best = table[table["dice"] == table["dice"].max()].iloc[0]
    assert {name: choice[name] for name in table.columns[:4]} == best.iloc[:4].to_dict()
    loaded, split = unet.load_unet(trained), read_split(processed / "val")
    require_same_images(processed / "val", loaded.image_params)
    rows = split.index["mask_row"].to_numpy()
    masks = outline("unet", split.images[rows >= 0], Tools(None, loaded))
    truth = split.masks[rows[rows >= 0]].astype(bool)
    tumour = truth.any(axis=(1, 2))
    assert 0 < tumour.sum() < len(tumour)
    assert dice(truth[tumour], masks[tumour]).mean() == pytest.approx(best["dice"])


def test_one_value_each_leaves_nothing_to_choose(tmp_path):
    fixed = {"threshold": [0.25], "smallest_px": [3], "largest_only": [True], "fill_holes": [False]}
    truth = np.ones((1, 4, 4), bool)
    train_unet.write_cleaning(tmp_path, params(cleaning=fixed, mirror=False), truth, truth.astype(np.float32))
    assert json.loads((tmp_path / "postprocess.json").read_text()) == {
        "threshold": 0.25, "smallest_px": 3, "largest_only": True, "fill_holes": False, "mirror": False,
    }  # fmt: skip
    assert len(pd.read_csv(tmp_path / "choices.csv")) == 1


def test_folds_answer_with_the_mean_of_networks_chosen_where_they_have_not_learnt(
    processed, tmp_path, monkeypatch, capsys
):
    kept = []
    mean = unet_networks.mean
    monkeypatch.setattr(unet_networks, "mean", lambda unets: kept.extend(unets) or mean(unets))
    folder = run(processed, tmp_path, folds=2)
    splits = [read_split(processed / name) for name in ("train", "val")]
    pairs = [pair for split in splits for pair in masked(split)]
    images = np.stack([pair.image() for pair in pairs])
    loaded = unet.load_unet(folder)
    expected = np.mean([unet.model_probabilities(network, images, loaded.mirror) for network in kept], axis=0)
    np.testing.assert_allclose(unet.unet_probabilities(loaded, images), expected, atol=1e-6)
    assert pd.read_csv(folder / "curves.csv")["network"].value_counts().to_dict() == {1: 2, 2: 2}
    out_of_fold = [
        unet.clean(unet.model_probabilities(network, pair.image()[None], loaded.mirror)[0], loaded.cleaning)
        for network, (_, checked) in zip(kept, folds(pairs, 2), strict=True)
        for pair in checked
    ]
    truth = np.stack([pair.mask() for _, checked in folds(pairs, 2) for pair in checked]).astype(bool)
    tumour = truth.any(axis=(1, 2))
    scores = dice(truth, np.stack(out_of_fold))[tumour]
    assert scores.mean() == pytest.approx(pd.read_csv(folder / "choices.csv")["dice"].max())
    assert f"over {tumour.sum()} slices with a tumour" in capsys.readouterr().out


def test_a_pretrained_encoder_and_averaged_weights_are_trained_kept_and_answer_as_chosen(processed, tmp_path):
    chosen = {
        "encoder": "lite0",
        "lite0": {"weights": None, "side": 64},
        "widths": [4, 8, 8, 8],
        "averaging": 0.9,
        "dropout": 0.2,
    }
    folder = run(processed, tmp_path, **chosen)
    loaded, split = unet.load_unet(folder), read_split(processed / "val")
    rows = split.index["mask_row"].to_numpy()
    truth = split.masks[rows[rows >= 0]].astype(bool)
    scores = dice(truth, outline("unet", split.images[rows >= 0], Tools(None, loaded)))[truth.any(axis=(1, 2))]
    assert scores.mean() == pytest.approx(pd.read_csv(folder / "choices.csv")["dice"].max())


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_averaging_is_the_optimisers(averaging):
    optimizer = train_unet.build(params(averaging=averaging), (32, 32, 3)).optimizer
    assert optimizer.use_ema == (averaging > 0)
    assert not averaging or optimizer.ema_momentum == averaging


@pytest.mark.parametrize("name", ["train", "val"])
@pytest.mark.parametrize("how", ["no rows", "empty masks"])
def test_data_without_masks_is_skipped_with_the_reason(processed, tmp_path, capsys, name, how):
    place = tmp_path / "processed"
    shutil.copytree(processed, place)
    if how == "no rows":
        index = pd.read_csv(place / name / "index.csv", keep_default_na=False).assign(mask_row=-1)
        index.to_csv(place / name / "index.csv", index=False)
    else:
        np.save(place / name / "masks.npy", np.zeros_like(np.load(place / name / "masks.npy")))
    folder = run(place, tmp_path)
    which = {"train": "training", "val": "validation"}[name]
    assert [path.name for path in folder.iterdir()] == ["skipped.json"]
    assert json.loads((folder / "skipped.json").read_text()) == {"reason": f"no {which} image has a tumour mask"}
    assert f"train_unet: skipped, no {which} image has a tumour mask" in capsys.readouterr().out
    assert unet.load_unet(folder) is None


def test_a_checkpoint_rests_on_all_code_of_the_stage():
    names = [path.name for path in training.code(Path(train_unet.__file__))]
    assert {"train_unet.py", "training.py", "unet.py", "unet_batches.py", "augmentation.py"} <= set(names)
    assert not {"classifier_networks.py", "kmeans.py", "simulated_set.py", "figures.py"} & set(names)


def test_wrong_params_are_named_together():
    with pytest.raises(ParamsError, match=r"widths should have at least 1 item.*cleaning.threshold.0 should be less"):
        params(widths=[], cleaning={**tiny_params()["train_unet"]["cleaning"], "threshold": [1.5]})
