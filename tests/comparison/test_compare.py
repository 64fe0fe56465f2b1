"""Two revisions of a small repository, made by hand with git, a dvc.lock and a cache: what is compared and said."""

import json
import shutil
import sys

import numpy as np
import pytest
import yaml
from dvc.repo import Repo
from revision_files import (
    LABELS,
    NAMES,
    PARAMS,
    SPLITS,
    cached_folder,
    commit,
    outlines,
    predictions,
    run,
    sh,
    write,
    wrong_at,
)

from brainmri.commands import cli
from brainmri.comparison import regression
from brainmri.comparison.compare import compare
from brainmri.comparison.compare_document import as_blocks, as_comment
from brainmri.comparison.regression import verdict
from brainmri.core.errors import ArtifactError, InputError


def as_markdown(result):
    return as_comment(as_blocks(result))


@pytest.fixture
def project(small_repository, tmp_path):
    """A copy of the small repository."""
    return shutil.copytree(small_repository, tmp_path / "project")


def test_metrics_are_listed_with_their_difference(project):
    write(project, "metrics/classify.json", json.dumps({"whole": {"accuracy": 0.95, "epoch": 3}, "note": "x"}))
    commit(project, "second")
    found = compare(project, "first", "second", repeats=100)["metrics"]
    assert found["metrics/classify.json"] == {
        "whole.accuracy": {"a": 0.9, "b": 0.95, "difference": pytest.approx(0.05)},
        "whole.epoch": {"a": None, "b": 3, "difference": None},
        "note": {"a": None, "b": "x", "difference": None},
        "ci95.whole.low": {"a": 0.8, "b": None, "difference": None},
    }
    assert found["metrics/data.json"]["simulated"]["difference"] is None  # true and false are no numbers


def test_markdown_leaves_bounds_of_intervals_to_the_json(project):
    write(project, "metrics/classify.json", json.dumps({"whole": {"accuracy": 0.95}, "ci95": {"whole": {"low": 0.7}}}))
    text = as_markdown(compare(project, "first", repeats=100))
    assert "| classify.json | whole.accuracy | 0.9 | 0.95 | +0.050 |" in text
    assert "### Metrics changed: 1\n" in text


def test_a_comparison_reads_git_and_cache_and_changes_nothing(project):
    run(project, table=predictions(wrong_at(0)))
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and ".dvc/tmp" not in str(path)}
    result = compare(project, "first", repeats=100)
    assert result["missing"] == []
    after = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and ".dvc/tmp" not in str(path)}
    assert after == before
    assert not (project / "data").exists()


def test_equal_runs_give_equal_bytes(project):
    run(project, table=predictions(wrong_at(0, 5)), dice=(0.7, 0.5))
    first, second = (compare(project, "first", repeats=100, seed=4) for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
    assert as_markdown(first) == as_markdown(second)


def test_the_workspace_is_read_as_it_stands(project):
    write(project, "plots/predictions.csv", predictions(wrong_at()))
    result = compare(project, "first", repeats=100)
    assert (result["b"]["name"], result["b"]["commit"]) == ("workspace", "")
    assert result["whole"]["scores"]["accuracy"]["b"] == 1
    assert compare(project, "workspace", "first", repeats=100)["whole"]["scores"]["accuracy"]["a"] == 1


def test_a_dvc_experiment_is_a_revision(project):
    base = sh(project, "git", "rev-parse", "HEAD")
    run(project, table=predictions(wrong_at()))
    sh(project, "git", "commit", "--quiet", "--all", "--message", "experiment")
    sh(project, "git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/brisk-name", "HEAD")
    tip = sh(project, "git", "rev-parse", "HEAD")
    sh(project, "git", "reset", "--quiet", "--hard", base)
    result = compare(project, "first", "brisk-name", repeats=100)
    assert result["b"]["commit"] == tip
    assert result["whole"]["scores"]["accuracy"]["b"] == 1


def test_a_folder_inside_the_repository_of_another_project_works(tmp_path):
    sh(tmp_path, "git", "init", "--quiet", "--initial-branch", "main")
    place = tmp_path / "inner"
    place.mkdir()
    Repo.init(str(place), subdir=True).close()
    run(place)
    commit(tmp_path, "first")
    result = compare(place, "first", repeats=100)
    assert result["missing"] == []
    assert result["whole"]["same"]


@pytest.mark.parametrize(
    "name",
    [
        *("nope", "", "HEAD~99", "main..first", "--all", "-x", "HEAD:params.yaml", "HEAD^{tree}", "a\nb", "a\0b"),
        *("x" * 1000, "x/" * 500, "é" * 150, "@{", "..", "HEAD@{9999}", "HEAD^^^^", "\ud800"),
    ],
)
def test_an_unknown_revision_is_refused_in_one_sentence(project, name):
    with pytest.raises(InputError, match="each revision should be a commit, branch, tag or experiment") as caught:
        compare(project, "first", name, repeats=100)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "lock",
    ["<<<<<<< HEAD\nschema: '2.0'\n=======\n", "[]", "schema: '1.0'\nstages: {}\n", "stages: {all: {outs: [3]}}\n"],
)
def test_a_damaged_lock_is_named_and_the_rest_compared(project, lock):
    write(project, "dvc.lock", lock)
    result = compare(project, "first", repeats=100)
    (said,) = [text for text in result["missing"] if text.startswith("workspace: dvc.lock")]
    assert "\n" not in said
    assert result["whole"] is not None


def test_a_folder_without_dvc_or_git_is_refused(tmp_path):
    with pytest.raises(InputError, match="should be a DVC project in a git repository"):
        compare(tmp_path, "HEAD")
    Repo.init(str(tmp_path), no_scm=True).close()
    with pytest.raises(InputError, match="should be"):
        compare(tmp_path, "HEAD")


def test_too_few_resamples_and_seeds_below_zero_are_refused(project):
    with pytest.raises(InputError, match="seed should be at least 0, received -1"):
        compare(project, "first", seed=-1)
    with pytest.raises(InputError, match="at least 100, received 99"):
        compare(project, "first", repeats=99)


def test_a_revision_compared_with_itself_says_so(project):
    result = compare(project, "first", "main", repeats=100)
    assert result["same_commit"]
    assert verdict(result).startswith("Simulated data: first (")
    assert "are the same revision, there is nothing to compare" in verdict(result)


def test_a_revision_without_predictions_is_named_and_the_rest_appears(project):
    (project / "plots/predictions.csv").unlink()
    write(project, "params.yaml", yaml.safe_dump(PARAMS | {"train": PARAMS["train"] | {"epochs": 3}}))
    result = compare(project, "first", repeats=100)
    assert result["images"] is result["whole"] is result["twin_free"] is result["changed_predictions"] is None
    assert result["missing"] == [
        "workspace: plots/predictions.csv: no such file; run `dvc repro` there and commit what it writes"
    ]
    text = as_markdown(result)
    assert text.startswith("**Simulated data: predictions cannot be compared, because one revision or both lack them")
    assert "`train.epochs` | `2` | `3`" in text
    assert "- workspace: plots/predictions.csv: no such file" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "should be a CSV table"),
        ("image_id,label\ni1,glioma\n", "should have the columns"),
        (predictions(wrong_at()) + "i00,glioma,glioma,0,0,False,False,0.9,0.1\n", "should occur once"),
        (
            predictions(wrong_at()).replace("glioma,glioma,0,0", "glioma,notumor,0,0"),
            "predicted should be the likeliest",
        ),
        (predictions(wrong_at()).replace("i00,glioma,", "i00,cyst,"), "labels should be classes of the model"),
        (predictions(wrong_at()).replace("0.9000,0.1000", "0.9000,", 1), "should be at least 0 and sum to 1"),
        (predictions(wrong_at()).replace("0.9000,0.1000", "0.9000,x", 1), "should be numbers"),
        ("image_id,label,predicted,unit\ni1,a,a,1\n", "should hold images and a column p_<class>"),
    ],
)
def test_predictions_that_cannot_be_right_are_named(project, text, message):
    write(project, "plots/predictions.csv", text)
    result = compare(project, "first", repeats=100)
    assert result["whole"] is None
    assert [message in line and line.startswith("workspace: plots/predictions.csv:") for line in result["missing"]] == [
        True
    ]


def test_an_id_that_looks_like_a_number_and_a_class_called_na_stay_text(project):
    text = predictions(wrong_at()).replace("i00", "12e45").replace("i01", "0012").replace("notumor", "NA")
    write(project, "plots/predictions.csv", text)
    run_of_first = compare(project, "workspace", "workspace", repeats=100)
    assert run_of_first["images"]["both"] == 40
    assert "classes.NA.f1" in run_of_first["whole"]["scores"]
    other = predictions(wrong_at(0)).replace("i00", "12e45").replace("i01", "0012").replace("notumor", "NA")
    commit(project, "named")
    write(project, "plots/predictions.csv", other)
    assert compare(project, "named", repeats=100)["changed_predictions"][0]["image_id"] == "12e45"


def test_files_that_git_holds_broken_are_named(project):
    write(project, "params.yaml", "a: [")
    write(project, "metrics/classify.json", "{")
    write(project, "dvc.lock", "stages: [1]")
    result = compare(project, "first", repeats=100)
    said = "\n".join(result["missing"])
    for name in (
        "params.yaml: not a readable YAML file",
        "metrics/classify.json: should be JSON",
        "dvc.lock: not a lock as DVC writes it",
    ):
        assert f"workspace: {name}" in said
    assert result["params"] == {"params.yaml": None, "dvc.lock": None}
    assert "### Params" not in as_markdown(result)
    assert result["whole"]["same"]


def test_test_sets_that_differ_are_compared_on_what_they_share(project):
    labels = [NAMES[1 - NAMES.index(name)] if at == 9 else name for at, name in enumerate(LABELS)]
    write(project, "plots/predictions.csv", predictions(wrong_at(30, labels=labels), labels, first=6))
    result = compare(project, "first", repeats=100)
    # A has i00 to i39, B i06 to i45; i15 has another label in B.
    assert result["images"] == {"both": 34, "only_a": 6, "only_b": 6, "relabelled": 1}
    assert result["whole"]["images"] == 33
    assert result["whole"]["scores"]["accuracy"]["a"] == 1  # A's mistakes, i00 to i03, are not in B
    assert result["whole"]["scores"]["accuracy"]["b"] == pytest.approx(32 / 33)
    assert "(on the 33 images that both scored under the same label: the test sets differ)" in verdict(result)
    assert "| in both, labels differ | 1 | 1 |" in as_markdown(result)


def test_test_sets_without_a_shared_image_cannot_be_compared(project):
    write(project, "plots/predictions.csv", predictions(wrong_at(), first=50))
    result = compare(project, "first", repeats=100)
    assert result["images"] == {"both": 0, "only_a": 40, "only_b": 40, "relabelled": 0}
    assert "no image with the same label was scored in both" in verdict(result)
    as_markdown(result)


def test_twin_free_images_are_compared_beside_all(project):
    write(project, "plots/predictions.csv", predictions(wrong_at(0, 1), twins=range(4, 40)))
    result = compare(project, "first", repeats=100)
    assert (result["whole"]["images"], result["twin_free"]["images"]) == (40, 4)
    assert result["twin_free"]["scores"]["accuracy"]["difference"] == 0.5
    assert "| twin-free: accuracy | 0.000 | 0.500 |" in as_markdown(result)


def test_the_verdict_reads_as_it_should(project):
    write(project, "plots/predictions.csv", predictions(wrong_at(0, 1, 2)))
    result = compare(project, "first", repeats=500)
    row = result["whole"]["scores"]["accuracy"]
    low, high = (f"{row[end]:.3f}".replace("-", "−") for end in ("low", "high"))
    assert verdict(result) == (
        f"Simulated data: accuracy 0.900 → 0.925, +0.025 ({low} to {high}), McNemar p = 1: no difference beyond chance"
    )


@pytest.mark.parametrize(
    ("low", "high", "p", "reading"),
    [
        (0.01, 0.1, 0.01, "higher beyond chance"),
        (-0.1, -0.01, 0.01, "lower beyond chance"),
        (0.01, 0.1, 0.2, "not clear: the interval leaves zero out"),
        (-0.1, 0.1, 0.01, "not clear: the interval holds zero"),
        (-0.1, 0.1, 0.2, "no difference beyond chance"),
        (None, None, 0.01, "too few units for an interval"),
    ],
)
def test_beyond_chance_needs_interval_and_test(project, low, high, p, reading):
    result = compare(project, "first", repeats=100)
    result["whole"]["same"] = False
    result["whole"]["scores"]["accuracy"] |= {"low": low, "high": high}
    result["whole"]["mcnemar"]["p"] = p
    assert reading in verdict(result)


def test_simulated_and_real_are_told_apart_first(project):
    assert verdict(compare(project, "first", repeats=100)).startswith("Simulated data: ")
    write(project, "metrics/data.json", json.dumps({"simulated": False}))
    result = compare(project, "first", repeats=100)
    assert verdict(result).startswith("Different data (simulated → not simulated): ")
    assert "| data | simulated | not simulated |" in as_markdown(result)
    (project / "metrics/data.json").unlink()
    assert verdict(compare(project, "first", repeats=100)).startswith("Different data (simulated → unknown whether")


def test_images_with_another_answer_are_listed_the_new_mistakes_first(project):
    write(project, "plots/predictions.csv", predictions(wrong_at(1, 2, 3, 7), confidence=0.8))
    changed = compare(project, "first", repeats=100)["changed_predictions"]
    assert [row["image_id"] for row in changed] == ["i07", "i00"]
    assert changed[0] == {
        "image_id": "i07",
        "a": {"label": "notumor", "predicted": "notumor", "confidence": pytest.approx(0.9)},
        "b": {"label": "notumor", "predicted": "glioma", "confidence": pytest.approx(0.8)},
    }


def test_markdown_shows_twenty_of_the_changed_images_and_says_how_many_there_are(project):
    write(project, "plots/predictions.csv", predictions(wrong_at(*range(4, 30))))
    result = compare(project, "first", repeats=100)
    text = as_markdown(result)
    assert len(result["changed_predictions"]) == 30
    assert "### Predicted class changed: 30 images" in text
    assert "The first 20 of 30; `--json` has all." in text
    assert text.count("| `i") == 20


def test_params_that_changed_are_listed_with_both_values(project):
    params = {
        "train": {"epochs": 3, "dropout": 0.5, "mirror": 1, "windows": [[1, 99]]},
        "fetch": {"local": "/mnt/elsewhere/set.zip"},
    }
    run(project, params=params)
    found = compare(project, "first", repeats=100)["params"]
    expected = {
        "train.epochs": {"a": 2, "b": 3},
        "train.mirror": {"a": True, "b": 1},
        "train.windows": {"b": [[1, 99]]},  # absent in A; the archive only moved, and its folder is nobody's business
    }
    assert found["params.yaml"] == expected
    assert found["dvc.lock"] == {f"all: {key}": value for key, value in expected.items()}
    text = as_markdown(compare(project, "first", repeats=100))
    assert "| `train.windows` | absent | `[[1, 99]]` |" in text
    assert "as run" not in text  # the lock agrees with the file


def test_params_that_only_the_run_had_are_shown(project):
    run(project, used={"train": {"epochs": 9, "dropout": 0.5, "mirror": True}, "fetch": PARAMS["fetch"]})
    text = as_markdown(compare(project, "first", repeats=100))
    assert "| `all: train.epochs` as run (dvc.lock) | `2` | `9` |" in text


def test_no_private_path_is_shown(project):
    run(
        project,
        params={"fetch": {"local": "/home/me/new.zip", "other": "~/x/y.zip", "third": r"C:\Users\me\z.zip"}},
    )
    result = compare(project, "first", repeats=100)
    for text in (json.dumps(result), as_markdown(result)):
        assert "new.zip" in text
        assert not [word for word in ("somebody", "private", "Users", "~/x") if word in text]


def changed_data(project, splits, content=None):
    run(project, splits=splits, content=content)
    return compare(project, "first", repeats=100)["data"]


def test_images_added_removed_relabelled_and_moved_are_told(project):
    splits = {
        "train": [("t1", "glioma"), ("t2", "notumor"), ("new", "glioma")],
        "val": [("v1", "glioma"), ("t3", "glioma")],
        "test": SPLITS["test"],
    }
    found = changed_data(project, splits)
    assert found["counts"] == {"added": 1, "removed": 1, "relabelled": 2, "moved": 1}
    assert {row["image_id"]: row["changes"] for row in found["rows"]} == {
        "new": ["added"], "t2": ["relabelled"], "t3": ["relabelled", "moved"], "t4": ["removed"],
    }  # fmt: skip
    text = as_markdown(compare(project, "first", repeats=100))
    assert "### Images: 1 added, 1 removed, 2 relabelled, 1 moved" in text
    assert "| relabelled, moved | train notumor | val glioma | 1 |" in text


def test_a_file_put_into_another_class_folder_is_relabelled_not_new(project):
    splits = SPLITS | {"train": [("t1", "glioma"), ("renamed", "notumor"), ("t3", "notumor"), ("t4", "notumor")]}
    content = {name: f"sha-{name}" for rows in SPLITS.values() for name, _ in rows} | {"renamed": "sha-t2"}
    found = changed_data(project, splits, content)
    assert [(row["image_id"], row["changes"]) for row in found["rows"]] == [("renamed", ["relabelled"])]
    assert found["rows"][0]["a"] == {"label": "glioma", "split": "train"}
    assert found["followed_by_content"]


def test_copies_of_one_file_are_not_followed(project):
    splits = SPLITS | {"train": [("x1", "notumor"), ("x2", "notumor"), ("t3", "notumor"), ("t4", "notumor")]}
    content = {name: f"sha-{name}" for rows in splits.values() for name, _ in rows} | {"x1": "sha-t2", "x2": "sha-t2"}
    assert changed_data(project, splits, content)["counts"] == {"added": 2, "removed": 2, "relabelled": 0, "moved": 0}


def forget(project, *paths):
    """Remove the objects of an out of the workspace's dvc.lock from the cache."""
    outs = yaml.safe_load((project / "dvc.lock").read_text())["stages"]["all"]["outs"]
    for out in outs:
        if out["path"] in paths:
            (project / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]).unlink()


def test_what_the_cache_lacks_is_named_and_the_rest_appears(project):
    run(project, splits=SPLITS | {"val": []}, dice=(0.1, 0.2), table=predictions(wrong_at(0)))
    forget(project, "data/processed/val", "data/segmentation")
    result = compare(project, "first", repeats=100)
    assert result["data"] is result["segmentation"] is None
    assert len(result["missing"]) == 2
    for out, line in zip(("data/processed/val", "data/segmentation"), result["missing"], strict=True):
        assert line.startswith(f"workspace: {out}: not in DVC's cache (md5 ")
        assert line.endswith("`dvc pull` at that revision or `dvc fetch --all-commits` gets it")
    text = as_markdown(result)
    assert "| accuracy | 0.900 | 0.975 |" in text
    assert "- workspace: data/segmentation: not in DVC's cache" in text


def test_without_the_manifest_images_are_followed_by_id_alone(project):
    run(project, splits=SPLITS | {"val": [("v2", "glioma")]}, content={"v2": "sha-v1"})
    forget(project, "data/raw")
    result = compare(project, "first", repeats=100)
    assert result["data"]["counts"] == {"added": 1, "removed": 1, "relabelled": 0, "moved": 0}
    assert "by id alone" in as_markdown(result)
    assert ["data/raw" in line for line in result["missing"]] == [True]


def test_one_split_that_the_cache_lacks_is_named_though_it_did_not_change(project):
    run(project, splits=SPLITS | {"val": [("v2", "glioma")]})
    forget(project, "data/processed/train")
    result = compare(project, "first", repeats=100)
    assert result["data"] is None
    assert [line.split(": not in")[0] for line in result["missing"]] == [
        "first: data/processed/train", "workspace: data/processed/train",
    ]  # fmt: skip


def test_a_file_of_git_is_named_where_it_is_missing_though_the_lock_knows_it(project):
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["report"] = {"outs": [{"path": "plots/predictions.csv", "md5": "0" * 32}]}
    write(project, "dvc.lock", yaml.safe_dump(lock))
    commit(project, "listed")
    (project / "plots/predictions.csv").unlink()
    result = compare(project, "listed", repeats=100)
    assert ["plots/predictions.csv: no such file" in line for line in result["missing"]] == [True]


def test_equal_hashes_need_no_cache(project):
    forget(project, *(f"data/processed/{name}" for name in SPLITS), "data/raw", "data/segmentation")
    result = compare(project, "first", repeats=100)
    assert result["missing"] == []
    assert result["data"]["counts"] == {"added": 0, "removed": 0, "relabelled": 0, "moved": 0}
    assert "The outlines are the same" in as_markdown(result)


def test_dice_is_compared_by_method_and_lone_methods_are_named(project):
    run(project, dice=(0.6, 0.8))
    other = cached_folder(project, {"rows.csv": outlines((0.6, 0.8)) + outlines((0.9, 0.9), "unet").partition("\n")[2]})
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["all"]["outs"][-1]["md5"] = other
    write(project, "dvc.lock", yaml.safe_dump(lock))
    found = compare(project, "first", repeats=100)
    assert found["segmentation"]["methods"]["kmeans"]["difference"] == pytest.approx(0.15)
    assert (found["segmentation"]["only_a"], found["segmentation"]["only_b"]) == ([], ["unet"])
    text = as_markdown(found)
    assert "| kmeans | 2 | 0.550 | 0.700 | +0.150 (0.100 to 0.200) |" in text
    assert "Method unet is in B alone." in text


def test_names_cannot_break_the_markdown(project):
    def evil(*wrong):
        return predictions(wrong_at(*wrong)).replace("glioma", "@a|<b>`")

    write(project, "plots/predictions.csv", evil())
    commit(project, "evil")
    run(project, params={"train": {"note": "a | b\n# `x` <img src=x> @somebody"}}, table=evil(0))
    text = as_markdown(compare(project, "evil", repeats=100))
    assert "| `train.note` | absent | `a \\| b # 'x' <img src=x> @somebody` |" in text  # a code span, shown as it is
    assert "| classes.&#64;a\\|&lt;b>\\`.f1 | 1.000 |" in text
    assert "| `i00` | &#64;a\\|&lt;b>\\` |" in text
    assert "<b>" not in text
    assert not [line for line in text.splitlines() if line.startswith("# ")]


def row(low, high):
    return {"a": 0.9, "b": 0.8, "difference": -0.1, "low": low, "high": high}


def result_of(segmentation=None, **rows):
    rows = {name.replace("__", "."): value for name, value in rows.items()}
    return {"whole": {"scores": rows}, "segmentation": segmentation, "b": {"name": "B"}}


@pytest.mark.parametrize(
    ("name", "low", "high", "fell"),
    [
        ("accuracy", -0.2, -0.06, True),
        ("accuracy", -0.2, -0.05, False),  # not more than the limit
        ("accuracy", -0.2, -0.01, False),  # fell, but perhaps by less
        ("accuracy", 0.06, 0.2, False),
        ("macro__f1", -0.2, -0.06, True),
        ("classes__a__f1", -0.2, -0.06, True),
        ("classes__a__recall", -0.2, -0.06, False),
        ("loss", 0.06, 0.2, True),
        ("loss", -0.2, -0.06, False),
        ("ece", 0.06, 0.2, True),
        ("ece", 0.01, 0.2, False),
    ],
)
def test_a_drop_counts_if_even_the_favourable_end_is_beyond_the_limit(name, low, high, fell):
    none = {"methods": {}, "only_a": [], "only_b": []}
    found, unchecked = regression.drops(result_of(none, **{name: row(low, high)}), 0.05)
    assert (len(found) == 1) is fell
    assert unchecked == []


def test_what_has_no_interval_is_named_as_not_checked():
    segmentation = {"methods": {"kmeans": row(-0.3, -0.2), "new": row(None, None)}, "only_a": ["gone"], "only_b": []}
    fell, unchecked = regression.drops(result_of(segmentation, accuracy=row(None, None)), 0.05)
    assert fell == ["dice of kmeans (-0.100, -0.300 to -0.200)"]
    assert unchecked == ["accuracy", "dice of new", "dice of gone"]


@pytest.mark.parametrize("limit", [-0.1, np.nan])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(InputError, match="should be a number of at least 0"):
        regression.drops(result_of(), limit)


def test_a_drop_or_nothing_to_check_fails_and_lesser_gaps_warn(capsys):
    with pytest.raises(ArtifactError, match=r"should fall by more than 0\.05 .* received accuracy \(-0\.100"):
        regression.require_no_drop(result_of(accuracy=row(-0.2, -0.06)), 0.05)
    with pytest.raises(ArtifactError, match="accuracy has no paired interval"):
        regression.require_no_drop(result_of() | {"whole": None}, 0.05)
    regression.require_no_drop(result_of(accuracy=row(-0.2, 0.0)), 0.05)
    assert "not checked for a drop: segmentation" in capsys.readouterr().err


def command(monkeypatch, project, *words):
    monkeypatch.setattr(sys, "argv", ["brainmri", "--root", str(project), "compare", *words])
    cli.main()


def test_the_command_prints_markdown_or_json(monkeypatch, capsys, project):
    command(monkeypatch, project, "first", "--bootstrap", "100")
    assert capsys.readouterr().out.startswith("**Simulated data: nothing changed: params, images,")
    command(monkeypatch, project, "first", "main", "--json", "--bootstrap", "100", "--seed", "3")
    found = json.loads(capsys.readouterr().out)
    assert (found["seed"], found["bootstrap"], found["same_commit"]) == (3, 100, True)


def test_the_command_fails_on_a_drop_after_it_printed(monkeypatch, capsys, project):
    write(project, "plots/predictions.csv", predictions(wrong_at(*range(20))))
    command(monkeypatch, project, "first", "--bootstrap", "100", "--fail-on-drop", "0.9")
    with pytest.raises(SystemExit, match=r"error: workspace: no score should fall by more than 0\.05"):
        command(monkeypatch, project, "first", "--bootstrap", "100", "--fail-on-drop", "0.05")
    assert "lower beyond chance" in capsys.readouterr().out


WRITER = """
import sys, yaml
from pathlib import Path
count = yaml.safe_load(open("params.yaml"))["made"]["count"]
for split in ("train", "val", "test"):
    folder = Path("data/processed") / split
    folder.mkdir(parents=True)
    rows = [f"{split}{at},glioma" for at in range(count)]
    (folder / "index.csv").write_text("\\n".join(["image_id,label", *rows]) + "\\n")
Path("data/raw").mkdir(parents=True)
Path("data/raw/manifest.csv").write_text("image_id,set,sha256\\n")
Path("data/segmentation").mkdir(parents=True)
rows = [f"i{at},0,{at},9,{at / count},kmeans" for at in range(2)]
Path("data/segmentation/rows.csv").write_text("\\n".join(["image_id,label,unit,truth_px,dice,method", *rows]) + "\\n")
"""


@pytest.mark.slow
@pytest.mark.pipeline
def test_what_dvc_itself_wrote_is_read_back(project):
    """The lock, the cache and the experiment of a real `dvc repro` and `dvc exp run`, not of this file's own making."""
    outs = ["data/raw", "data/segmentation", *(f"data/processed/{name}" for name in SPLITS)]
    stage = {"cmd": "python writer.py", "params": ["made"], "deps": ["writer.py"], "outs": outs}
    write(project, ".dvc/config", "")  # `dvc exp run` would ask the remote
    write(project, "writer.py", WRITER)
    write(project, "dvc.yaml", yaml.safe_dump({"stages": {"made": stage}}))
    write(project, "params.yaml", "made:\n  count: 4\n")
    (project / "dvc.lock").unlink()
    (project / ".gitignore").write_text("/data\n")
    dvc = [sys.executable, "-m", "dvc"]
    sh(project, *dvc, "repro", "--quiet")
    commit(project, "made")
    sh(project, *dvc, "exp", "run", "--quiet", "--name", "more", "-S", "made.count=5")
    for revision in ("more", "workspace"):
        result = compare(project, "made", revision, repeats=100)
        assert result["missing"] == []
        assert result["data"]["counts"] == {"added": 3, "removed": 0, "relabelled": 0, "moved": 0}
        assert result["params"]["params.yaml"] == {"made.count": {"a": 4, "b": 5}}
        assert result["params"]["dvc.lock"] == {"made: made.count": {"a": 4, "b": 5}}
        assert result["segmentation"]["methods"]["kmeans"]["difference"] == pytest.approx(0.5 * (1 / 5 - 1 / 4))
