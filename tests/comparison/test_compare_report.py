"""The report of a comparison, of two revisions of a small repository made by hand: what is written, and what fails."""

import base64
import json
import re
import shutil
import sys

import cv2
import pytest
import yaml
from revision_files import PARAMS, commit, predictions, run, write, wrong_at

from brainmri.commands import cli
from brainmri.comparison.compare_report import CHARTS


@pytest.fixture
def project(small_repository, tmp_path):
    """A copy of the small repository, with a second run tagged `second`: less dropout, fewer mistakes."""
    place = shutil.copytree(small_repository, tmp_path / "project")
    params = PARAMS | {"train": PARAMS["train"] | {"dropout": 0.1}}
    run(place, params=params, table=predictions(wrong_at(0, 5), confidence=0.8), dice=(0.7, 0.5))
    commit(place, "second")
    return place


def report(monkeypatch, project, out, *words):
    monkeypatch.setattr(sys, "argv", ["brainmri", "--root", str(project), "compare", "--bootstrap", "100", "--out",
                                      str(out), *words])  # fmt: skip
    cli.main()


def test_a_report_holds_text_charts_one_page_and_everything_for_programs(monkeypatch, capsys, project, tmp_path):
    out = tmp_path / "report"
    report(monkeypatch, project, out, "first", "second", "--fail-on-drop", "0.5")
    assert {path.name for path in out.iterdir()} == {*CHARTS, "report.md", "report.html", "summary.md", "compare.json"}
    for name in CHARTS:
        image = cv2.imread(str(out / name), 0)
        assert (image < 100).sum() > 500, name
    text = (out / "report.md").read_text()
    assert re.findall(r"\]\((\S+\.png)\)", text) == list(CHARTS)
    summary = (out / "summary.md").read_text()
    assert "![" not in summary
    assert "open `report.html` of the same run" in summary
    assert summary.startswith(capsys.readouterr().out)
    for part in (text, summary):
        assert part.startswith("**Simulated data: accuracy 0.900 → 0.950")
        assert "Bound kept: no score should surely get worse by more than 0.5, and of 7 checked none did." in part
        assert "| `train.dropout` | `0.5` | `0.1` |" in part
        assert "Epoch kept: 2 in A, 2 in B." in part
        assert "| 2 | 0.600 | 0.600 | 0.700 | 0.700 | 0.700 | 0.700 |" in part
    assert json.loads((out / "compare.json").read_text())["a"]["name"] == "first"


def test_the_page_holds_its_charts_and_loads_nothing(monkeypatch, project, tmp_path):
    out = tmp_path / "report"
    report(monkeypatch, project, out, "first", "second")
    page = (out / "report.html").read_text()
    links = re.findall(r'href="([^"]*)"', page)
    assert set(links) <= {"#main", *(f"#{name}" for name in re.findall(r'id="(s\d+)"', page))}
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == len(CHARTS)
    for source, name in zip(sources, CHARTS, strict=True):
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == (out / name).read_bytes()
    assert "<table>" in page
    assert "://" not in page
    assert re.findall(r"<h(\d)", page)[:2] == ["1", "2"]  # no level is left out


def test_equal_comparisons_write_equal_bytes(monkeypatch, project, tmp_path):
    for name in ("one", "two"):
        report(monkeypatch, project, tmp_path / name, "first", "second")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_names_are_shown_as_given_and_can_neither_break_the_page_nor_the_charts(monkeypatch, project, tmp_path):
    out = tmp_path / "report"
    report(monkeypatch, project, out, "first", "second", "--names", "main", "a$b$|<script>x</script>@c")
    assert "|  | A: main | B: a$b$\\|&lt;script>x&lt;/script>&#64;c |" in (out / "report.md").read_text()
    page = (out / "report.html").read_text()
    assert "<script" not in page
    assert "a$b$|&lt;script" in page


def test_a_broken_bound_is_written_and_fails(monkeypatch, project, tmp_path):
    write(project, "plots/predictions.csv", predictions(wrong_at(*range(20))))
    with pytest.raises(SystemExit, match=r"no score should fall by more than 0\.02 .* received accuracy"):
        report(monkeypatch, project, tmp_path / "report", "first", "--fail-on-drop", "0.02")
    assert "**Bound broken: no score" in (tmp_path / "report/summary.md").read_text()


@pytest.mark.parametrize(
    ("remove", "said"),
    [
        ("metrics/classify.json metrics/data.json", "workspace: metrics: should hold what report wrote"),
        ("plots/predictions.csv", "workspace: plots/predictions.csv: no such file"),
        ("dvc.lock", "workspace: dvc.lock: no such file"),
    ],
)
def test_a_revision_without_results_is_no_revision_without_changes(monkeypatch, project, tmp_path, remove, said):
    for path in remove.split():
        (project / path).unlink()
    with pytest.raises(SystemExit, match="both revisions should have run and hold their results") as caught:
        report(monkeypatch, project, tmp_path / "report", "first")
    assert said in str(caught.value)
    text = (tmp_path / "report/summary.md").read_text()
    assert f"- {said}" in text
    assert "nothing changed" not in text


def test_a_revision_that_has_not_run_is_no_revision_without_changes(monkeypatch, project, tmp_path):
    write(project, "params.yaml", yaml.safe_dump(PARAMS | {"train": PARAMS["train"] | {"dropout": 0.3}}))
    write(project, "code.py", "x = 1\n")
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["all"]["deps"] = [{"path": "code.py", "md5": "0" * 32}, {"path": "data/raw", "md5": "1" * 32}]
    write(project, "dvc.lock", yaml.safe_dump(lock))
    said = r"workspace: all should have run since a change of train.dropout, code.py; run `dvc repro` there"
    with pytest.raises(SystemExit, match=said):
        report(monkeypatch, project, tmp_path / "report", "second")
    text = (tmp_path / "report/summary.md").read_text()
    assert "### Not run as they stand" in text
    assert "nothing changed" not in text


def test_charts_whose_data_are_missing_are_left_out_and_the_rest_is_drawn(monkeypatch, project, tmp_path):
    write(project, "plots/curves.csv", "epoch,loss\n1,2\n")
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["all"]["outs"][-1]["md5"] = "0" * 32 + ".dir"
    write(project, "dvc.lock", yaml.safe_dump(lock))
    out = tmp_path / "report"
    report(monkeypatch, project, out, "first")
    assert {path.name for path in out.glob("*.png")} == {*CHARTS} - {"curves.png", "dice.png"}
    text = (out / "report.md").read_text()
    assert "- workspace: plots/curves.csv: should have the columns" in text
    assert "- workspace: data/segmentation: not in DVC's cache" in text


def test_classes_that_only_one_knows_and_labels_that_differ_do_not_stop_the_charts(monkeypatch, project, tmp_path):
    table = predictions(wrong_at(0)).replace("notumor", "healthy")
    write(project, "plots/predictions.csv", table)
    out = tmp_path / "report"
    report(monkeypatch, project, out, "first")
    assert cv2.imread(str(out / "confusion.png")) is not None
    assert "| in both, labels differ | 20 | 20 |" in (out / "report.md").read_text()
