"""Report: gather what the stages found into the small files that git keeps, draw the charts, and write them up.

Reads `data/raw/summary.json`, the tables and the summary of `data/processed`, `data/probes/scores.json`,
`data/augmented/preview.png`, `models/classifier/curves.csv`, `data/evaluation` and `data/segmentation`; no model, no
scan. Writes `metrics/{data,probe,classify,segment}.json`, the few headline numbers of them that DVC compares
(`metrics/summary.json`), `metrics/model_card.md` and `plots/`, which git keeps, and `data/report/index.html`: the card
with the pictures of scans that the other stages drew, which DVC keeps. It is the one stage with outputs that DVC does
not cache, and cheap for that reason: a stage with such outputs runs again wherever it is pulled.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri.core.errors import ArtifactError, exit_on_error
from brainmri.core.files import new_directory, read_json, write_json, write_table
from brainmri.core.index import Kinds, read_index, read_table
from brainmri.core.manifest import FetchSummary, external_counts
from brainmri.reporting import card_scores, figures, model_card
from brainmri.reporting.documents import as_html, as_markdown
from brainmri.reporting.scan_facts import scan_facts
from brainmri.reporting.score_table import score_table
from brainmri.reporting.summary import Preprocessed, Probe, headline_numbers
from brainmri.scoring.curves import POINTS
from brainmri.scoring.predictions_table import COLUMNS, read_predictions
from brainmri.scoring.records import ROWS, Evaluated, Segment
from brainmri.scoring.training_scores import CURVES, kept_epoch

TABLES: dict[str, Kinds] = {"predictions": COLUMNS, **POINTS}
LEVELS: Kinds = {"label": str, "stage": str, "level": int, "share": float}  # of `histograms.csv`


def run(
    raw: Path,
    processed: Path,
    probes: Path,
    preview: Path,
    model: Path,
    evaluation: Path,
    segmentation: Path,
    metrics: Path,
    plots: Path,
    page: Path,
) -> None:
    """Write the folders `metrics`, `plots` and `page` from what the stages before left in theirs."""
    summary = processed / "summary"
    data = data_facts(raw, summary, processed / "external")
    table = scan_facts({name: read_index(processed / name) for name in ("train", "val", "test")})
    classify, probe = read_json(evaluation / "scores.json", Evaluated), read_json(probes / "scores.json", Probe)
    curves = read_table(model / "curves.csv", CURVES)
    kept = curves.iloc[kept_epoch(curves["val_loss"])]
    classify["validation"] = {"epoch": int(kept["epoch"]), "loss": kept["val_loss"], "accuracy": kept["val_accuracy"]}
    note = "simulated data" if data["simulated"] else f"source: {data['source']}"
    found = {
        "data": data,
        "probe": probe,
        "classify": classify,
        "segment": read_json(segmentation / "scores.json", Segment),
    }
    with new_directory(metrics) as numbers, new_directory(plots) as folder, new_directory(page) as written:
        for name, content in {**found, "summary": headline_numbers(found)}.items():
            write_json(numbers / f"{name}.json", content)
        gather(folder, curves, evaluation)
        write_table(folder / "metadata.csv", table)
        figures.scores(folder / "scores.png", score_table(classify, probe), note)
        draw_data(folder, data, curves, read_table(summary / "histograms.csv", LEVELS), note)
        draw_answers(folder, data["classes"], classify, note)
        figures.dice(folder / "dice.png", scored_rows(segmentation), data["classes"], note)
        figures.dice_by_method(folder / "dice_by_method.png", scored_rows(segmentation), note)
        of = (found, table, read_predictions(folder / "predictions.csv"), folder)
        (numbers / "model_card.md").write_text(as_markdown(model_card.card(*of), f"../{plots.name}"))
        scans = model_card.scans(summary, preview, evaluation, segmentation, found["segment"])
        (written / "index.html").write_text(as_html([*model_card.card(*of, evaluation / "cases.png"), *scans]))


def data_facts(raw: Path, summary: Path, external: Path) -> dict[str, Any]:
    """Return what fetch and preprocess say of the images, lists as counts; of external sets where there are some."""
    source = read_json(raw / "summary.json", FetchSummary)
    known = ("ignored", "differences", "patients_in_several_splits")  # counts of images stand in the summary
    sets = {name: {key: facts[key] for key in known} for name, facts in source["sets"].items()}
    data = {"simulated": source["simulated"], "source": source["source"], "sets": sets}
    if elsewhere := external_counts(external):
        data["external"] = elsewhere
    return without_rows(data | read_json(summary / "summary.json", Preprocessed))


def without_rows(data: dict[str, Any]) -> dict[str, Any]:
    """Return the facts on the data with lists as counts: what git keeps is small and can be compared."""
    return {
        name: len(value) if isinstance(value, list) and name != "classes" else value for name, value in data.items()
    }


def gather(folder: Path, curves: pd.DataFrame, evaluation: Path) -> None:
    """Copy the tables that DVC draws and compares."""
    write_table(folder / "curves.csv", curves)
    for name in TABLES:
        if not (evaluation / f"{name}.csv").exists():
            raise ArtifactError(
                f"{evaluation}: should hold {name}.csv, received no such file; run `dvc repro evaluate`"
            )
        shutil.copyfile(evaluation / f"{name}.csv", folder / f"{name}.csv")


def draw_data(folder: Path, data: dict[str, Any], epochs: pd.DataFrame, levels: pd.DataFrame, note: str) -> None:
    """Draw the charts of the data and of training."""
    figures.counts(folder / "counts.png", data["images"], data["classes"], note)
    figures.histograms(folder / "histograms.png", levels, data["classes"], note)
    figures.curves(folder / "curves.png", epochs, note)


def draw_answers(folder: Path, classes: list[str], classify: dict[str, Any], note: str) -> None:
    """Draw the charts of the classifier's answers from the tables in `folder`."""
    tables = {name: read_table(folder / f"{name}.csv", kinds) for name, kinds in TABLES.items()}
    by_class = classify["whole"]["classes"]
    confusions = card_scores.confusions(tables["predictions"], classes)
    counts = {name.replace("_", "-"): table.to_numpy() for name, table in confusions.items()}
    figures.confusion(folder / "confusion.png", counts, classes, note)
    for name, x, y, title, area in (
        ("roc", "false_positive_rate", "true_positive_rate", "ROC, class against rest", "auc"),
        ("precision_recall", "recall", "precision", "Precision and recall", "average_precision"),
    ):
        areas = {label: by_class[label][area] for label in classes}
        figures.by_label(folder / f"{name}.png", tables[name], x, y, title, areas, note)
    eces = {when: classify["calibration"][when]["ece"] for when in ("before", "after")}
    figures.reliability(folder / "reliability.png", tables["reliability"], eces, note)
    answered = {name: classify["abstention"][name] for name in ("coverage", "accuracy")}
    images = classify["whole"]["images"]
    figures.coverage_risk(folder / "coverage_risk.png", tables["coverage_risk"], images, **answered, note=note)


def scored_rows(segmentation: Path) -> pd.DataFrame:
    """Return the rows of images that have a tumour in truth."""
    table = read_table(segmentation / "rows.csv", ROWS)
    return table[table["truth_px"] > 0]


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in (
        ("raw", "folder that fetch wrote"),
        ("processed", "folder that preprocess wrote"),
        ("probes", "folder that probe wrote"),
        ("preview", "picture that augment wrote"),
        ("model", "folder that train wrote"),
        ("evaluation", "folder that evaluate wrote"),
        ("segmentation", "folder that segment wrote"),
        ("metrics", "folder to write the metrics to"),
        ("plots", "folder to write the plots to"),
        ("page", "folder to write the page to, which shows scans"),
    ):
        parser.add_argument(name, type=Path, help=text)
    run(**vars(parser.parse_args()))


if __name__ == "__main__":
    exit_on_error(main)
