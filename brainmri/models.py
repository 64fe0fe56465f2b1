"""What answers: a classifier, perhaps a U-Net, and the parameters of the K-means methods, made to fit each other."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from brainmri.errors import ArtifactError, ParamsError
from brainmri.images import ImageParams
from brainmri.kmeans import KMeansParams
from brainmri.kmeans_brain import KMeansBrainParams
from brainmri.params import check, read_yaml

if TYPE_CHECKING:
    from brainmri.predict import Classifier
    from brainmri.unet import Unet


@dataclass(frozen=True)
class Models:
    """Nothing in it changes, so that threads may share it; who runs a network holds `lock` meanwhile."""

    classifier: "Classifier"
    unet: "Unet | None"
    image_params: ImageParams  # of both networks; they travel in the models' folders
    kmeans: KMeansParams
    kmeans_brain: KMeansBrainParams
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


def load_models(classifier: Path, unet: Path | None, params: Path = Path("params.yaml")) -> Models:
    """Load what answers; it takes seconds, most of them TensorFlow's.

    Parameters
    ----------
    classifier : Path
        Folder that train wrote, such as `models/classifier`.
    unet : Path or None
        Folder that train_unet wrote; without, or where training was skipped for want of masks, there is no U-Net.
    params : Path
        YAML file whose `segment.kmeans` and `segment.kmeans_brain` the K-means methods use. How images are made is
        never read from it: that was settled when the networks were trained.

    Raises
    ------
    ArtifactError
        If a folder is no model's, or the two were trained on images made in different ways.
    ParamsError
        If the file lacks one of the two, or has it wrong.
    """
    # Here and not at the top: they bring TensorFlow, which takes seconds to import.
    from brainmri.predict import load_classifier
    from brainmri.unet import load_unet

    own = _kmeans_params(params)
    own_classifier, own_unet = load_classifier(classifier), load_unet(unet) if unet else None
    if own_unet is not None and own_unet.image_params != own_classifier.image_params:
        raise ArtifactError(
            f"{unet}: the U-Net should be trained on images made as the classifier's in {classifier} "
            f"({own_classifier.image_params}), received one with {own_unet.image_params}; take both from one run"
        )
    image_params = check(own_classifier.image_params, ImageParams, where=f"{classifier / 'preprocess.json'}: params")
    return Models(own_classifier, own_unet, image_params, *own)


def _kmeans_params(path: Path) -> tuple[KMeansParams, KMeansBrainParams]:
    content = read_yaml(path)
    section = content.get("segment") if isinstance(content, dict) else None
    if not isinstance(section, dict) or not all(isinstance(section.get(key), dict) for key in _KMEANS):
        raise ParamsError(
            f"{path}: section `segment` should hold the mappings {' and '.join(_KMEANS)}, received neither"
        )
    where = f"{path}: section `segment`"
    return (
        check(section["kmeans"], KMeansParams, f"{where}, kmeans"),
        check(section["kmeans_brain"], KMeansBrainParams, f"{where}, kmeans_brain"),
    )


_KMEANS = ("kmeans", "kmeans_brain")
