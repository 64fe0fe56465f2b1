"""One scan's answer is what the stages would say of it, on the file's own pixels and in the units the file states."""

import dataclasses
import json
import threading

import cv2
import numpy as np
import pytest
from conftest import PARAMS, SIDE, draw_scan
from scan_files import PERSON, dicom_bytes, dicom_series, nifti_bytes

from brainmri.core.errors import InputError, ParamsError
from brainmri.core.index import read_split
from brainmri.models.classifier import Classifier, looked_at
from brainmri.prediction import answer
from brainmri.prediction.trained_models import load_models
from brainmri.preprocessing.images import from_square
from brainmri.segmentation.methods import outline

pytestmark = pytest.mark.slow
METHODS = ("unet", "kmeans_brain", "kmeans")
AFFINE = np.diag([-2.0, -3, 5, 1])
LOUD = {"abstain_below": 0.0, "unlike_above": np.inf}  # a classifier that never abstains


@pytest.fixture(scope="module")
def models(classifier, trained_unet):
    return load_models(classifier, trained_unet, PARAMS)


@pytest.fixture(scope="module")
def stack():
    """Seven slices (I, J, K) of int16; a spot of constant place in the middle five."""
    rng = np.random.default_rng(3)
    slices = [draw_scan(rng, "glioma" if 0 < at < 6 else "notumor")[0] for at in range(7)]
    return np.stack(slices, axis=-1).transpose(1, 0, 2).astype(np.int16) * 8


def png(label="glioma", seed=1):
    return bytes(cv2.imencode(".png", draw_scan(np.random.default_rng(seed), label)[0])[1])


def test_an_image_is_answered_as_the_stages_answer(models, processed, raw, set_manifest):
    split = read_split(processed / "test")
    from brainmri.core.manifest import read_manifest

    paths = read_manifest(raw).set_index("image_id")["path"]
    expected, unlike = looked_at(models.classifier, split.images)
    outlined = outline("unet", split.images, models.tools)
    for at, image_id in enumerate(split.index["image_id"][:6]):
        found = answer.answer(set_manifest.parent / paths[image_id], models, gate=False)
        np.testing.assert_array_equal(found.inputs[0], split.images[at])
        np.testing.assert_allclose(list(found.probabilities.values()), expected[at], atol=1e-6)
        assert found.label == models.classifier.classes[expected[at].argmax()]
        assert found.abstain == (expected[at].max() < models.classifier.abstain_below or found.is_unlike)
        assert found.unlike == pytest.approx(unlike[at], rel=1e-4)
        np.testing.assert_array_equal(found.mask[0], from_square(outlined[at], (SIDE, SIDE), "pad"))
        assert found.table["mode"][0] == split.index["mode"][at]
        for name in ("snr", "height_px", "entropy_bits"):
            assert found.table[name][0] == pytest.approx(split.index[name][at], rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_gate_empties_the_mask_of_what_is_called_clear(models, method):
    loud = Classifier(**vars(models.classifier) | {"classes": ["notumor", "a", "b", "c"], **LOUD})
    for name, classes in (("clear", loud.classes), ("other", ["a", "b", "c", "d"])):
        own = answer.Models(**vars(models) | {"classifier": Classifier(**vars(loud) | {"classes": classes})})
        given = ("x.png", png())
        found = answer.answer(given, own, method)
        open_ = answer.answer(given, own, method, gate=False)
        assert not open_.gated
        assert found.gated == (found.label == "notumor"), name
        np.testing.assert_array_equal(found.mask, np.zeros_like(open_.mask) if found.gated else open_.mask)


@pytest.mark.parametrize("method", METHODS)
def test_a_classifier_that_abstains_hides_no_outline(models, method):
    timid = Classifier(**vars(models.classifier) | {"classes": ["notumor"] * 4, "abstain_below": 1.1})
    own = answer.Models(**vars(models) | {"classifier": timid})
    found, open_ = (answer.answer(("x.png", png()), own, method, gate) for gate in (True, False))
    assert (found.label, found.abstain, found.gated) == ("notumor", True, False)
    np.testing.assert_array_equal(found.mask, open_.mask)
    said = answer.as_dict(found)
    assert said["mask"]["unsure"] == found.mask.any()
    assert [remark[:22] for remark in said["remarks"]] == ["The outline is unsure:"] * int(found.mask.any())


@pytest.mark.parametrize("method", METHODS)
def test_a_scan_that_is_unlike_the_training_images_is_abstained_from_and_hides_no_outline(models, method):
    strange = {"classes": ["notumor"] * 4, **LOUD, "unlike_above": 0.0}
    own = answer.Models(**vars(models) | {"classifier": Classifier(**vars(models.classifier) | strange)})
    found, open_ = (answer.answer(("x.png", png()), own, method, gate) for gate in (True, False))
    assert (found.label, found.abstain, found.is_unlike, found.gated) == ("notumor", True, True, False)
    np.testing.assert_array_equal(found.mask, open_.mask)
    said = answer.as_dict(found)
    assert said["unlike"] == pytest.approx(found.unlike, abs=1e-4)
    assert said["unlike_above"] == 0
    assert said["remarks"][0].startswith(
        f"This picture is unlike the images that the classifier learnt from ({found.unlike:.2f};"
    )
    assert said["mask"]["unsure"] == found.mask.any()


def test_of_a_volume_the_slices_that_speak_for_it_say_whether_it_is_unlike(models, stack, monkeypatch):
    """Slices 2 and 3 show the tumour, and of 5 mm two are within its 10 mm."""
    shares = np.array([[0.9, 0.1]] * 2 + [[0.1, 0.9]] * 2 + [[0.9, 0.1]] * 3, np.float32)
    monkeypatch.setattr(answer, "_classified", lambda *_: (shares, np.array([9.0, 9, 1, 2, 9, 9, 9])))
    for above, unlike in ((1.6, False), (1.4, True)):
        changed = {"classes": ["notumor", "glioma"], **LOUD, "unlike_above": above}
        own = answer.Models(**vars(models) | {"classifier": Classifier(**vars(models.classifier) | changed)})
        found = answer.answer(("x.nii", nifti_bytes(stack, AFFINE)), own)
        assert (found.label, found.unlike, found.is_unlike, found.abstain) == ("glioma", 1.5, unlike, unlike)


def test_models_of_before_answer_and_say_that_they_cannot_tell(models):
    old = dataclasses.replace(models.classifier, likeness=None, unlike_above=float("nan"))
    found = answer.answer(("x.png", png()), dataclasses.replace(models, classifier=old))
    said = answer.as_dict(found)
    assert (said["unlike"], said["unlike_above"], found.is_unlike) == (None, None, False)
    assert said["remarks"][0] == answer.UNMEASURED


def test_of_a_volume_the_slices_that_the_classifier_doubts_hide_nothing(models, stack, monkeypatch):
    """Slices 0 to 2 are surely called free of a tumour, 3 and 4 with doubts, 5 and 6 surely not."""
    shares = np.array([[0.9, 0.1]] * 3 + [[0.6, 0.4]] * 2 + [[0.1, 0.9]] * 2, np.float32)
    monkeypatch.setattr(answer, "_classified", lambda *_: (shares, np.ones(7)))
    two = Classifier(**vars(models.classifier) | {"classes": ["notumor", "glioma"], **LOUD, "abstain_below": 0.7})
    own = answer.Models(**vars(models) | {"classifier": two})

    def everywhere(images, tools, evidence):
        found = np.zeros(images.shape[:3], np.float32)
        for at, (row, slices) in enumerate({8: slice(0, 3), 14: slice(3, 5), 20: slice(5, 7)}.items()):
            found[slices, row : row + 4, 8 + 6 * at : 12 + 6 * at] = 1
        return found

    monkeypatch.setitem(answer.METHODS, "unet", dataclasses.replace(answer.METHODS["unet"], shares=everywhere))
    given = ("x.nii", nifti_bytes(stack, np.diag([-1.0, -1, 20, 1])))  # so far apart that none hears its neighbours
    found = answer.answer(given, own)
    assert (found.label, found.abstain) == ("glioma", False)
    assert found.mask.any(axis=(1, 2)).tolist() == [False] * 3 + [True] * 4
    assert found.unsure.any(axis=(1, 2)).tolist() == [False] * 3 + [True] * 2 + [False] * 2
    assert answer.as_dict(found)["mask"]["unsure"]
    found = answer.answer(given, own, gate=False)
    assert found.mask.any(axis=(1, 2)).all()


def test_without_a_u_net_nothing_is_outlined_and_that_is_said(models):
    without = dataclasses.replace(models, tools=dataclasses.replace(models.tools, unet=None))
    found = answer.as_dict(answer.answer(("x.png", png()), without))
    assert found["mask"] is None
    assert found["remarks"] == [
        "These models have no U-Net, so nothing is outlined; kmeans_brain and kmeans need none."
    ]
    assert answer.as_dict(answer.answer(("x.png", png()), without, "none"))["remarks"] == []
    assert answer.answer(("x.png", png()), models).method == "unet"


def test_none_gives_no_mask(models):
    found = answer.answer(("x.png", png()), models, "none")
    assert found.mask is None
    assert answer.as_dict(found)["mask"] is None


def test_millimetres_only_where_the_file_states_them(models):
    pixels = draw_scan(np.random.default_rng(1), "glioma")[0].astype(np.uint16) * 8
    stated = answer.answer(("x", dicom_bytes(pixels)), models, "kmeans", gate=False)
    silent = answer.answer(("x", dicom_bytes(pixels, PixelSpacing=None)), models, "kmeans", gate=False)
    picture = answer.answer(("x.png", png()), models, "kmeans", gate=False)
    assert stated.mask.sum() == silent.mask.sum() > 50
    assert stated.area_mm2 == pytest.approx(stated.mask.sum() * 0.5 * 0.75)
    for found in (silent, picture):
        assert found.area_mm2 is None
        assert answer.as_dict(found)["mask"]["area_mm2"] is None
        assert answer.as_dict(found)["mask"]["pixels"] == found.mask.sum()


@pytest.mark.parametrize("method", METHODS)
def test_a_volume_is_the_same_as_nifti_and_as_dicom(models, stack, tmp_path, method):
    (tmp_path / "series").mkdir()
    for at, data in enumerate(dicom_series(stack, AFFINE)):
        (tmp_path / f"series/{at}").write_bytes(data)
    one = answer.answer(("x.nii", nifti_bytes(stack, AFFINE)), models, method, gate=False)
    other = answer.answer(tmp_path / "series", models, method, gate=False)
    assert one.scan.kind == other.scan.kind == "volume"
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(one.slice_probabilities, other.slice_probabilities)
    assert one.probabilities == other.probabilities
    assert sum(one.probabilities.values()) == pytest.approx(1)
    assert one.measures.volume_ml == pytest.approx(one.mask.sum() * 30 / 1000)
    shown = answer.as_dict(one)
    assert shown["affine"] == one.scan.volume.affine.tolist()
    assert len(shown["slice_probabilities"]) == 7
    assert shown["scan"]["plane"] == "axial"
    assert (shown["scan"]["voxel_row_mm"], shown["scan"]["slice_mm"]) == (3, 5)


def test_a_slice_that_is_missed_between_others_is_filled_and_a_lone_one_dropped(models, monkeypatch):
    stack = np.stack([draw_scan(np.random.default_rng(3), "glioma")[0]] * 9, axis=-1).transpose(1, 0, 2)
    stack = stack.astype(np.int16) * 8

    def shares(images, tools, evidence):
        found = np.zeros(images.shape[:3], np.float32)
        found[[0, 1, 3, 4], 8:16, 8:16] = 1
        found[2, 8:16, 8:16] = 0.4
        found[7, 20:28, 20:28] = 0.9
        return found

    method = dataclasses.replace(answer.METHODS["unet"], shares=shares)
    monkeypatch.setitem(answer.METHODS, "unet", method)
    for slice_mm, expected in ((1, "#####...."), (20, "##.##....")):
        given = ("x.nii", nifti_bytes(stack, np.diag([-1.0, -1, slice_mm, 1])))
        mask = answer.answer(given, models, gate=False).mask
        assert "".join(".#"[filled] for filled in mask.any(axis=(1, 2)).astype(int)) == expected


def test_what_is_said_is_json_without_the_person(models, stack):
    block = np.pad(np.full((5, 5, 3), 900, np.int16), ((2, 2), (2, 2), (0, 0)))
    empty = answer.answer(("x.nii", nifti_bytes(block, AFFINE)), models, gate=False)
    person = answer.answer(("x", dicom_bytes(stack[:, :, 3], **PERSON)), models)
    for found in (empty, person, answer.answer(("y.png", png()), models)):
        text = json.dumps(answer.as_dict(found), allow_nan=False)
        assert '"note": "Not for clinical use"' in text
        assert "Jane" not in text
        assert "4711" not in text
        assert list(found.seconds) == ["read", "prepare", "classify", *(["outline"] if found.mask is not None else [])]


def test_the_evidence_lies_on_the_files_own_pixels(models, classifier):
    found = answer.answer(("x.png", png()), models, "none")
    seen = answer.evidence(found, models)
    assert seen.shape == (SIDE, SIDE)
    assert 0 <= seen.min() < seen.max() <= 1
    assert np.abs(seen - answer.evidence(found, models, "pituitary")).max() > 0
    with pytest.raises(ParamsError, match="evidence: should be asked of a class in glioma"):
        answer.evidence(found, models, "cyst")
    with pytest.raises(ParamsError, match="a slice from 0 to 0, received 'glioma' and 1"):
        answer.evidence(found, models, "glioma", 1)


def test_threads_share_the_models_and_not_their_work(models, stack):
    given = [(f"{seed}.png", png(label, seed)) for seed, label in enumerate(["glioma", "notumor", "pituitary"] * 2)]
    given.append(("x.nii", nifti_bytes(stack, AFFINE)))
    alone = [answer.answer(each, models, gate=False) for each in given]
    together = {}

    def work(at):
        for _ in range(3):
            together[at] = answer.answer(given[at], models, gate=False)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(given))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at, one in enumerate(alone):
        assert together[at].probabilities == one.probabilities
        np.testing.assert_array_equal(together[at].mask, one.mask)


def test_what_cannot_be_answered_is_one_sentence(models, tmp_path):
    with pytest.raises(ParamsError, match="should be one of auto, unet, kmeans_brain, kmeans, none, received 'magic'"):
        answer.answer(("x.png", png()), models, "magic")
    with pytest.raises(InputError, match=r"^x\.png: cannot be decoded"):
        answer.answer(("x.png", b"text"), models)
    without = dataclasses.replace(models, tools=dataclasses.replace(models.tools, unet=None))
    with pytest.raises(ParamsError, match="method unet needs a trained U-Net, received none"):
        answer.answer(("x.png", png()), without, "unet")
    assert answer.answer(("x.png", png()), without, "kmeans", gate=False).mask.any()


def test_what_shows_no_head_gets_no_class(models):
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    blank = dict.fromkeys(("black", "white", "noise"), noise) | {"black": noise * 0, "white": noise * 0 + 255}
    volume = np.stack([noise] * 3, axis=-1).astype(np.int16)
    files = [(f"{name}.png", bytes(cv2.imencode(".png", own)[1])) for name, own in blank.items()]
    for given in (*files, ("empty.nii", nifti_bytes(0 * volume, AFFINE))):
        with pytest.raises(
            InputError, match=f"^{given[0]}: should show a head, received nothing but one level or noise"
        ):
            answer.answer(given, models)


def test_the_window_to_show_is_the_files_own_or_nearly_all(models):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    own = answer.answer(("x", dicom_bytes(pixels, WindowCenter="1000.5", WindowWidth="2001")), models, "none")
    assert own.window == (0, 2000)
    shown = answer.shown(own.scan.levels[0], own.window)
    assert (shown[0, 0], shown[-1, -1]) == (0, 255)
    low, high = answer.answer(("x", dicom_bytes(pixels)), models, "none").window
    assert 0 <= low < 50
    assert 4000 < high <= 4095
