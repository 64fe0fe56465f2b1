"""The train stage and what it is made of: equal bits, resuming, bad input."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri.core.errors import ArtifactError, InputError, ParamsError, TrainingError
from brainmri.core.index import read_split
from brainmri.core.params import check
from brainmri.learning import training
from brainmri.models import classifier_batches
from brainmri.models.classifier import class_probabilities, load_classifier, load_repeats, looked_at
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
        "calibration.json", "curves.csv", "likeness.npz", "metadata.json", "model.keras", "preprocess.json",
        "versions.json",
    ]  # fmt: skip
    assert (classifier / "preprocess.json").read_bytes() == (processed / "train/preprocess.json").read_bytes()
    assert not (classifier.parent / ".resume").exists() or not list((classifier.parent / ".resume").iterdir())


def test_two_runs_write_the_same_bytes(processed, augmented, classifier, tmp_path):
    assert same(run(processed, augmented, tmp_path), classifier)


def test_curves_are_means_over_all_images_and_the_kept_model_is_that_of_the_best_epoch(processed, augmented, tmp_path):
    folder = run(processed, augmented, tmp_path, batch_size=3, epochs=3, mirror=False)
    curves = pd.read_csv(folder / "curves.csv")
    best = curves.loc[curves["val_loss"].idxmin()]
    loaded, split = load_classifier(folder), read_split(processed / "val")
    probabilities = class_probabilities(loaded, split.images, calibrated=False)
    true = np.array([loaded.classes.index(label) for label in split.index["label"]])
    assert len(true) % 3 != 0  # the last batch is smaller, and counts for less
    assert best["val_accuracy"] == pytest.approx((probabilities.argmax(axis=1) == true).mean())
    assert best["val_loss"] == pytest.approx(-np.log(probabilities[np.arange(len(true)), true]).mean(), rel=1e-4)


def test_what_is_unlike_is_settled_on_validation_images(processed, augmented, classifier, tmp_path):
    folder = run(processed, augmented, tmp_path, unlike_share=0.4)
    assert (folder / "model.keras").read_bytes() == (classifier / "model.keras").read_bytes()
    loaded, split = load_classifier(folder), read_split(processed / "val")
    _, unlike = looked_at(loaded, split.images, split.index)
    said = json.loads((folder / "calibration.json").read_text())
    assert said["validation"]["unlike"] == int(0.4 * (len(unlike) + 1)) - 1 >= 2
    assert np.sum(unlike > said["unlike_above"] * (1 + 1e-6)) == said["validation"]["unlike"]
    strict = json.loads((classifier / "calibration.json").read_text())
    assert strict["validation"]["unlike"] == 0
    assert strict["unlike_above"] == pytest.approx(unlike.max())


def test_few_training_images_of_every_class_tell_what_is_like_them(processed, augmented, classifier, tmp_path):
    folder = run(processed, augmented, tmp_path, unlike_images=8)
    few, all_ = (load_classifier(one).likeness for one in (folder, classifier))
    assert few.centres.shape == all_.centres.shape
    assert few.axes.shape[2] == 1
    assert np.abs(few.centres - all_.centres).max() > 1e-4


def test_a_killed_run_goes_on_to_the_same_bytes(processed, augmented, tmp_path, monkeypatch, capsys):
    whole = run(processed, augmented, tmp_path / "whole", epochs=3)
    keep = training._keep_state

    def die_after_two(model, rows, kept, resume):
        keep(model, rows, kept, resume)
        if len(rows) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_keep_state", die_after_two)
    with pytest.raises(KeyboardInterrupt):
        run(processed, augmented, tmp_path / "killed", epochs=3)
    assert len(list((tmp_path / "killed/.resume").rglob("curves.csv"))) == 1
    assert (tmp_path / "killed/live/train.csv").exists()  # for people who look on
    assert not (tmp_path / "killed/classifier").exists()
    monkeypatch.setattr(training, "_keep_state", keep)
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
    names = [path.name for path in training.code(Path(train.__file__))]
    assert {"train.py", "training.py", "classifier_networks.py", "files.py"} <= set(names)
    assert not {"kmeans.py", "simulated_set.py", "figures.py"} & set(names)


def test_a_checkpoint_of_other_params_is_not_used(tmp_path):
    file = tmp_path / "a"
    file.write_text("data")
    one = training.resume_folder(tmp_path, Path(train.__file__), {"seed": 0}, [file])
    assert one == training.resume_folder(tmp_path, Path(train.__file__), {"seed": 0}, [file])
    assert one != training.resume_folder(tmp_path, Path(train.__file__), {"seed": 1}, [file])
    file.write_text("other data")
    assert one != training.resume_folder(tmp_path, Path(train.__file__), {"seed": 0}, [file])


def test_a_checkpoint_of_other_ranges_is_not_used(processed, augmented, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "forget", lambda resume: None)
    own = shutil.copytree(augmented, tmp_path / "augmented")
    run(processed, own, tmp_path)
    path = own / "fresh/ranges.json"
    path.write_text(path.read_text().replace("20", "10"))
    run(processed, own, tmp_path)
    assert len(list((tmp_path / ".resume").iterdir())) == 2


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(processed, augmented, tmp_path, monkeypatch):
    params = check(tiny_params()["train"], train.Params, "train")
    split = read_split(processed / "train")
    classes = ["glioma", "meningioma", "notumor", "pituitary"]
    batches = train.training_batches(split, augmented, classes, [], params, 0)
    model = train.build(params, (32, 32, 3), 4, 0)
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    with pytest.raises(TrainingError, match=r"the loss has to stay a number, received nan in epoch 1.*learning_rate"):
        training.fit(model, batches, batches, train.plan(params), 0, tmp_path / "resume")


def loaded_batches(processed, augmented, **changes):
    params = check(tiny_params(train=changes)["train"], train.Params, "train")
    split = read_split(processed / "train")
    classes = json.loads((processed / "train/preprocess.json").read_text())["classes"]
    return split, classes, train.training_batches(split, augmented, classes, [], params, params.seed)


def test_stored_batches_are_images_and_variants_in_0_to_1_with_their_labels(processed, augmented):
    split, classes, loaded = loaded_batches(processed, augmented, variants="stored", label_smoothing=0.0)
    loaded.shuffle(3)
    images, targets, weights = loaded[1]
    stack = np.concatenate([split.images, np.load(augmented / "stored/images.npy")])
    rows = loaded.order[32:64]
    np.testing.assert_allclose(images, stack[rows] / 255, rtol=1e-6)
    assert images.dtype == np.float32
    labels = [split.index["label"].iloc[row % len(split.images)] for row in rows]
    assert [classes[at] for at in targets.argmax(1)] == labels
    assert sorted(loaded.order) == list(range(len(stack)))
    np.testing.assert_array_equal(weights, 1)


def test_fresh_batches_vary_each_image_anew_and_the_same_in_every_run(processed, augmented):
    def epoch(number):
        split, _, loaded = loaded_batches(processed, augmented, variants="fresh")
        loaded.shuffle(number)
        in_order = np.empty_like(split.images, np.float32)
        for at in range(len(loaded)):
            in_order[loaded.order[at * 32 : (at + 1) * 32]] = loaded[at][0]
        return in_order, split.images / np.float32(255)

    first, originals = epoch(0)
    np.testing.assert_array_equal(first, epoch(0)[0])
    assert (np.abs(first - epoch(1)[0]).mean(axis=(1, 2, 3)) > 0.01).all()
    assert (np.abs(first - originals).mean(axis=(1, 2, 3)) > 0.01).all()
    closest = np.abs(first[:, None] - originals[None]).mean(axis=(2, 3, 4)).argmin(axis=1)
    assert (closest == np.arange(len(first))).mean() > 5 / len(first)  # still of their own image, five times chance


def test_smoothing_and_balance_by_hand():
    made = classifier_batches.targets(np.array([0, 0, 0, 1]), 2, smoothing=0.2, balance=1.0)
    np.testing.assert_allclose(made.onehot, [[0.9, 0.1]] * 3 + [[0.1, 0.9]], rtol=1e-6)
    np.testing.assert_allclose(made.weights, [2 / 3] * 3 + [2], rtol=1e-6)
    np.testing.assert_allclose(classifier_batches.targets(np.array([0, 0, 0, 1]), 2).weights, 1)


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        made = classifier_batches.targets(np.zeros(50, int), 2)
        loaded = classifier_batches.ImageBatches([np.zeros((50, 2, 2, 1), np.uint8)], np.arange(50), made, 8, seed)
        loaded.shuffle(epoch)
        return loaded.order.tolist()

    assert order(0, 4) == order(0, 4)
    assert order(0, 4) != order(0, 5)
    assert order(0, 4) != order(1, 4)


def test_the_rate_warms_up_and_falls_along_a_cosine():
    plan = training.Plan(10, 0.8, "cosine", 2, 0)
    assert plan.rate(1) == pytest.approx(0.4)
    assert plan.rate(2) == pytest.approx(0.8)
    assert plan.rate(6) == pytest.approx(0.4)  # half way between 2 and 10
    assert 0 < plan.rate(9.99) < 0.001
    constant = training.Plan(10, 0.8, "constant", 0, 0)
    assert {constant.rate(done) for done in (0, 5, 9.9)} == {0.8}


def test_early_stopping_waits_as_long_as_it_is_told():
    plan = training.Plan(10, 0.1, "constant", 0, 2)
    rows = [{"epoch": 1, "val_loss": 1.0}, {"epoch": 2, "val_loss": 0.5}, {"epoch": 3, "val_loss": 0.6}]
    assert not training._is_over(rows, plan)
    assert training._is_over([*rows, {"epoch": 4, "val_loss": 0.55}], plan)
    assert not training._is_over([*rows, {"epoch": 4, "val_loss": 0.4}], plan)


def test_the_kept_weights_are_their_running_average(processed, augmented, tmp_path):
    """One step's average of two weights with a decay of a half is half way between them, after a first step."""
    model = keras_line()
    one = classifier_batches.targets(np.zeros(2, int), 2)
    loaded = classifier_batches.ImageBatches([np.full((2, 1, 1, 1), 255, np.uint8)], np.arange(2), one, 1)
    steps = []
    step = model.train_on_batch

    def watched(*batch, **words):
        result = step(*batch, **words)
        steps.append(model.layers[-1].kernel.numpy())
        return result

    model.train_on_batch = watched
    training.fit(model, loaded, loaded, training.Plan(1, 0.1, "constant", 0, 0), 0, tmp_path / "resume")
    assert len(steps) == 2
    assert np.abs(steps[1] - steps[0]).max() > 0.01
    np.testing.assert_allclose(model.layers[-1].kernel.numpy(), (steps[0] + steps[1]) / 2, rtol=1e-5)


def keras_line():
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((1, 1, 1))
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_repeats_are_other_seeds_and_the_first_is_the_saved_one(processed, augmented, classifier, tmp_path):
    folder = run(processed, augmented, tmp_path, repeats=2)
    assert (folder / "model.keras").read_bytes() == (classifier / "model.keras").read_bytes()
    again = run(processed, augmented, tmp_path / "other", seed=1)
    assert (folder / "repeats/1/model.keras").read_bytes() == (again / "model.keras").read_bytes()
    assert [loaded.mirror for loaded in load_repeats(folder)] == [True, True]


def test_a_network_can_take_metadata(processed, augmented, tmp_path):
    folder = run(processed, augmented, tmp_path, metadata=["snr", "mode", "width_px"])
    loaded, split = load_classifier(folder), read_split(processed / "test")
    given = class_probabilities(loaded, split.images, split.index)
    other = class_probabilities(loaded, split.images, split.index.assign(snr=split.index["snr"].mean() * 3))
    assert given.shape == (len(split.images), 4)
    assert np.abs(given - other).max() > 1e-6
    with pytest.raises(ArtifactError, match=r"trained with the columns \['snr', 'mode', 'width_px'\]"):
        class_probabilities(loaded, split.images)


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        (["plane"], "plane"),
        (["snr", "plane"], "plane"),
        (["voxel_row_mm"], "voxel_row_mm"),
        (["voxel_col_mm", "mode", "plane"], "voxel_col_mm, plane"),
    ],
)
def test_metadata_that_no_training_image_has_is_refused_by_name(processed, augmented, tmp_path, metadata, named):
    with pytest.raises(InputError, match=rf"^train.metadata: .* received none of {named}; leave it out"):
        run(processed, augmented, tmp_path, metadata=metadata)
    assert not (tmp_path / "classifier").exists()


def test_metadata_of_images_that_are_not_learnt_from_does_not_count(processed, augmented, tmp_path):
    """Planes of unlabelled images teach nothing."""
    place = shutil.copytree(processed, tmp_path / "processed")
    index = pd.read_csv(place / "train/index.csv", keep_default_na=False)
    index.loc[0, ["label", "plane"]] = ["", "axial"]
    index.to_csv(place / "train/index.csv", index=False)
    with pytest.raises(InputError, match=r"received none of plane"):
        run(place, augmented, tmp_path, metadata=["snr", "plane"])


def test_calibration_is_of_the_validation_images(classifier, processed):
    loaded, split = load_classifier(classifier), read_split(processed / "val")
    true = np.array([loaded.classes.index(label) for label in split.index["label"]])

    def loss(temperature):
        given = class_probabilities(dataclasses.replace(loaded, temperature=temperature), split.images)
        return -np.log(given[np.arange(len(true)), true]).mean()

    others = [loss(min(10, loaded.temperature * 1.05)), loss(max(0.1, loaded.temperature / 1.05)), loss(1.0)]
    assert loss(loaded.temperature) <= min(others) + 1e-6


def test_filters_and_pools_go_together():
    cnn = {"filters": [4, 4, 4], "pools": [2], "kernel": 3, "stride": 1, "dense": 8}
    with pytest.raises(ParamsError, match=r"should be as many pools as filters, here 3"):
        check(tiny_params(train={"cnn": cnn})["train"], train.Params, "train")


@pytest.mark.parametrize("variants", ["fresh", "stored"])
def test_variants_that_are_not_there_are_refused(processed, tmp_path, variants):
    with pytest.raises(ArtifactError, match=rf"{variants}: should hold what augment wrote, received nothing"):
        run(processed, tmp_path, tmp_path, variants=variants)


def test_variants_that_do_not_fit_are_refused(processed, augmented, tmp_path):
    broken = tmp_path / "augmented"
    shutil.copytree(augmented, broken)
    np.save(broken / "stored/images.npy", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(ArtifactError, match=r"images\.npy: should be of \d+ x 32 x 32 x 3 uint8, received \(2,"):
        run(processed, broken, tmp_path, variants="stored")
