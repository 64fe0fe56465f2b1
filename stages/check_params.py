"""Check params: every section of `params.yaml`, before anything else runs and before DVC removes an output.

Reads all of `params.yaml`. Writes `data/checked_params.txt`, always the same: `fetch` depends on it, and with it every
stage after, so that a param against its rule stops the run here, and one within it reruns no stage but its own.

The one script that imports others: the models of their sections stand with them, and each stage still checks its own.
"""

import argparse
from pathlib import Path

from brainmri.core.errors import ParamsError, exit_on_error, one_line
from brainmri.core.files import write_text
from brainmri.core.params import PROBLEMS, Section, check_section, read_sections
from brainmri.models.classifier_params import ClassifierParams
from brainmri.models.unet_params import UnetParams
from brainmri.scoring.assessment import EvaluationParams
from brainmri.segmentation.segment_params import SegmentParams
from stages import augment, fetch, preprocess, probe

# Of those stages that import Keras not the script but the model alone: checking takes a moment.
MODELS: dict[str, type[Section]] = {
    "fetch": fetch.Params,
    "preprocess": preprocess.Params,
    "probe": probe.Params,
    "augment": augment.Params,
    "train": ClassifierParams,
    "train_unet": UnetParams,
    "evaluate": EvaluationParams,
    "segment": SegmentParams,
}


def require_valid(path: Path) -> None:
    """Raise `ParamsError` with all problems of all sections of the YAML file at `path`."""
    content = read_sections(path)
    found = [f"{path}: section `{one_line(name, 80)}` is not known" for name in content if name not in MODELS][
        :PROBLEMS
    ]
    for name, model in MODELS.items():
        try:
            check_section(content, name, model, path)
        except ParamsError as error:
            found.append(str(error))
    if found:
        raise ParamsError("\n".join(found))


def run(params: Path, out: Path) -> None:
    """Check the file `params`; write `out`."""
    require_valid(params)
    write_text(out, "The params of the last run kept their rules.\n")


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(args.params, args.out)


if __name__ == "__main__":
    exit_on_error(main)
