"""The report stage on what the stages before it wrote."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri.core.errors import ArtifactError
from brainmri.core.params import check
from brainmri.reporting import galleries
from brainmri.reporting.summary import headline_numbers
from brainmri.scoring.predictions_table import cases
from stages import evaluate, probe, report, segment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(raw, processed, classifier, tmp_path_factory):
    """The places that the report reads."""
    place = tmp_path_factory.mktemp("found")
    params = tiny_params()
    evaluate.run(
        check(params["evaluate"], evaluate.Params, "evaluate"),
        classifier,
        *(processed / "test", processed / "external", place / "evaluation"),
    )
    (place / "unet").mkdir()
    (place / "unet/skipped.json").write_text('{"reason": "no masks"}')
    segment.run(
        check(params["segment"], segment.Params, "segment"),
        *(raw, processed / "test", processed / "external", place / "unet", classifier, place / "segmentation"),
    )
    splits = [processed / name for name in ("train", "val", "test")]
    probe.run(check(params["probe"], probe.Params, "probe"), *splits, place / "probes")
    galleries.grid(place / "preview.png", [np.zeros((8, 8), np.uint8)], [""], "variants", 1)
    parts = [place / name for name in ("evaluation", "segmentation")]
    return [raw, processed, place / "probes", place / "preview.png", classifier, *parts]


def write(found, place):
    report.run(*found, place / "metrics", place / "plots", place / "page")


def test_metrics_are_those_of_the_stages(found, tmp_path):
    write(found, tmp_path)
    metrics = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "metrics").glob("*.json")}
    assert set(metrics) == {"data", "probe", "classify", "segment", "summary"}
    scores = json.loads((found[5] / "scores.json").read_text())
    assert metrics["classify"]["whole"] == scores["whole"]
    assert metrics["probe"] == json.loads((found[2] / "scores.json").read_text())
    curves = pd.read_csv(found[4] / "curves.csv")
    assert metrics["classify"]["validation"]["loss"] == pytest.approx(curves["val_loss"].min())
    assert metrics["data"]["simulated"] is False
    assert metrics["data"]["unreadable"] == 0
    assert metrics["segment"] == json.loads((found[6] / "scores.json").read_text())
    assert metrics["summary"] == headline_numbers(metrics)


def test_two_runs_write_the_same_bytes(found, tmp_path):
    for name in ("a", "b"):
        write(found, tmp_path / name)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) == 25
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_what_goes_into_git_names_no_file_and_no_patient(found, set_manifest, tmp_path):
    write(found, tmp_path)
    names = pd.read_csv(set_manifest)
    for path in [*(tmp_path / "metrics").iterdir(), *(tmp_path / "plots").glob("*.csv")]:
        text = path.read_text()
        assert not [name for column in ("path", "patient") for name in names[column] if name in text], path


def test_the_card_has_the_figures_of_the_metrics_and_no_scan(found, tmp_path):
    write(found, tmp_path)
    card = (tmp_path / "metrics/model_card.md").read_text()
    classify = json.loads((tmp_path / "metrics/classify.json").read_text())
    for name, own in classify["whole"]["classes"].items():
        ends = classify["ci95"]["whole"]["classes"][name]["f1"]
        assert f"{own['f1']:.3f} ({ends['low']:.3f} to {ends['high']:.3f})" in card
    assert "**Not for clinical use." in card
    assert "K-means inside the brain, on the grid" in card
    assert "U-Net: left out, because no masks." in card
    charts = re.findall(r"!\[[^\]]+\]\(\.\./plots/([^)]+)\)", card)
    assert set(charts) == {path.name for path in (tmp_path / "plots").glob("*.png")} - {"counts.png"}  # a table says it
    shown = cases(pd.read_csv(tmp_path / "plots/predictions.csv"))
    assert [
        line.split(" | ")[0] for line in card.splitlines() if line.endswith(("wrong |", "right |", "abstained |"))
    ] == [f"| {name}" for name in shown["image_id"]]
    assert card.index("## Cases") < card.index("## At a glance")
    assert "cases.png" not in card


def test_the_page_holds_the_card_and_the_pictures_and_loads_nothing(found, tmp_path):
    write(found, tmp_path)
    page = (tmp_path / "page/index.html").read_text()
    assert page.count("<img ") == page.count('<img src="data:image/png;base64,') == 10 + 8
    assert page.index("pictures of people: do not publish") < page.index("The scans of these cases")
    assert page.index("The scans of these cases") < page.index("At a glance</h2>")
    assert "://" not in page
    assert "<script" not in page


def test_a_missing_table_is_named(found, tmp_path):
    evaluation = tmp_path / "evaluation"
    shutil.copytree(found[5], evaluation)
    (evaluation / "roc.csv").unlink()
    with pytest.raises(ArtifactError, match=r"evaluation: should hold roc\.csv, received no such file"):
        write([*found[:5], evaluation, found[6]], tmp_path)
    assert not (tmp_path / "metrics").exists()
    assert not (tmp_path / "page").exists()


def test_the_report_needs_no_tensorflow():
    code = "import sys, stages.report; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_external_sets_stand_in_metrics_card_and_page(found, raw_with_others, processed_with_others, tmp_path):
    scores = json.loads((found[5] / "scores.json").read_text())
    counts = json.loads((processed_with_others / "external/counts.json").read_text())
    told = {"known": 12, "seen_in_training": 0, "images_without": 0}
    own = {
        "counts": counts["elsewhere"],
        "test_patients": told,
        "scores": scores["whole"],
        "ci95": scores["ci95"]["whole"],
    }
    outlines = json.loads((found[6] / "scores.json").read_text())
    places = [raw_with_others, processed_with_others, *found[2:5]]
    for at, (folder, content) in enumerate([(found[5], {"elsewhere": own}), (found[6], {"slices": dict(outlines)})]):
        copy = shutil.copytree(folder, tmp_path / str(at))
        changed = json.loads((copy / "scores.json").read_text()) | {"external": content}
        (copy / "scores.json").write_text(json.dumps(changed))
        places.append(copy)
    shutil.copytree(found[6], places[6] / "external-slices")
    write(places, tmp_path)
    metrics = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "metrics").glob("*.json")}
    assert metrics["data"]["external"] == counts
    assert set(metrics["classify"]["external"]) == {"elsewhere"}
    assert set(metrics["segment"]["external"]) == {"slices"}
    assert set(metrics["summary"]) == set(headline_numbers({**metrics, "segment": outlines}))
    card = (tmp_path / "metrics/model_card.md").read_text()
    assert card.index("## On other sets") < card.index("## Intended use")
    assert "| elsewhere | 29 | 1 | 2 | 2 | 24 | 12, 0 of them in training |" in card
    assert "| slices | 4 | 0 | 0 | 4 | 0 |" in card
    page = (tmp_path / "page/index.html").read_text()
    assert "On other sets" in page
    assert page.count("<img ") == 10 + 8 + 2
