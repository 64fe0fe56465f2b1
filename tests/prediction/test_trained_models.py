"""Models are combined with each other only if they belong together."""

import shutil

import pytest
import yaml
from conftest import PARAMS, tiny_params

from brainmri.core.errors import ArtifactError, ParamsError
from brainmri.core.files import read_json, write_json
from brainmri.prediction.trained_models import load_models

pytestmark = pytest.mark.slow


def test_networks_made_of_other_images_are_refused(classifier, trained_unet, tmp_path):
    shutil.copytree(trained_unet, tmp_path / "unet")
    made_with = read_json(tmp_path / "unet/preprocess.json", dict)
    made_with["params"]["windows"][0] = [2, 98]
    write_json(tmp_path / "unet/preprocess.json", made_with)
    with pytest.raises(ArtifactError, match="should be trained on images made as the classifier's") as error:
        load_models(classifier, tmp_path / "unet", PARAMS)
    assert "\n" not in str(error.value)


def test_images_are_made_as_in_training_whatever_params_yaml_says(classifier, trained_unet, tmp_path):
    other = tiny_params(preprocess={"size": 64, "windows": [[5, 95]]}, segment={})
    other["segment"]["kmeans"]["k"] = 5
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(other))
    models = load_models(classifier, trained_unet, tmp_path / "params.yaml")
    assert models.image_params.model_dump() == read_json(classifier / "preprocess.json", dict)["params"]
    assert models.image_params.size == 32
    assert models.tools.params.kmeans.k == 5


def test_no_unet_is_no_error(classifier, tmp_path):
    (tmp_path / "unet").mkdir()
    write_json(tmp_path / "unet/skipped.json", {"reason": "no masks"})
    assert load_models(classifier, tmp_path / "unet", PARAMS).tools.unet is None
    assert load_models(classifier, None, PARAMS).tools.unet is None


def test_without_params_the_k_means_methods_take_the_packages_own(classifier):
    own = load_models(classifier, None).tools.params.model_dump()
    section = yaml.safe_load(PARAMS.read_text())["segment"]
    # methods.yaml is a copy, so that a wheel has it: after a change of params.yaml, change it there too.
    assert own == {name: section[name] for name in own}


def test_what_is_missing_is_one_sentence(classifier, tmp_path):
    with pytest.raises(ArtifactError, match="no such file; run the stage that writes it"):
        load_models(tmp_path, None, PARAMS)
    with pytest.raises(ArtifactError, match="no such file; run the stage that writes it"):
        load_models(classifier, tmp_path / "nothing", PARAMS)
    (tmp_path / "params.yaml").write_text("segment: {kmeans: {k: 1}, kmeans_brain: {}}\n")
    with pytest.raises(ParamsError, match="k should be greater than or equal to 2, received 1"):
        load_models(classifier, None, tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("segment: 3\n")
    with pytest.raises(ParamsError, match="should hold the mappings kmeans and kmeans_brain"):
        load_models(classifier, None, tmp_path / "params.yaml")
