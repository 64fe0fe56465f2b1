"""The evaluate stage on the generated set."""

import json
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params
from sklearn.metrics import accuracy_score, f1_score, log_loss

from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.index import read_split
from brainmri.core.params import check
from brainmri.models.classifier import class_probabilities, load_classifier, looked_at
from stages import evaluate

pytestmark = pytest.mark.slow
CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]


@pytest.fixture(scope="module")
def params():
    return check(tiny_params()["evaluate"], evaluate.Params, "evaluate")


@pytest.fixture(scope="module")
def evaluation(classifier, processed, params, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "out"
    evaluate.run(params, classifier, processed / "test", processed / "external", out)
    return out


def test_scores_agree_with_scikit_learn_on_the_rows(evaluation):
    table = pd.read_csv(evaluation / "predictions.csv")
    found = json.loads((evaluation / "scores.json").read_text())
    whole = found["whole"]
    probabilities = table[[f"p_{name}" for name in CLASSES]].to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # scikit-learn wants them to add up in float64
    assert whole["images"] == len(table) == 16
    assert whole["accuracy"] == pytest.approx(accuracy_score(table["label"], table["predicted"]))
    assert whole["macro"]["f1"] == pytest.approx(f1_score(table["label"], table["predicted"], average="macro"))
    assert whole["loss"] == pytest.approx(log_loss(table["label"], probabilities, labels=CLASSES), rel=1e-3)
    low, high = (found["ci95"]["whole"]["accuracy"][end] for end in ("low", "high"))
    assert low <= whole["accuracy"] <= high
    for name in CLASSES:
        bounds = found["ci95"]["whole"]["classes"][name]["recall"]
        assert bounds["low"] <= whole["classes"][name]["recall"] <= bounds["high"]


def test_twin_free_images_are_scored_apart(evaluation):
    found = json.loads((evaluation / "scores.json").read_text())
    assert set(found["neighbour_free"]["classes"]) == set(CLASSES)
    assert not any(part["claim"] for part in found["twin_free"]["classes"].values())  # three or four images each
    assert found["twin_free"]["images"] == 15
    assert found["twin_free"]["classes"]["glioma"]["support"] == 3


def test_the_answers_are_calibrated_and_abstained_from_below_the_threshold(evaluation, classifier, processed):
    table = pd.read_csv(evaluation / "predictions.csv")
    found = json.loads((evaluation / "scores.json").read_text())
    loaded, split = load_classifier(classifier), read_split(processed / "test")
    own = class_probabilities(loaded, split.images)
    assert np.allclose(table[[f"p_{name}" for name in CLASSES]], own, atol=1e-7)
    unlike = looked_at(loaded, split.images)[1]
    np.testing.assert_allclose(table["unlike"], unlike, atol=1e-6)
    assert (table["abstained"] == ((own.max(axis=1) < loaded.abstain_below) | (unlike > loaded.unlike_above))).all()
    assert found["calibration"]["temperature"] == loaded.temperature
    assert found["calibration"]["after"]["loss"] == pytest.approx(found["whole"]["loss"], rel=1e-6)
    assert found["calibration"]["after"]["ece"] == pytest.approx(found["whole"]["ece"])
    assert found["abstention"]["coverage"] == pytest.approx((~table["abstained"]).mean())
    assert found["abstention"]["risk"]["at_100"] == pytest.approx(1 - found["whole"]["accuracy"])


def test_patients_are_scored_by_their_mean_probability(evaluation, processed):
    table = pd.read_csv(evaluation / "predictions.csv")
    found = json.loads((evaluation / "scores.json").read_text())["patients"]
    patient = read_split(processed / "test").index["patient"]
    pooled = table.groupby(patient)[[f"p_{name}" for name in CLASSES]].mean()
    labels = table.groupby(patient)["label"].first()
    assert found["patients"] == len(labels) == 8
    assert found["accuracy"] == (np.array(CLASSES)[pooled.to_numpy().argmax(axis=1)] == labels).mean()


def test_reliability_is_written_before_and_after(evaluation):
    bins = pd.read_csv(evaluation / "reliability.csv")
    assert bins.groupby("when")["count"].sum().to_dict() == {"before": 16, "after": 16}
    curve = pd.read_csv(evaluation / "coverage_risk.csv")
    assert curve["coverage"].iloc[-1] == 1


def test_pointing_is_scored_on_images_with_a_tumour(evaluation):
    rows = pd.read_csv(evaluation / "pointing.csv")
    found = json.loads((evaluation / "scores.json").read_text())["pointing"]
    assert len(rows) == found["all"]["images"] == 12
    assert found["twin_free"]["images"] == 11
    assert "notumor" not in set(rows["label"]) | set(rows["looked_for"])
    assert found["all"]["hits"] == rows["hit"].mean()
    assert 0 < found["all"]["chance"] < 0.2


def test_the_first_cases_and_the_galleries_are_drawn(evaluation):
    for name in ("cases.png", "gallery.png", "saliency.png"):
        assert plt.imread(evaluation / name).std() > 0.01, name


def test_test_images_that_are_called_unlike_are_counted_and_not_answered(classifier, processed, params, tmp_path):
    model = tmp_path / "classifier"
    shutil.copytree(classifier, model)
    said = json.loads((model / "calibration.json").read_text()) | {"abstain_below": 0.0, "unlike_above": 1.2}
    (model / "calibration.json").write_text(json.dumps(said))
    evaluate.run(params, model, processed / "test", processed / "external", tmp_path / "out")
    found = json.loads((tmp_path / "out/scores.json").read_text())
    table = pd.read_csv(tmp_path / "out/predictions.csv")
    called = int((table["unlike"] > 1.2).sum())
    assert 0 < called < len(table)
    assert found["unlike"]["called"] == called == table["abstained"].sum()
    assert (found["unlike"]["images"], found["unlike"]["above"]) == (len(table), 1.2)
    assert found["abstention"]["coverage"] == pytest.approx(1 - called / len(table))


def test_without_saliency_no_pointing(classifier, processed, params, tmp_path):
    evaluate.run(
        params.model_copy(update={"saliency": 0}),
        classifier,
        processed / "test",
        processed / "external",
        tmp_path / "out",
    )
    assert "pointing" not in json.loads((tmp_path / "out/scores.json").read_text())
    assert (tmp_path / "out/saliency.png").exists()


def test_further_seeds_are_scored_beside_the_first(evaluation, classifier, processed, params, tmp_path):
    model = tmp_path / "classifier"
    shutil.copytree(classifier, model)
    for name in ("1", "2"):
        (model / "repeats" / name).mkdir(parents=True)
        for file in ("model.keras", "calibration.json", "likeness.npz", "curves.csv"):
            shutil.copyfile(classifier / file, model / "repeats" / name / file)
    evaluate.run(params, model, processed / "test", processed / "external", tmp_path / "out")
    found = json.loads((tmp_path / "out/scores.json").read_text())
    assert found["repeats"]["seeds"] == 3
    assert found["repeats"]["whole"]["mean"]["accuracy"] == pytest.approx(found["whole"]["accuracy"])
    assert found["repeats"]["whole"]["sd"]["macro"]["f1"] == pytest.approx(0)
    del found["repeats"]
    assert found == json.loads((evaluation / "scores.json").read_text())


def test_two_runs_write_the_same_bytes(evaluation, classifier, processed, params, tmp_path):
    evaluate.run(params, classifier, processed / "test", processed / "external", tmp_path / "out")
    for path in evaluation.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_model_made_with_other_image_params_is_refused(classifier, processed, params, tmp_path):
    model = tmp_path / "classifier"
    shutil.copytree(classifier, model)
    content = json.loads((model / "preprocess.json").read_text())
    content["params"]["fit"] = "stretch"
    (model / "preprocess.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="images should be made with the params the model was trained with"):
        evaluate.run(params, model, processed / "test", processed / "external", tmp_path / "out")


def test_a_test_set_without_labels_is_refused(classifier, processed, params, tmp_path):
    test = tmp_path / "test"
    shutil.copytree(processed / "test", test)
    index = pd.read_csv(test / "index.csv")
    index["label"] = np.nan
    index.to_csv(test / "index.csv", index=False)
    with pytest.raises(InputError, match=r"should hold labelled images, received none"):
        evaluate.run(params, classifier, test, processed / "external", tmp_path / "out")


def test_a_broken_model_file_is_refused(classifier, processed, params, tmp_path):
    model = tmp_path / "classifier"
    shutil.copytree(classifier, model)
    (model / "model.keras").write_bytes(b"PK no model")
    with pytest.raises(ArtifactError, match=r"model\.keras: should be a `.keras` archive, received another file"):
        evaluate.run(params, model, processed / "test", processed / "external", tmp_path / "out")


@pytest.fixture(scope="module")
def with_others(classifier, processed_with_others, params, tmp_path_factory):
    out = tmp_path_factory.mktemp("with_others") / "out"
    evaluate.run(params, classifier, processed_with_others / "test", processed_with_others / "external", out)
    return out


def test_an_external_set_with_labels_is_scored_by_its_known_classes(with_others, processed_with_others):
    found = json.loads((with_others / "scores.json").read_text())["external"]
    assert set(found) == {"elsewhere"}  # the other has no labels
    rows = pd.read_csv(with_others / "external.csv")
    assert set(rows["set"]) == {"elsewhere"}
    scores = found["elsewhere"]["scores"]
    assert scores["images"] == len(rows) == 24
    assert scores["accuracy"] == pytest.approx(accuracy_score(rows["label"], rows["predicted"]))
    assert scores["classes"]["glioma"]["recall"] == (rows["predicted"][rows["label"] == "glioma"] == "glioma").mean()
    bounds = found["elsewhere"]["ci95"]["accuracy"]
    assert bounds["low"] <= scores["accuracy"] <= bounds["high"]
    assert scores["units"] == rows["unit"].nunique() == 12  # patients of two images each
    assert found["elsewhere"]["test_patients"] == {"known": 12, "seen_in_training": 0, "images_without": 0}
    counts = json.loads((processed_with_others / "external/counts.json").read_text())
    assert found["elsewhere"]["counts"] == counts["elsewhere"]


def test_an_external_set_changes_no_other_file(evaluation, with_others):
    for path in evaluation.iterdir():
        if path.name != "scores.json":
            assert (with_others / path.name).read_bytes() == path.read_bytes(), path.name
    found = json.loads((with_others / "scores.json").read_text())
    del found["external"]
    assert found == json.loads((evaluation / "scores.json").read_text())
    assert not (evaluation / "external.csv").exists()


def test_an_external_set_of_which_nothing_is_left_has_its_counts_alone(
    classifier, processed_with_others, params, capsys
):
    loaded = load_classifier(classifier)
    tables = evaluate.predict_external(loaded, processed_with_others / "external")
    counts = json.loads((processed_with_others / "external/counts.json").read_text())
    found = evaluate.score_external({"elsewhere": tables["elsewhere"].iloc[:0]}, counts, loaded, params)
    assert set(found["elsewhere"]) == {"counts", "test_patients"}
    assert "external set elsewhere: nothing to score is left of 29 images" in capsys.readouterr().out


def test_pieces_of_a_split_are_answered_as_the_whole_is(classifier, processed, monkeypatch):
    loaded, split = load_classifier(classifier), read_split(processed / "train")
    rows = np.arange(0, len(split.index), 2)
    monkeypatch.setattr(evaluate, "AT_ONCE", 64)
    whole = class_probabilities(loaded, split.images[rows], split.index.iloc[rows], calibrated=False)
    assert [len(part) for part in evaluate.pieces(np.arange(130))] == [64, 64, 2]
    np.testing.assert_array_equal(evaluate.look(loaded, split, rows)[0], whole)
