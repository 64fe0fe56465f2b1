"""A repository with a run of the pipeline made by hand: git, a dvc.lock, objects in the cache; fast to make anew."""

import hashlib
import json
import os
import subprocess

import yaml

NAMES = ("glioma", "notumor")
LABELS = [NAMES[at % 2] for at in range(40)]


def sh(project, *words):
    names = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    result = subprocess.run(words, cwd=project, env={**os.environ, **names}, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def commit(project, tag):
    sh(project, "git", "add", "--all")
    sh(project, "git", "commit", "--quiet", "--allow-empty", "--message", tag)
    sh(project, "git", "tag", tag)


def write(project, path, text):
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text(text)


def cached(project, data):
    """Put bytes into DVC's cache and return their MD5."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    place = project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return md5


def cached_folder(project, files):
    listing = [{"md5": cached(project, text.encode()), "relpath": name} for name, text in sorted(files.items())]
    md5 = cached(project, json.dumps(listing).encode())
    place = project / ".dvc/cache/files/md5" / md5[:2]
    (place / md5[2:]).rename(place / f"{md5[2:]}.dir")
    return f"{md5}.dir"


def index(rows):
    return "image_id,label\n" + "".join(f"{name},{label}\n" for name, label in rows)


def predictions(predicted, labels=LABELS, first=0, confidence=0.9, twins=()):
    """Rows of predictions.csv: images `i<number>`, two to a unit."""
    lines = ["image_id,label,predicted,unit,group,training_twin,training_neighbour,p_glioma,p_notumor"]
    for at, (label, answer) in enumerate(zip(labels, predicted, strict=True)):
        p = confidence if answer == "glioma" else 1 - confidence
        lines.append(f"i{at + first:02},{label},{answer},{at // 2},{at},{at in twins},False,{p:.4f},{1 - p:.4f}")
    return "\n".join(lines) + "\n"


def wrong_at(*places, labels=LABELS):
    return [NAMES[1 - NAMES.index(name)] if at in places else name for at, name in enumerate(labels)]


def outlines(dice, method="kmeans"):
    lines = ["image_id,label,unit,truth_px,dice,method"]
    return "\n".join(lines + [f"i{at:02},glioma,{at},9,{value},{method}" for at, value in enumerate(dice)]) + "\n"


SPLITS = {
    "train": [("t1", "glioma"), ("t2", "glioma"), ("t3", "notumor"), ("t4", "notumor")],
    "val": [("v1", "glioma")],
    "test": [("i00", "glioma"), ("i01", "notumor")],
}
PARAMS = {"train": {"epochs": 2, "dropout": 0.5, "mirror": True}, "fetch": {"local": "/home/me/private/set.zip"}}


CURVES = """\
epoch,accuracy,loss,val_accuracy,val_loss
1,0.5,1.2,0.4,1.3
2,0.8,0.6,0.7,0.7
3,0.9,0.4,0.7,0.8
"""


def run(
    project,
    splits=SPLITS,
    content=None,
    params=PARAMS,
    simulated=True,
    table=None,
    dice=(0.5, 0.6),
    outlined=None,
    used=None,
    curves=None,
):
    """Write what a run of the pipeline would leave: files for git, dvc.lock, objects in the cache."""
    content = content or {name: f"sha-{name}" for rows in splits.values() for name, _ in rows}
    manifest = "image_id,set,sha256\n" + "".join(f"{name},s,{sha}\n" for name, sha in content.items())
    outs = {
        f"data/processed/{split}": cached_folder(project, {"arrays": "x", "index.csv": index(rows)})
        for split, rows in splits.items()
    }
    outs["data/raw"] = cached_folder(project, {"manifest.csv": manifest})
    outs["data/segmentation"] = cached_folder(project, {"rows.csv": outlined or outlines(dice)})
    stage = {
        "params": {"params.yaml": used or params},
        "outs": [{"path": path, "md5": md5} for path, md5 in outs.items()],
    }
    write(project, "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": {"all": stage}}))
    write(project, "params.yaml", yaml.safe_dump(params))
    write(project, "metrics/data.json", json.dumps({"simulated": simulated, "images": {"test": 40}}))
    write(project, "metrics/classify.json", json.dumps({"whole": {"accuracy": 0.9}, "ci95": {"whole": {"low": 0.8}}}))
    write(project, "plots/predictions.csv", table or predictions(wrong_at(0, 1, 2, 3)))
    write(project, "plots/curves.csv", curves or CURVES)
