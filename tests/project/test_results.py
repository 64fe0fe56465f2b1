"""Published runs and the README's tables."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from brainmri.comparison.param_values import merged
from brainmri.core.errors import ArtifactError
from brainmri.core.git import git
from brainmri.core.params import parse_yaml
from brainmri.project import presets, recording, results
from brainmri.segmentation.methods import METHODS

ROOT = Path(__file__).parents[2]
INTERVAL = {"low": 0.5, "high": 0.75}


@pytest.fixture(autouse=True)
def rows_of_the_readme(monkeypatch):
    """Make the README's rows those of the results that `project` writes."""
    rows = (results.Headline("the default", "0.json"), results.Headline("new patients", None))
    monkeypatch.setattr(results, "HEADLINE", rows)


NOBODY = {"known": 7, "seen_in_training": 0, "images_without": 0}


def run(name="a", accuracy=0.625, twin_free=True, methods=("kmeans",)):
    scores = {"images": 8, "accuracy": accuracy, "macro": {"f1": 0.6}, "ece": 0.1}
    one = {"precision": 0.5, "recall": 0.25, "f1": 0.375, "auc": 0.75, "support": 4}
    part = scores | {"classes": {"glioma": one}}
    bounds = {"accuracy": INTERVAL, "macro": {"f1": INTERVAL}, "classes": {"glioma": {"f1": INTERVAL}}}
    classify = {"whole": part, "ci95": {"whole": bounds, "twin_free": bounds}}
    if twin_free:
        classify["twin_free"] = part
    dice = {"dice": {"mean": 0.125, "mean_ci95": INTERVAL}, "hd95": {"mean": 50.0}, "sensitivity": {"mean": 0.5}}
    segment = {method: {"all": dice, "images_with_tumour_mask": 6} for method in methods}
    return {"name": name, "command": "dvc repro", "commit": "0123456789abcdef", "test_patients": NOBODY,
            "params": {"fetch": {"source": "local"}, "preprocess": {"duplicates": "drop"}},
            "metrics": {"classify": classify, "segment": segment, "data": {}}}  # fmt: skip


def project(root, *runs):
    """Return a folder with pages for the tables, and a result for each run."""
    (root / "docs").mkdir()
    (root / "results/external").mkdir(parents=True)
    for name in ("README.md", "docs/results.md"):
        (root / name).write_text(f"before\n{results.BEGIN}\nstale\n{results.END}\nafter\n")
    for at, content in enumerate(runs):
        (root / f"results/{at}.json").write_text(json.dumps(content))
    return root


def readme(root):
    return results.pages(root)[root / "README.md"]


def full_page(root):
    return results.pages(root)[root / "docs/results.md"]


def test_the_readme_holds_the_headline_rows_alone(tmp_path):
    text = readme(project(tmp_path, run("a", methods=("kmeans", "unet")), run("b")))
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == [
        "| the default | none of 7 | 0.625 (0.500 to 0.750) of 8 | 0.125 (0.500 to 0.750) of 6 |",
        "| new patients | none | not yet measured by fold | not yet measured by fold |",
    ]


def test_a_headline_without_a_u_net_has_no_dice(tmp_path):
    assert "| the default | none of 7 | 0.625 (0.500 to 0.750) of 8 |  |" in readme(project(tmp_path, run()))


def test_a_headline_whose_run_is_missing_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"results/0\.json: should hold the run of the README's row 'the default'"):
        results.pages(project(tmp_path))


def test_tables_hold_the_numbers_of_every_run(tmp_path):
    full = full_page(project(tmp_path, run("a"), run("b")))
    shown = "0.625 (0.500 to 0.750)"
    assert f"| a | none of 7 | {shown} of 8 | {shown} of 8 |  |  | 0.100 |  |  |" in full
    assert "- a: `dvc repro` at commit `0123456789`" in full
    assert full.index("| a | none of 7 | 0.625") < full.index("| b | none of 7 | 0.625")
    assert f"| a | all, 8 | {shown} |  | 0.600 (0.500 to 0.750) | 0.100 |  |  |" in full
    assert f"| a | twin-free, 8 | {shown} |" in full
    assert "| a | glioma | 4 | 0.500 | 0.250 | 0.750 | 0.375 (0.500 to 0.750) | 4 |" in full
    assert "| a | kmeans | 6 | 0.125 (0.500 to 0.750) | 50.0 | 0.500 |" in full
    assert "Outlines, in one line" not in full  # no run scored every method


def test_runs_that_scored_every_method_stand_in_one_line_each(tmp_path):
    every = run("b", methods=("kmeans", "kmeans_brain", "unet"))
    full = full_page(project(tmp_path, run("a"), every))
    dice = "0.125 (0.500 to 0.750)"
    assert f"| b | 6 | {dice} | {dice} | {dice} |" in full
    assert "| a | 6 |" not in full
    assert full.count(f"| 6 | {dice} |") == 5  # one in the line of the run, three by method; one of run a


def test_a_score_that_is_not_defined_is_written_so(tmp_path):
    content = run()
    content["metrics"]["classify"]["whole"]["classes"]["glioma"] |= {"f1": None, "auc": None}
    full = full_page(project(tmp_path, content))
    assert "| a | glioma | 4 | 0.500 | 0.250 | not defined | not defined | 4 |" in full


def test_a_run_without_twin_free_images_has_no_row_for_them(tmp_path):
    full = full_page(project(tmp_path, run(twin_free=False)))
    assert "| a | none of 7 | 0.625 (0.500 to 0.750) of 8 |  |  |" in full
    assert "twin-free," not in full


def test_seeds_and_probes_stand_beside_the_classifier(tmp_path):
    content = run()
    part = {"mean": {"accuracy": 0.75}, "sd": {"accuracy": 0.0125}}
    content["metrics"]["classify"]["repeats"] = {"seeds": 3, "whole": part}
    content["metrics"]["probe"] = {
        "nearest_neighbour": {"whole": {"accuracy": 0.25}},
        "metadata": {"whole": {"accuracy": 0.5}},
    }
    full = full_page(project(tmp_path, content))
    assert "| 0.750 ± 0.013 (3) | 0.100 | 0.250 | 0.500 |" in full
    assert "| 0.750 ± 0.013 (3) | 0.600 (0.500 to 0.750) | 0.100 | 0.250 | 0.500 |" in full
    assert "| a | twin-free, 8 | 0.625 (0.500 to 0.750) |  |" in full


def test_a_score_on_another_set_has_a_table_of_its_own(tmp_path):
    scores = {"images": 7, "accuracy": 0.5, "macro": {"f1": 0.25}}
    result = {
        "scores": scores,
        "ci95": {"accuracy": INTERVAL, "macro": {"f1": INTERVAL}},
        "counts": {"training_twins": {"glioma": 2, "notumor": 1}},
    }
    project(tmp_path, run())
    content = {"name": "a on b", "command": "brainmri external", "commit": "abcdef0123456789", "result": result}
    (tmp_path / "results/external/a.json").write_text(json.dumps(content))
    full = full_page(tmp_path)
    unknown = "patients not looked for"
    assert f"| a on b | {unknown} | 7 | 3 | {unknown} | 0.500 (0.500 to 0.750) | 0.250 (0.500 to 0.750) |  |" in full
    assert "- a on b: `brainmri external` at commit `abcdef0123`" in full


def test_the_external_sets_of_a_run_stand_in_the_same_table(tmp_path):
    content = run()
    counts = {"training_twins": {"glioma": 2}, "training_patients": {"glioma": 1, "notumor": 4}}
    told = {"known": 3, "seen_in_training": 0, "images_without": 2}
    scores = {"images": 7, "accuracy": 0.5, "macro": {"f1": 0.25}}
    content["metrics"]["classify"]["external"] = {
        "b": {
            "counts": counts,
            "test_patients": told,
            "scores": scores,
            "ci95": {"accuracy": INTERVAL, "macro": {"f1": INTERVAL}},
        },
        "empty": {"counts": counts},  # nothing was left of it
    }
    dice = {"all": {"dice": {"mean": 0.5, "mean_ci95": INTERVAL}}, "images_with_tumour_mask": 2}
    content["metrics"]["segment"]["external"] = {"all": {"kmeans": dice}}
    full = full_page(project(tmp_path, content))
    scored = "7 | 2 | 5 | 0.500 (0.500 to 0.750) | 0.250 (0.500 to 0.750) | "
    assert f"| a, scored on b | none of 3; of 2 images not known | {scored} |" in full
    assert "scored on empty" not in full
    assert "| a | external |" not in full


def test_only_what_stands_between_the_marks_is_written(tmp_path):
    for page, made in results.pages(project(tmp_path, run())).items():
        assert made.startswith(f"before\n{results.BEGIN}\n\n{'| Scored' if page.name == 'README.md' else '## Every'}")
        assert made.endswith(f"\n{results.END}\nafter\n")
        assert "stale" not in made
        page.write_text(made)
        assert results.pages(tmp_path)[page] == made


def test_a_page_without_the_marks_is_refused(tmp_path):
    project(tmp_path, run())
    (tmp_path / "docs/results.md").write_text("no marks")
    with pytest.raises(ArtifactError, match=r"results\.md: should hold the lines"):
        results.pages(tmp_path)


@pytest.mark.parametrize(
    ("place", "lacking"),
    [("results/pooled.json", ("commit", "test_patients", "metrics")), ("results/external/pooled.json", ("result",))],
)
def test_a_file_that_holds_no_run_is_refused(tmp_path, place, lacking):
    project(tmp_path, run())
    (tmp_path / place).write_text(json.dumps({"folds": 5, "whole": {"accuracy": 0.9}}))
    said = "; .*".join(f"{name} is missing" for name in lacking)
    with pytest.raises(ArtifactError, match=rf"{place}: not as it was written: .*{said}"):
        results.pages(tmp_path)


@pytest.mark.parametrize(
    ("known", "seen", "without", "shown"),
    [
        (57, 0, 0, "none of 57"),
        (188, 187, 0, "yes, 187 of 188"),
        (41, 0, 405, "none of 41; of 405 images not known"),
        (0, 0, 8, "not known"),
    ],
)
def test_a_row_tells_the_test_patients_that_its_run_recorded(tmp_path, known, seen, without, shown):
    told = {"known": known, "seen_in_training": seen, "images_without": without}
    project(tmp_path, run() | {"test_patients": told})
    assert f"| the default | {shown} | 0.625" in readme(tmp_path)
    assert f"| a | {shown} | 0.625" in full_page(tmp_path)


def test_a_run_that_does_not_tell_its_test_patients_is_refused(tmp_path):
    content = run()
    del content["test_patients"]
    with pytest.raises(ArtifactError, match=r"0\.json: not as it was written: test_patients is missing"):
        results.pages(project(tmp_path, content))


@pytest.mark.parametrize("name", ["brainmri/preprocessing/known.csv", "brainmri/preprocessing/known.py"])
def test_a_run_whose_code_or_table_was_changed_is_not_recorded(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("a\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / name).write_text("b\n")
    with pytest.raises(ArtifactError, match=f"code should be committed .* {name}"):
        recording.record(tmp_path, "a", "dvc repro", tmp_path / "out.json")


def test_a_recorded_run_says_whether_its_test_patients_were_learnt_from(tmp_path, monkeypatch):
    monkeypatch.setattr(recording.lock, "out_problems", lambda root: [])
    monkeypatch.setattr(recording, "git", lambda root, *words: "" if words[0] == "status" else "0123")
    places = "{a: /somewhere/b.zip, k: o/d/versions/1}"
    (tmp_path / "params.yaml").write_text(f"fetch: {{local: {{classes: null}}, external: {places}}}\n")
    test = {"known": 9, "images_without": 4, "seen_in_training": 2}
    for name in recording.METRICS:
        (tmp_path / "metrics").mkdir(exist_ok=True)
        content = json.loads((ROOT / f"metrics/{name}.json").read_text())
        if name == "data":
            content["patients"]["test"] |= test
        (tmp_path / f"metrics/{name}.json").write_text(json.dumps(content))
    (tmp_path / "models/classifier").mkdir(parents=True)
    (tmp_path / "models/classifier/versions.json").write_text("{}")
    recording.record(tmp_path, "a", "dvc repro", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["test_patients"] == test
    assert json.loads((tmp_path / "a.json").read_text())["params"]["fetch"]["external"] == {
        "a": "b.zip",
        "k": "o/d/versions/1",
    }


def folds(name="by patient", accuracies=(0.5, 0.75)):
    """Return a run as `brainmri pool` writes it, of two folds with outlines."""
    content = run(name, methods=())
    classify = content["metrics"]["classify"]
    del classify["twin_free"], classify["ci95"]["twin_free"]
    spread = {"mean": {"accuracy": 0.625}, "sd": {"accuracy": 0.125}}
    classify["by_fold"] = {"runs": {str(at): {"accuracy": own} for at, own in enumerate(accuracies)}, **spread}
    classify["patients"] = {"accuracy": 0.875, "ci95": {"accuracy": INTERVAL}}
    dice = {"dice": {"mean": 0.125, "mean_ci95": INTERVAL}, "hd95": {"mean": 50.0}, "sensitivity": {"mean": 0.5}}
    content["metrics"]["segment"] = {
        "unet": {
            "all": dice,
            "images_with_tumour_mask": 6,
            "glioma": {"dice": {"mean": 0.25}},
            "by_size": {"large": {"dice": {"mean": 0.375}}},
            "by_fold": {"mean": {"dice": 0.5}, "sd": {"dice": 0.0625}},
        }
    }
    return content | {"folds": 2, "test_patients": {"known": 4, "seen_in_training": 0, "images_without": 0}}


def test_folds_stand_in_tables_of_their_own(tmp_path):
    full = full_page(project(tmp_path, run("a"), folds()))
    shown = "0.625 (0.500 to 0.750)"
    assert (
        f"| by patient | 4, none of 4 | {shown} of 8 | 0.625 ± 0.125 | 0.500 to 0.750 | 0.875 (0.500 to 0.750) |"
        in full
    )
    assert "| by patient | unet | 6 | 0.125 (0.500 to 0.750) | 0.500 ± 0.062 | 0.250 |  |  | 0.375 |" in full
    assert full.count("| by patient |") == 4  # also by class, and by method
    assert f"| by patient | {shown}" not in full  # not among the runs that one split was scored with


def test_a_headline_takes_its_outlines_from_another_run(tmp_path, monkeypatch):
    both = (results.Headline("new patients", "0.json", "1.json"),)
    monkeypatch.setattr(results, "HEADLINE", both)
    text = readme(project(tmp_path, run("a") | {"test_patients": folds()["test_patients"]}, folds("b")))
    assert "| new patients | none of 4 | 0.625 (0.500 to 0.750) of 8 | 0.125 (0.500 to 0.750) of 6 |" in text
    monkeypatch.setattr(results, "HEADLINE", (results.Headline("new patients", "0.json", "9.json"),))
    with pytest.raises(ArtifactError, match=r"results/9\.json: should hold the run of the README's row"):
        readme(tmp_path)


def folds_of(name):
    """Return the params of a preset, as folds have them: files without their folder, and no fold."""
    wanted = presets.read(ROOT, name)
    params = merged(parse_yaml(git(ROOT, "show", "HEAD:./params.yaml")), wanted)
    return {**params, "preprocess": {key: value for key, value in params["preprocess"].items() if key != "fold"}}


def test_pooled_folds_are_recorded_as_they_were_scored(tmp_path):
    pooled = tmp_path / "pooled"
    pooled.mkdir()
    params = folds_of("cheng-folds")
    told = {"test_patients": NOBODY, "metrics": folds()["metrics"]}
    scores = {"commit": "0123", "folds": 2, "params": params, **told}
    (pooled / "scores.json").write_text(json.dumps(scores))
    (pooled / "predictions.csv").write_text(
        "fold,image_id,label,predicted,patient,unit,group,p_NA,p_b\n"
        "0,12e4567,NA,NA,,3,1,0.6000004,0.3999996\n1,b,b,NA,p1,4,2,0.75,0.25\n"
    )
    recording.record_pooled(ROOT, pooled, "by patient", "make it", tmp_path / "one.json")
    assert json.loads((tmp_path / "one.json").read_text()) == {
        "name": "by patient",
        "command": "make it",
        "preset": "cheng-folds",
        **scores,
    }
    head = "image_id,label,patient,unit,fold,predicted,p_NA,p_b"
    told = [head, "12e4567,NA,,3,0,NA,0.6,0.4", "b,b,p1,4,1,NA,0.75,0.25"]
    assert (tmp_path / "out-of-fold/one.csv").read_text().splitlines() == told
    (pooled / "outlines.csv").write_text(
        "fold,image_id,truth_px,dice,method\n0,12e4567,,,kmeans\n1,b,9,0.123456,kmeans\n0,12e4567,,,unet\n1,b,9,0.5,unet\n"
    )
    recording.record_pooled(ROOT, pooled, "by patient", "make it", tmp_path / "two.json")
    told = [f"{head},truth_px,dice_kmeans,dice_unet", f"{told[1]},,,", f"{told[2]},9,0.12346,0.5"]
    assert (tmp_path / "out-of-fold/two.csv").read_text().splitlines() == told


def test_folds_without_one_commit_are_not_recorded(tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps(folds() | {"commit": "", "params": {}}))
    with pytest.raises(ArtifactError, match="the folds should be run with the code of one commit"):
        recording.record_pooled(ROOT, tmp_path, "by patient", "make it", tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()


def require_true(published, table):
    """Hold a published cross-validation against its table: nobody in two folds, and the scores are the table's own."""
    named = table[table["patient"] != ""]
    assert named.groupby("patient")["fold"].nunique().max() <= 1
    assert table.groupby("unit")["fold"].nunique().max() == 1
    assert not table["image_id"].duplicated().any()
    told, classify = published["test_patients"], published["metrics"]["classify"]
    assert (named["patient"].nunique(), (table["patient"] == "").sum()) == (told["known"], told["images_without"])
    assert told["seen_in_training"] == 0
    assert len(table) == classify["whole"]["images"]
    assert (table["label"] == table["predicted"]).mean() == pytest.approx(classify["whole"]["accuracy"])
    for method, scores in published["metrics"]["segment"].items():
        dice = table.loc[table["truth_px"].fillna(0) > 0, f"dice_{method}"]
        assert len(dice) == scores["images_with_tumour_mask"]
        assert dice.mean() == pytest.approx(scores["all"]["dice"]["mean"], abs=10**-recording.DIGITS)


PUBLISHED = sorted(Path("results").glob("*.json"))


@pytest.mark.parametrize("path", [path for path in PUBLISHED if "folds" in json.loads(path.read_text())], ids=str)
def test_no_patient_is_in_two_parts_of_a_published_run(path):
    texts = {"image_id": str, "label": str, "patient": str, "predicted": str}
    table = pd.read_csv(path.parent / recording.OUT_OF_FOLD / f"{path.stem}.csv", dtype=texts, keep_default_na=False,
                        na_values={"truth_px": "", **{f"dice_{name}": "" for name in METHODS}})  # fmt: skip
    published = json.loads(path.read_text())
    require_true(published, table)
    planted = table.assign(patient=table["patient"].where(table.index > 0, table["patient"].iloc[-1]))
    with pytest.raises(AssertionError):
        require_true(published, planted)
