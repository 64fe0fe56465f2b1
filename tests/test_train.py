"""The train stage and what it is made of: equal bits, resuming, bad input."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri import training
from brainmri.errors import ArtifactError, InputError, ParamsError, TrainingError
from brainmri.index import read_split
from brainmri.params import check
from brainmri.predict import class_probabilities, load_classifier
from stages import train

pytestmark = pytest.mark.slow


def run(processed, augmented, place, **changes):
    params = check(tiny_params(train=changes)["train"], train.Params, "train")
    train.run(params, processed / "train", processed / "val", augmented, place / "classifier", place)
    return place / "classifier"


def same(one, other):
    names = sorted(path.name for path in one.iterdir())
    return names == sorted(path.name for path in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def test_a_model_folder_holds_what_prediction_needs(classifier, processed):
    assert sorted(path.name for path in classifier.iterdir()) == [
        "curves.csv", "model.keras", "preprocess.json", "versions.json",
    ]  # fmt: skip
    assert (classifier / "preprocess.json").read_bytes() == (processed / "train/preprocess.json").read_bytes()
    assert not (classifier.parent / ".resume").exists() or not list((classifier.parent / ".resume").iterdir())


def test_two_runs_write_the_same_bytes(processed, augmented, classifier, tmp_path):
    assert same(run(processed, augmented, tmp_path), classifier)


def test_curves_are_means_over_all_images_and_the_kept_model_is_that_of_the_best_epoch(processed, augmented, tmp_path):
    folder = run(processed, augmented, tmp_path, batch_size=3, epochs=3)
    curves = pd.read_csv(folder / "curves.csv")
    best = curves.loc[curves["val_loss"].idxmin()]
    loaded, split = load_classifier(folder), read_split(processed / "val")
    probabilities = class_probabilities(loaded, split.images)
    true = np.array([loaded.classes.index(label) for label in split.index["label"]])
    assert len(true) % 3 != 0  # the last batch is smaller, and counts for less
    assert best["val_accuracy"] == pytest.approx((probabilities.argmax(axis=1) == true).mean())
    assert best["val_loss"] == pytest.approx(-np.log(probabilities[np.arange(len(true)), true]).mean(), rel=1e-4)


def test_a_killed_run_goes_on_to_the_same_bytes(processed, augmented, tmp_path, monkeypatch, capsys):
    whole = run(processed, augmented, tmp_path / "whole", epochs=3)
    keep = training._keep

    def die_after_two(model, rows, resume):
        keep(model, rows, resume)
        if len(rows) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_keep", die_after_two)
    with pytest.raises(KeyboardInterrupt):
        run(processed, augmented, tmp_path / "killed", epochs=3)
    assert len(list((tmp_path / "killed/.resume").rglob("curves.csv"))) == 2  # the checkpoint's, and the one to look at
    assert not (tmp_path / "killed/classifier").exists()
    monkeypatch.setattr(training, "_keep", keep)
    assert same(run(processed, augmented, tmp_path / "killed", epochs=3), whole)
    assert "resuming after epoch 2" in capsys.readouterr().out


def test_a_run_killed_in_its_first_checkpoint_starts_anew(processed, augmented, classifier, tmp_path, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    copy = training.shutil.copy
    monkeypatch.setattr(training.shutil, "copy", die)
    with pytest.raises(KeyboardInterrupt):
        run(processed, augmented, tmp_path)
    monkeypatch.setattr(training.shutil, "copy", copy)
    assert same(run(processed, augmented, tmp_path), classifier)


def test_a_checkpoint_rests_on_all_code_of_the_stage():
    names = [path.name for path in train.code()]
    assert {"train.py", "training.py", "networks.py", "files.py"} <= set(names)
    assert not {"kmeans.py", "phantom.py", "figures.py"} & set(names)


def test_a_checkpoint_of_other_params_is_not_used(tmp_path):
    file = tmp_path / "a"
    file.write_text("data")
    one = training.resume_folder(tmp_path, {"seed": 0}, [file])
    assert one == training.resume_folder(tmp_path, {"seed": 0}, [file])
    assert one != training.resume_folder(tmp_path, {"seed": 1}, [file])
    file.write_text("other data")
    assert one != training.resume_folder(tmp_path, {"seed": 0}, [file])


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(processed, augmented, tmp_path, monkeypatch):
    params = check(tiny_params()["train"], train.Params, "train")
    split = read_split(processed / "train")
    batches = train.training_batches(split, augmented, ["glioma", "meningioma", "notumor", "pituitary"], params)
    model = train.build(params, (32, 32, 3), 4)
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    with pytest.raises(TrainingError, match=r"the loss has to stay a number, received nan in epoch 1.*learning_rate"):
        training.fit(model, batches, batches, 1, 0, tmp_path / "resume")


def test_batches_are_the_images_in_0_to_1_with_their_labels(processed, augmented):
    params = check(tiny_params()["train"], train.Params, "train")
    split = read_split(processed / "train")
    classes = json.loads((processed / "train/preprocess.json").read_text())["classes"]
    batches = train.training_batches(split, augmented, classes, params)
    variants = np.load(augmented / "images.npy")
    batches.shuffle(3)
    images, targets = batches[1]
    stack = np.concatenate([split.images, variants])
    rows = batches.order[32:64]
    np.testing.assert_allclose(images, stack[rows] / 255, rtol=1e-6)
    assert images.dtype == np.float32
    assert [classes[at] for at in targets.argmax(1)][:1] == [split.index["label"].iloc[rows[0] % len(split.images)]]
    assert sorted(batches.order) == list(range(len(stack)))


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        batches = training.Batches([np.zeros((50, 2, 2, 1), np.uint8)], np.arange(50), np.zeros(50, int), 2, 8, seed)
        batches.shuffle(epoch)
        return batches.order.tolist()

    assert order(0, 4) == order(0, 4)
    assert order(0, 4) != order(0, 5)
    assert order(0, 4) != order(1, 4)


def test_a_network_too_deep_for_the_image_is_refused(processed, augmented, tmp_path):
    with pytest.raises(InputError, match=r"should leave at least a pixel of an image of \(32, 32\) px"):
        run(processed, augmented, tmp_path, filters=[4] * 5, pools=[2] * 5)


def test_filters_and_pools_go_together():
    with pytest.raises(ParamsError, match=r"should be as many pools as filters, here 3"):
        check(tiny_params(train={"filters": [4, 4, 4]})["train"], train.Params, "train")


def test_variants_that_do_not_fit_are_refused(processed, augmented, tmp_path):
    broken = tmp_path / "augmented"
    shutil.copytree(augmented, broken)
    np.save(broken / "images.npy", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(ArtifactError, match=r"variants should fit their table.*received \d+ rows and an array of \(2,"):
        run(processed, broken, tmp_path)
