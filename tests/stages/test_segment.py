"""The segment stage on the generated set."""

import dataclasses
import json
import shutil

import fake_dask
import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri.core.errors import ParamsError
from brainmri.core.files import read_json
from brainmri.core.index import read_split
from brainmri.core.params import check
from brainmri.models import unet
from brainmri.models.classifier import class_probabilities, load_classifier
from brainmri.models.saliency import classifier_evidence
from brainmri.segmentation import kmeans, kmeans_brain, methods, outlining
from stages import segment

pytestmark = pytest.mark.slow
METHODS = ("kmeans", "kmeans_brain", "unet")


@pytest.fixture(scope="module")
def params():
    return check(tiny_params()["segment"], segment.Params, "segment")


@pytest.fixture(scope="module")
def skipped(tmp_path_factory):
    """What train_unet leaves where there are no masks."""
    folder = tmp_path_factory.mktemp("models") / "unet"
    folder.mkdir()
    (folder / "skipped.json").write_text('{"reason": "no masked training images"}')
    return folder


@pytest.fixture(scope="module")
def segmentation(raw, processed, params, trained_unet, classifier, tmp_path_factory):
    out = tmp_path_factory.mktemp("segmentation") / "out"
    segment.run(params, raw, processed / "test", processed / "external", trained_unet, classifier, out)
    return out


@pytest.fixture
def run(raw, processed, skipped, classifier, params, tmp_path):
    """Run the stage with changed params on a test folder; return the folder that it wrote."""

    def run(test, **changes):
        changed = params.model_copy(update={"methods": ["kmeans"], "gate": False} | changes)
        segment.run(changed, raw, test, processed / "external", skipped, classifier, tmp_path / "out")
        return tmp_path / "out"

    return run


@pytest.fixture
def test_copy(processed, tmp_path):
    shutil.copytree(processed / "test", tmp_path / "test")
    return tmp_path / "test"


def test_masks_are_those_of_the_methods(segmentation, processed, params, trained_unet):
    split = read_split(processed / "test")
    pictures = [np.ascontiguousarray(image[..., 0]) for image in split.images]
    expected = {
        "kmeans": [kmeans.segment(each, **params.kmeans.model_dump()) for each in pictures],
        "kmeans_brain": [kmeans_brain.segment(each, params.kmeans_brain) for each in pictures],
        "unet": methods.outline("unet", split.images, methods.Tools(params, unet.load_unet(trained_unet))),
    }
    for method in METHODS:
        np.testing.assert_array_equal(np.load(segmentation / f"masks-{method}.npy").astype(bool), expected[method])
    assert list(dict.fromkeys(pd.read_csv(segmentation / "rows.csv")["method"])) == list(METHODS)


def test_a_cluster_writes_the_same_bytes(
    segmentation, raw, processed, params, trained_unet, classifier, tmp_path, monkeypatch
):
    fake_dask.put_in_place(monkeypatch)
    monkeypatch.setattr(outlining, "AT_ONCE", 8)
    segment.run(params, raw, processed / "test", processed / "external", trained_unet, classifier, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        path.name: path.read_bytes() for path in segmentation.iterdir()
    }


def test_a_method_is_run_by_its_entry_in_the_list_alone(
    raw, processed, params, trained_unet, classifier, tmp_path, monkeypatch
):
    monkeypatch.setitem(methods.METHODS, "fourth", dataclasses.replace(methods.METHODS["unet"], title="A fourth"))
    chosen = check(params.model_dump() | {"methods": ["fourth", "unet"]}, segment.Params, "segment")
    segment.run(chosen, raw, processed / "test", processed / "external", trained_unet, classifier, tmp_path / "out")
    fourth, network = (np.load(tmp_path / f"out/masks-{name}.npy") for name in chosen.methods)
    np.testing.assert_array_equal(fourth, network)
    assert read_json(tmp_path / "out/scores.json", dict)["fourth"]["title"] == "A fourth"


def test_the_guide_is_the_classifiers_evidence_for_a_tumour(processed, run, classifier, params):
    split, loaded = read_split(processed / "test"), load_classifier(classifier)
    tumours = [at for at, name in enumerate(loaded.classes) if name != "notumor"]
    wanted = class_probabilities(loaded, split.images)[:, tumours].argmax(axis=1)
    maps = classifier_evidence(loaded, split.images, split.index, np.array(tumours)[wanted])
    weights = params.kmeans_brain.weights.model_copy(update={"evidence": 20.0})
    strong = params.kmeans_brain.model_copy(update={"weights": weights})
    out = run(processed / "test", methods=["kmeans_brain"], guide=True, kmeans_brain=strong)
    found = np.load(out / "masks-kmeans_brain.npy").astype(bool)
    pictures = [np.ascontiguousarray(image[..., 0]) for image in split.images]
    guided = [kmeans_brain.segment(each, strong, guide) for each, guide in zip(pictures, maps, strict=True)]
    np.testing.assert_array_equal(found, guided)
    assert (found != [kmeans_brain.segment(each, strong) for each in pictures]).any()


def test_rows_and_summary_say_the_same(segmentation):
    table = pd.read_csv(segmentation / "rows.csv")
    scores = json.loads((segmentation / "scores.json").read_text())
    assert set(scores) == set(METHODS)
    for method, found in scores.items():
        rows = table[table["method"] == method]
        tumour = rows[rows["truth_px"] > 0]
        assert found["images"] == 16
        assert found["images_with_tumour_mask"] == len(tumour) == 12
        assert found["all"]["dice"]["mean"] == pytest.approx(tumour["dice"].mean())
        assert found["native"]["all"]["hd95"]["mean"] == pytest.approx(tumour["native_hd95"].mean())
        assert found["glioma"]["dice"]["mean"] == pytest.approx(tumour["dice"][tumour["label"] == "glioma"].mean())
        clear = rows[rows["label"] == "notumor"]
        assert found["false_positive_area_px"]["mean"] == pytest.approx(clear["area_px"].mean())
        interval = found["all"]["dice"]["mean_ci95"]
        assert interval["low"] <= found["all"]["dice"]["mean"] <= interval["high"]
    assert table["area_mm2"].isna().all()  # the files tell no voxel size


def test_dice_of_a_row_by_hand(segmentation, processed):
    split = read_split(processed / "test")
    rows = pd.read_csv(segmentation / "rows.csv")
    at = int(rows.index[rows["truth_px"] > 0][0])
    truth = split.masks[split.index.at[at, "mask_row"]].astype(bool)
    mask = np.load(segmentation / "masks-kmeans.npy")[at].astype(bool)
    assert rows.at[at, "dice"] == pytest.approx(2 * (truth & mask).sum() / (truth.sum() + mask.sum()))


def test_gate_empties_what_the_classifier_calls_clear(segmentation, processed, classifier):
    loaded = load_classifier(classifier)
    split = read_split(processed / "test")
    likeliest = class_probabilities(loaded, split.images).argmax(axis=1)
    clear = likeliest == loaded.classes.index("notumor")
    rows = pd.read_csv(segmentation / "rows.csv").query("method == 'kmeans'")
    np.testing.assert_array_equal(rows["called_clear"], clear)
    found = json.loads((segmentation / "scores.json").read_text())["kmeans"]
    tumour = (rows["truth_px"] > 0).to_numpy()
    assert found["gated"]["emptied"] == clear.sum()
    assert found["gated"]["all"]["dice"]["mean"] == pytest.approx(np.where(clear, 0, rows["dice"])[tumour].mean())


def test_gate_needs_the_class_of_images_without_tumour(processed, classifier, monkeypatch, run, capsys):
    loaded = load_classifier(classifier)
    other = dataclasses.replace(loaded, classes=["a", "b", "c", "d"])
    monkeypatch.setattr(segment, "load_classifier", lambda folder: other)
    monkeypatch.setattr(segment, "require_same_images", lambda *arguments: None)
    scores = read_json(run(processed / "test", gate=True) / "scores.json", dict)
    assert "gated" not in scores["kmeans"]
    assert "no gate, because the classifier knows no class notumor" in capsys.readouterr().out


def test_unet_that_was_not_trained_is_left_out(processed, run, capsys):
    out = run(processed / "test", methods=["unet", "kmeans"])
    scores = read_json(out / "scores.json", dict)
    assert scores["unet"] == {"title": "U-Net", "skipped": "no masked training images"}
    assert scores["kmeans"]["images"] == 16
    assert not (out / "masks-unet.npy").exists()
    assert "method unet left out: no masked training images" in capsys.readouterr().out


def test_only_a_unet_that_was_not_trained(processed, run):
    out = run(processed / "test", methods=["unet"])
    rows = pd.read_csv(out / "rows.csv")
    assert rows.empty
    assert {"method", "dice", "truth_px"} <= set(rows.columns)
    assert read_json(out / "scores.json", dict) == {"unet": {"title": "U-Net", "skipped": "no masked training images"}}


def test_areas_are_in_mm2_where_the_voxel_size_is_known(test_copy, run):
    index = pd.read_csv(test_copy / "index.csv").assign(voxel_row_mm=2.0, voxel_col_mm=0.5)
    index.to_csv(test_copy / "index.csv", index=False)
    rows = pd.read_csv(run(test_copy) / "rows.csv")
    np.testing.assert_allclose(rows["area_mm2"], rows["area_px"])
    assert rows["hd95_mm"].notna().sum() == rows["hd95"].notna().sum()


def test_without_masks_there_are_overlays_and_no_scores(test_copy, run):
    np.save(test_copy / "masks.npy", np.zeros((0, 32, 32), np.uint8))
    pd.read_csv(test_copy / "index.csv").assign(mask_row=-1).to_csv(test_copy / "index.csv", index=False)
    out = run(test_copy)
    found = read_json(out / "scores.json", dict)["kmeans"]
    assert found["images_with_tumour_mask"] == 0
    assert "all" not in found
    assert (out / "overlays-kmeans.png").stat().st_size > 10_000


def test_two_runs_write_the_same_bytes(segmentation, raw, processed, params, trained_unet, classifier, tmp_path):
    segment.run(params, raw, processed / "test", processed / "external", trained_unet, classifier, tmp_path / "out")
    for path in segmentation.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("methods", ["kmeans", "kmeans"], "methods should be different from each other"),
        ("size_bounds_px", [300, 100], "size_bounds_px should be rising"),
    ],
)
def test_params_out_of_range(key, value, match):
    with pytest.raises(ParamsError, match=match):
        check({**tiny_params()["segment"], key: value}, segment.Params, "segment")


@pytest.fixture(scope="module")
def with_others(raw_with_others, processed_with_others, params, skipped, classifier, tmp_path_factory):
    out = tmp_path_factory.mktemp("with_others") / "out"
    folders = (processed_with_others / "test", processed_with_others / "external")
    segment.run(params, raw_with_others, *folders, skipped, classifier, out)
    return out


def test_external_sets_with_masks_are_scored_as_the_test_set_is(with_others, processed_with_others):
    found = read_json(with_others / "scores.json", dict)["external"]
    assert set(found) == {"elsewhere", "slices"}
    assert found["slices"]["unet"]["skipped"] == "no masked training images"
    index = read_split(processed_with_others / "external").index
    for name, images in (("elsewhere", 25), ("slices", 4)):
        folder = with_others / f"external-{name}"
        rows = pd.read_csv(folder / "rows.csv")
        own = rows[rows["method"] == "kmeans"]
        assert own["image_id"].tolist() == index["image_id"][index["set"] == f"external-{name}"].tolist()
        assert len(np.load(folder / "masks-kmeans.npy")) == images == found[name]["kmeans"]["images"]
        tumour = own[own["truth_px"] > 0]
        assert found[name]["kmeans"]["all"]["dice"]["mean"] == pytest.approx(tumour["dice"].mean())
        assert (own["native_dice"].notna() == own["dice"].notna()).all()
        assert (folder / "overlays-kmeans.png").exists()
    assert "glioma" in found["elsewhere"]["kmeans"]
    assert "glioma" not in found["slices"]["kmeans"]


def test_external_masks_are_those_of_the_methods(with_others, processed_with_others, params):
    split = read_split(processed_with_others / "external")
    rows = np.flatnonzero(split.index["set"] == "external-slices")
    expected = [
        kmeans.segment(np.ascontiguousarray(split.images[at, ..., 0]), **params.kmeans.model_dump()) for at in rows
    ]
    found = np.load(with_others / "external-slices/masks-kmeans.npy").astype(bool)
    np.testing.assert_array_equal(found, expected)
