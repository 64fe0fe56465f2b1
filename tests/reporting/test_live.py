"""Curves while a network learns."""

import json
import subprocess
import sys

import pytest
import yaml
from revision_files import sh

from brainmri.reporting import live

ROWS = [{"epoch": 1, "loss": 2.0, "val_loss": 3.0}, {"epoch": 2, "loss": 1.0, "val_loss": 2.5}]


def test_curves_stand_there_while_a_stage_learns_and_then_no_more(tmp_path):
    live.show(tmp_path, "train", ROWS[:1])
    live.show(tmp_path, "train", ROWS)
    live.show(tmp_path, "train_unet", [{"epoch": 1, "soft_dice": 0.5, "val_soft_dice": 0.25}])
    assert (tmp_path / "live/train.csv").read_text() == "epoch,loss,val_loss\n1,2.0,3.0\n2,1.0,2.5\n"
    plots = yaml.safe_load((tmp_path / "live/dvc.yaml").read_text())["plots"]
    assert [next(iter(plot)) for plot in plots] == ["train now: loss by epoch", "train_unet now: soft_dice by epoch"]
    live.hide(tmp_path, "train")
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == ["dvc.yaml", "train_unet.csv"]
    live.hide(tmp_path, "train_unet")
    live.hide(tmp_path, "train_unet")  # a second time is no error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_dvc_draws_them_in_the_middle_and_misses_nothing_after(tmp_path):
    sh(tmp_path, "git", "init", "--quiet")
    sh(tmp_path, sys.executable, "-m", "dvc", "init", "--quiet")
    words = [sys.executable, "-m", "dvc", "plots", "show", "--json"]

    def drawn():
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "failed to load" not in done.stderr
        return json.loads(done.stdout or "{}").get("data", {})

    live.show(tmp_path, "train", ROWS)
    ((plot,),) = drawn().values()
    values = plot["content"]["data"]["values"]
    assert {(row["epoch"], row["loss"]) for row in values} == {("1", "2.0"), ("2", "1.0")}
    live.hide(tmp_path, "train")
    assert drawn() == {}
