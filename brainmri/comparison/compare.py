"""What changed between two revisions: metrics, predictions, outlines, params, data; and whether more than chance.

`compare` reads and computes, `regression` judges, `compare_document.as_blocks` says it in words and tables.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.comparison.revision_tables import MANIFEST, PREDICTIONS, SEGMENTATION
from brainmri.comparison.revisions import INDEXES, WORKSPACE, Revision, holder, read_revisions
from brainmri.core.errors import InputError
from brainmri.scoring import paired_tests
from brainmri.scoring.probabilities import class_names

CHANGES = ("added", "removed", "relabelled", "moved")
ESSENTIAL = ("dvc.lock", "params.yaml", "metrics", PREDICTIONS)  # kept by git, so that any clone can compare them
FEWEST_RESAMPLES = 100  # as for `evaluate.bootstrap`


def compare(
    root: Path,
    rev_a: str,
    rev_b: str = WORKSPACE,
    seed: int = 0,
    repeats: int = 1000,
    called: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Compare two revisions of the project in the folder `root`, offline and without a checkout.

    Parameters
    ----------
    root
        A DVC project in a git repository.
    rev_a, rev_b
        Commits, branches, tags, DVC experiments, or `workspace`. A difference is always B - A.
    seed, repeats
        Of the bootstrap: its seed, and how many resamples, at least 100.
    called
        Two other names to give the revisions in what is said of them.

    Returns
    -------
    dict
        Ready for JSON. `a` and `b` (`name`, `commit`, `simulated`), `same_commit`, `seed`, `bootstrap`, `missing` (a
        sentence for each thing that could not be read), `lacking` (those of them without which nothing is compared),
        `stale` (a sentence for each revision whose stages have not run as it stands), `metrics`, `images` (how many
        were scored in both and in one), `whole` and `twin_free` (as `paired_tests.classification`),
        `changed_predictions`, `segmentation`, `params`, `data`, `curves` (of training, lists by name). A part that
        cannot be had is None.

    Raises
    ------
    InputError
        If `root` or a revision cannot be used, `repeats` is below 100, or `seed` below 0.
    """
    a, b = read_revisions(root, [rev_a, rev_b], called)
    return compared(a, b, seed, repeats)


def compared(a: Revision, b: Revision, seed: int, repeats: int) -> dict[str, Any]:
    """Compare two revisions that have been read; see `compare`."""
    if repeats < FEWEST_RESAMPLES:
        raise InputError(f"compare: bootstrap should be at least {FEWEST_RESAMPLES}, received {repeats}")
    if seed < 0:
        raise InputError(f"compare: seed should be at least 0, received {seed}")
    return {
        "a": _facts(a),
        "b": _facts(b),
        "same_commit": (bool(a.commit) and a.commit == b.commit) or a.name == b.name == WORKSPACE,
        "seed": seed,
        "bootstrap": repeats,
        "missing": _missing(a, b),
        "lacking": [text for side in (a, b) for path, text in side.missing.items() if path.startswith(ESSENTIAL)],
        "stale": [*a.stale, *b.stale],
        "metrics": _metrics(a, b),
        **_classification(a, b, seed, repeats),
        "segmentation": _segmentation(a, b, seed, repeats),
        "params": {"params.yaml": _changes(a.params, b.params), "dvc.lock": _changes(a.used, b.used)},
        "data": _data(a, b),
        "curves": _curves(a, b),
    }


def _facts(revision: Revision) -> dict[str, Any]:
    simulated = revision.metrics.get("metrics/data.json", {}).get("simulated")
    known = simulated if isinstance(simulated, bool) else None
    return {"name": revision.name, "commit": revision.commit, "simulated": known}


def _same(a: Revision, b: Revision, path: str) -> bool:
    """Tell whether dvc.lock names the same bytes for the out that holds `path`: then the cache need not have them."""
    old, new = (revision.hashes.get(holder(revision.hashes, path), "") for revision in (a, b))
    return bool(old) and old == new


def _missing(a: Revision, b: Revision) -> list[str]:
    found = [(path, text) for revision in (a, b) for path, text in revision.missing.items()]
    # What equal hashes answer already; the manifest only tells what became of images that changed.
    needless = {SEGMENTATION} if _same(a, b, SEGMENTATION) else set()
    needless |= {*INDEXES, MANIFEST} if all(_same(a, b, path) for path in INDEXES) else set()
    return [text for path, text in found if path not in needless]


def _metrics(a: Revision, b: Revision) -> dict[str, dict[str, dict[str, Any]]] | None:
    """Return, by file and key, the value in A and in B, and the difference where both are numbers."""
    if not a.metrics or not b.metrics:
        return None
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted({*a.metrics, *b.metrics}):
        old, new = a.metrics.get(path, {}), b.metrics.get(path, {})
        values = {key: (old.get(key), new.get(key)) for key in sorted({*old, *new})}
        result[path] = {key: {"a": x, "b": y, "difference": _difference(x, y)} for key, (x, y) in values.items()}
    return result


def _difference(a: Any, b: Any) -> float | None:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (a, b))
    return b - a if numbers else None


def _classification(a: Revision, b: Revision, seed: int, repeats: int) -> dict[str, Any]:
    """Return `images`, `whole`, `twin_free` and `changed_predictions`."""
    if a.predictions is None or b.predictions is None:
        return dict.fromkeys(("images", "whole", "twin_free", "changed_predictions"))
    pairs = paired_tests.pair(a.predictions, b.predictions)
    agreed = (pairs.a["label"] == pairs.b["label"]).to_numpy()
    counts = {"both": len(pairs.a), "only_a": len(pairs.only_a), "only_b": len(pairs.only_b)}
    result: dict[str, Any] = {
        "images": {**counts, "relabelled": int((~agreed).sum())},
        "changed_predictions": _changed_predictions(pairs),
    }
    # Of an image with two labels nobody can say which revision is right.
    for name, rows in (("whole", agreed), ("twin_free", agreed & _twin_free(pairs))):
        result[name] = paired_tests.classification(pairs.a[rows], pairs.b[rows], seed, repeats) if rows.any() else None
    return result


def _twin_free(pairs: paired_tests.Pairs) -> np.ndarray:
    tables = [table for table in (pairs.a, pairs.b) if "training_twin" in table]
    free = [(table["training_twin"] == "False").to_numpy() for table in tables]
    return np.logical_and.reduce(free) if len(free) == 2 else np.zeros(len(pairs.a), bool)


def _changed_predictions(pairs: paired_tests.Pairs) -> list[dict[str, Any]]:
    """Return the images whose predicted class differs: first those that got wrong, then those that got right."""
    rows = []
    for a, b in zip(_answers(pairs.a), _answers(pairs.b), strict=True):
        if a["predicted"] != b["predicted"]:
            rows.append({"image_id": a["image_id"], "a": a, "b": b})
            del a["image_id"], b["image_id"]
    return sorted(rows, key=lambda row: (_right(row["b"]) - _right(row["a"]), row["image_id"]))


def _answers(table: pd.DataFrame) -> list[dict[str, Any]]:
    confidence = table[[f"p_{name}" for name in class_names(table)]].max(axis=1)
    return table[["image_id", "label", "predicted"]].assign(confidence=confidence).to_dict("records")


def _right(answer: dict[str, Any]) -> bool:
    return bool(answer["label"] == answer["predicted"])


def _segmentation(a: Revision, b: Revision, seed: int, repeats: int) -> dict[str, Any] | None:
    same = _same(a, b, SEGMENTATION)
    if a.segmentation is None or b.segmentation is None:
        return {"same": True, "methods": {}, "only_a": [], "only_b": []} if same else None
    old, new = (dict(iter(table.groupby("method"))) for table in (a.segmentation, b.segmentation))
    return {
        "same": same,
        "methods": {
            name: paired_tests.dice(old[name], new[name], seed, repeats) for name in sorted(set(old) & set(new))
        },
        "only_a": sorted(set(old) - set(new)),
        "only_b": sorted(set(new) - set(old)),
    }


def _changes(a: dict[str, Any] | None, b: dict[str, Any] | None) -> dict[str, dict[str, Any]] | None:
    """Return the keys whose value differs, with the value in A and in B; a key that one lacks is absent there."""
    if a is None or b is None:
        return None
    changed = [key for key in sorted({*a, *b}) if (key in a, _typed(a.get(key))) != (key in b, _typed(b.get(key)))]
    return {key: {side: values[key] for side, values in (("a", a), ("b", b)) if key in values} for key in changed}


def _typed(value: Any) -> tuple[bool, Any]:
    return isinstance(value, bool), value  # in Python True equals 1, in a params file it does not


def _curves(a: Revision, b: Revision) -> dict[str, Any] | None:
    if a.curves is None or b.curves is None:
        return None
    return {side: table.to_dict("list") for side, table in (("a", a.curves), ("b", b.curves))}


def _data(a: Revision, b: Revision) -> dict[str, Any] | None:
    """Return `counts` of the images added, removed, relabelled and moved between splits, and their `rows`."""
    if all(_same(a, b, path) for path in INDEXES):
        return {"counts": dict.fromkeys(CHANGES, 0), "followed_by_content": True, "rows": []}
    if a.index is None or b.index is None:
        return None
    renamed = _renamed(a, b)
    old = {renamed.get(row["image_id"], row["image_id"]): row for row in a.index.to_dict("records")}
    new = {row["image_id"]: row for row in b.index.to_dict("records")}
    rows = [_data_row(key, old.get(key), new.get(key)) for key in sorted({*old, *new})]
    changed = [row for row in rows if row["changes"]]
    return {
        "counts": {kind: sum(kind in row["changes"] for row in changed) for kind in CHANGES},
        "followed_by_content": a.content is not None and b.content is not None,
        "rows": changed,
    }


def _data_row(image_id: str, a: dict[str, str] | None, b: dict[str, str] | None) -> dict[str, Any]:
    sides = {side: {"label": row["label"], "split": row["split"]} for side, row in (("a", a), ("b", b)) if row}
    changes = ["added"] if a is None else ["removed"] if b is None else []
    if a and b:
        changes += ["relabelled"] if a["label"] != b["label"] else []
        changes += ["moved"] if a["split"] != b["split"] else []
    return {"image_id": image_id, "changes": changes, **sides}


def _renamed(a: Revision, b: Revision) -> dict[str, str]:
    """Return the new id of each image of A that left and came back under another one, found by its content.

    An id holds the path, and folders name class and split: a relabelled or moved file has a new id. Where several
    images that left or came have the same bytes, which became which cannot be told, and none is followed.
    """
    if a.content is None or b.content is None or a.index is None or b.index is None:
        return {}
    ids_a, ids_b = set(a.index["image_id"]), set(b.index["image_id"])
    left, came = (_by_content(ids, known) for ids, known in ((ids_a - ids_b, a.content), (ids_b - ids_a, b.content)))
    return {left[content]: came[content] for content in left if content in came}


def _by_content(ids: set[str], content: dict[str, str]) -> dict[str, str]:
    keys = [content[name] for name in ids if name in content]
    once = {key for key, count in Counter(keys).items() if count == 1}
    return {content[name]: name for name in ids if content.get(name) in once}
