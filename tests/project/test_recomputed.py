"""Metrics and curves that are not those of the rows beside them are found."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny_project import ROOT, sh

from brainmri.core.files import write_json, write_table
from brainmri.project import recomputed
from brainmri.reporting.summary import headline_numbers
from brainmri.scoring.curves import curve_tables
from brainmri.scoring.predictions_table import read_answers

CLASSES = ["glioma", "notumor"]
# What the headline is made of, beside classify.json: that of the default run.
BESIDE = {name: json.loads((ROOT / f"metrics/{name}.json").read_text()) for name in ("data", "probe", "segment")}


@pytest.fixture
def project(tmp_path):
    """A folder with the predictions of 40 images of 10 patients, and what the stages make of them."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, 40).round(10)
    rows = pd.DataFrame(
        {
            "image_id": [f"image{at}" for at in range(40)],
            "label": rng.choice(CLASSES, 40),
            "predicted": np.where(p > 0.5, *CLASSES),
            "unit": np.arange(40) // 4,
            "group": np.arange(40),
            "training_twin": np.arange(40) < 8,
            "training_neighbour": np.arange(40) < 12,
            "abstained": np.abs(p - 0.5) < 0.1,
            "p_glioma": p,
            "p_notumor": (1 - p).round(10),
        }
    )
    rows["patient"] = [f"{label}{at // 8}" if at < 32 else "" for at, label in enumerate(rows["label"])]
    answers = read_answers(rows, CLASSES)
    for name, table in curve_tables(answers, answers.probabilities / 2 + 0.25).items():
        write_table(tmp_path / f"plots/{name}.csv", table)
    write_table(tmp_path / "plots/predictions.csv", rows)
    curves = pd.DataFrame({"epoch": [1, 2, 3], "val_loss": [3.0, 1.0, 2.0], "val_accuracy": [0.1, 0.5, 0.75]})
    curves = curves.assign(loss=curves["val_loss"], accuracy=curves["val_accuracy"])
    write_table(tmp_path / "plots/curves.csv", curves)
    validation = {"epoch": 2, "loss": 1.0, "accuracy": 0.5}
    scores = recomputed.scores(rows, answers, 0, 100)
    # Not of the rows.
    scores["calibration"] |= {"before": scores["calibration"]["after"], "temperature": 1.0, "abstain_below": 0.5}
    hit = {"images": 3, "hits": 1.0, "brightest": 1.0, "chance": 0.5, "ci95": {"hits": {"low": 0.5, "high": 1.0}}}
    metrics = {**BESIDE, "classify": {**scores, "validation": validation, "pointing": {"all": hit}}}
    for name, content in {**metrics, "summary": headline_numbers(metrics)}.items():
        write_json(tmp_path / f"metrics/{name}.json", content)
    used = {"evaluate": {"params": {"params.yaml": {"evaluate": {"seed": 0, "bootstrap": 100, "saliency": 0}}}}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": used}))
    return tmp_path


def test_what_the_rows_give_is_no_problem(project):
    assert recomputed.problems(project) == []


def metric(*keys, value, file="classify"):
    def change(project):
        content = json.loads((project / f"metrics/{file}.json").read_text())
        place = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        write_json(project / f"metrics/{file}.json", content)

    return change


def cell(name, row, column, value):
    def change(project):
        table = pd.read_csv(project / f"plots/{name}.csv")
        table.loc[row, column] = value
        write_table(project / f"plots/{name}.csv", table)

    return change


def without(name):
    return lambda project: (project / name).unlink()


@pytest.mark.parametrize(
    ("drift", "message"),
    [
        (metric("whole", "accuracy", value=0.99), "metrics/classify.json: whole.accuracy should be 0."),
        (metric("twin_free", "classes", "glioma", "f1", value=1.0), "twin_free.classes.glioma.f1 should be"),
        (metric("ci95", "whole", "accuracy", "low", value=0.9), "ci95.whole.accuracy.low should be"),
        (metric("abstention", "coverage", value=1.0), "abstention.coverage should be"),
        (metric("calibration", "after", "loss", value=0.0), "calibration.after.loss should be"),
        (metric("patients", "accuracy", value=0.99), "metrics/classify.json: patients.accuracy should be"),
        (metric("patients", "ci95", "accuracy", "low", value=0.99), "patients.ci95.accuracy.low should be"),
        (cell("predictions", slice(0, 40), "patient", ""), "patients should not be there"),
        (metric("validation", "epoch", value=3), "validation.epoch should be 2, received 3"),
        (metric("whole", value=None), "metrics/classify.json: not as it was written: whole should"),
        (metric("accuracy", value=0.99, file="summary"), "metrics/summary.json: accuracy should be 0.55, received 0.9"),
        (metric("dice_other", value=0.5, file="summary"), "summary.json: dice_other should not be there"),
        (metric("probe_metadata", value=None, file="summary"), "summary.json: not as it was written: probe_metadata"),
        (cell("predictions", 20, ["p_glioma", "p_notumor"], [0.123, 0.877]), "metrics/classify.json: whole."),
        (cell("predictions", 20, "p_glioma", 7.0), "the probabilities of each row should be at least 0 and sum to 1"),
        (cell("predictions", slice(0, 40), "training_neighbour", True), "neighbour_free should not be there"),
        (cell("roc", 1, "true_positive_rate", 0.123), "plots/roc.csv: should be drawn from the rows"),
        (cell("roc", 1, "label", "other"), "plots/roc.csv: should be drawn from the rows"),
        (cell("coverage_risk", 0, "risk", 0.9), "plots/coverage_risk.csv: should be drawn from the rows"),
        (cell("reliability", 20, "count", 77), "plots/reliability.csv: should be drawn from the rows"),
        (cell("curves", 2, "val_loss", 0.5), "validation.epoch should be 3, received 2"),
        (without("metrics/summary.json"), "metrics/summary.json: no such file"),
        (without("plots/predictions.csv"), "plots/predictions.csv: no such file"),
        (without("plots/roc.csv"), "metrics, plots: should hold what the report stage wrote"),
        (
            lambda project: write_json(project / "metrics/data.json", {}),
            "data.json: not as it was written: classes is missing",
        ),
    ],
)
def test_each_drift_is_named(project, drift, message):
    drift(project)
    assert any(message in problem for problem in recomputed.problems(project)), recomputed.problems(project)


def test_the_last_digits_of_another_processor_are_no_drift(project):
    content = json.loads((project / "metrics/classify.json").read_text())
    metric("whole", "loss", value=content["whole"]["loss"] * (1 + 1e-12))(project)
    assert recomputed.problems(project) == []


@pytest.mark.slow
@pytest.mark.pipeline
def test_a_run_that_has_just_ended_is_true_and_an_edited_metric_is_not(finished_project, tmp_path):
    project = shutil.copytree(finished_project, tmp_path / "project")
    assert "agree" in sh(project, "python", "-m", "brainmri.commands.cli", "verify-lock")
    metric("whole", "accuracy", value=1.0)(project)
    printed = sh(project, "python", "-m", "brainmri.commands.cli", "verify-lock", ok=False)
    assert "metrics/classify.json: should be what stage report wrote" in printed
    assert "whole.accuracy should be" in printed
