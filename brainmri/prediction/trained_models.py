"""Load the trained models that answer: a classifier, and what the segmentation methods need, checked to fit."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from brainmri.core.errors import ArtifactError, ParamsError
from brainmri.core.params import check, read_yaml
from brainmri.preprocessing.image_params import ImageParams
from brainmri.segmentation.methods import MethodParams, Tools

if TYPE_CHECKING:
    from brainmri.models.classifier import Classifier


@dataclass(frozen=True)
class Models:
    """Nothing in it changes, so that threads may share it; who runs a network holds `lock` meanwhile."""

    classifier: "Classifier"
    image_params: ImageParams  # of both networks; they travel in the models' folders
    tools: Tools  # of the methods of outlining: a U-Net, if there is one, and params
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


DEFAULTS = Path(__file__).with_name("methods.yaml")  # of the K-means methods; it travels in the wheel


def load_models(classifier: Path, unet: Path | None, params: Path | None = None) -> Models:
    """Load what answers; it takes seconds, most of them TensorFlow's.

    Parameters
    ----------
    classifier : Path
        Folder that train wrote, such as `models/classifier`.
    unet : Path or None
        Folder that train_unet wrote; without, or where training was skipped for want of masks, there is no U-Net.
    params : Path, optional
        YAML file whose `segment.kmeans` and `segment.kmeans_brain` the K-means methods use; by default the package's
        own. How images are made is never read from it: that was settled when the networks were trained.

    Raises
    ------
    ArtifactError
        If a folder is no model's, or the two were trained on images made in different ways.
    ParamsError
        If the file lacks one of the two, or has it wrong.
    """
    # Here and not at the top: they bring TensorFlow, which takes seconds to import.
    from brainmri.models.classifier import load_classifier
    from brainmri.models.unet import load_unet

    own = _method_params(DEFAULTS if params is None else params)
    own_classifier, own_unet = load_classifier(classifier), load_unet(unet) if unet else None
    if own_unet is not None and own_unet.image_params != own_classifier.image_params:
        raise ArtifactError(
            f"{unet}: the U-Net should be trained on images made as the classifier's in {classifier} "
            f"({own_classifier.image_params}), received one with {own_unet.image_params}; take both from one run"
        )
    image_params = ImageParams(**own_classifier.image_params)
    return Models(own_classifier, image_params, Tools(own, own_unet))


def _method_params(path: Path) -> MethodParams:
    content = read_yaml(path)
    section = content.get("segment") if isinstance(content, dict) else None
    names = list(MethodParams.model_fields)
    if not isinstance(section, dict) or not all(isinstance(section.get(key), dict) for key in names):
        raise ParamsError(f"{path}: section `segment` should hold the mappings {' and '.join(names)}, received neither")
    return check({name: section[name] for name in names}, MethodParams, f"{path}: section `segment`")
