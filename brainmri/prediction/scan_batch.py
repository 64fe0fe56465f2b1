"""Answer for many scans, as `brainmri predict` does: one after another, printed, and written to a folder of results.

What cannot be read is named in a sentence of its own, and the others go on.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, PngImagePlugin
from tqdm import tqdm

from brainmri.core.errors import InputError
from brainmri.core.files import new_directory, write_table
from brainmri.core.labels import NO_TUMOUR, NOT_CLINICAL
from brainmri.prediction.answer import UNMEASURED, Answer, answer, as_dict
from brainmri.prediction.inputs import RESULTS, Input, opened
from brainmri.prediction.overlays import extent, overlay
from brainmri.prediction.trained_models import Models
from brainmri.prediction.volume_masks import write_mask
from brainmri.segmentation.methods import NONE, chosen, without_outline

LONGEST = 120  # letters of a written file's name, without its ending

Outcome = Answer | tuple[str, str]  # or the name of what could not be read, and why


def run(
    paths: Sequence[Path], models: Models, method: str, gate: bool, as_json: bool, out: Path | None
) -> tuple[int, int]:
    """Answer for all there is in files, folders and archives, in their order; print each answer.

    Parameters
    ----------
    as_json : bool
        A line of JSON an answer, and `{"name", "error"}` for what could not be read; a table otherwise.
    out : Path, optional
        Folder for masks, overlays and tables; see `written`.

    Returns
    -------
    answered, unreadable : int
    """
    remark, method = without_outline(method, models.tools), chosen(method, models.tools)
    for note in filter(None, [remark, UNMEASURED if math.isnan(models.classifier.unlike_above) else ""]):
        tqdm.write(f"note: {note}", file=sys.stderr)  # once, and not with every answer
    counts = {True: 0, False: 0}
    unlike = 0
    print_line = _json_line if as_json else _table_line
    if not as_json:
        _say(_header(models.classifier.classes))
    with written(out, models.classifier.classes) as keep:
        for path in paths:
            for outcome in outcomes(path, models, method, gate):
                counts[isinstance(outcome, Answer)] += 1
                if isinstance(outcome, Answer):
                    print_line(outcome)
                    unlike += outcome.is_unlike
                else:
                    tqdm.write(f"error: {outcome[1]}", file=sys.stderr)
                    if as_json:
                        _say(json.dumps({"name": outcome[0], "error": outcome[1], "note": NOT_CLINICAL}))
                keep(outcome)
    if not as_json:
        gates = gate and method != NONE and NO_TUMOUR in models.classifier.classes
        gated = ", none where the classifier is sure that there is no tumour" if gates else ""
        if unlike:
            _say(f"{unlike} unlike the images that the classifier learnt from: it abstains, whatever class it names.")
        _say(f"{counts[True]} answered, {counts[False]} not. Outlines: {method}{gated}. {NOT_CLINICAL}.")
    return counts[True], counts[False]


def outcomes(path: Path, models: Models, method: str, gate: bool) -> Iterator[Outcome]:
    """Yield what becomes of each scan that a path holds; memory holds one at a time."""
    try:
        with opened(path) as found:
            if not found.items:
                yield str(path), f"{path}: holds no picture, DICOM or NIfTI file, received {found.ignored or 'nothing'}"
            for item in tqdm(found.items, "predict", unit=" scans", mininterval=1, disable=len(found.items) < 2):
                started = time.perf_counter()
                try:
                    scans = item.read()
                except InputError as error:
                    yield item.name, str(error)
                    continue
                read = (time.perf_counter() - started) / len(scans)
                for scan in scans:
                    yield _timed(scan, read, models, method, gate)
            if found.ignored and found.items:
                kinds = ", ".join(f"{count} {kind}" for kind, count in found.ignored.items())
                tqdm.write(f"warning: {path}: ignored what is no scan: {kinds}", file=sys.stderr)
    except InputError as error:
        yield str(path), str(error)


def _timed(scan: Input, read: float, models: Models, method: str, gate: bool) -> Outcome:
    try:
        found = answer(scan, models, method, gate)
    except InputError as error:
        return scan.name, str(error)
    return replace(found, seconds=found.seconds | {"read": read})


@contextmanager
def written(out: Path | None, classes: list[str]) -> Iterator[Callable[[Outcome], None]]:
    """Give a function that keeps an outcome in folder `out`, which is there, whole, when the block has ended.

    In it are `masks/` (PNG of an image, NIfTI on the input's own grid of a volume), `overlays/` (PNG), `results.csv`
    and `results.jsonl`: as `as_dict`, without times, so that equal scans give equal bytes. An earlier folder of results
    is replaced whole.

    Raises
    ------
    InputError
        If `out` is a file, or a folder with anything but results in it.
    """
    if out is None:
        yield lambda _: None
        return
    _refuse_other_content(out)
    rows: list[dict[str, Any]] = []
    with new_directory(out) as folder:
        for name in ("masks", "overlays"):
            (folder / name).mkdir()
        taken: set[str] = set()
        with (folder / "results.jsonl").open("w") as lines:

            def keep(outcome: Outcome) -> None:
                own = _kept(outcome, folder, taken)
                lines.write(json.dumps(own, allow_nan=False) + "\n")
                rows.append(row(own, classes))

            yield keep
        whole = {"pixels": "Int64", "voxels": "Int64"}  # counts, empty where they do not apply
        write_table(folder / "results.csv", pd.DataFrame(rows, columns=columns(classes)).astype(whole))


def _refuse_other_content(out: Path) -> None:
    names = {entry.name for entry in out.iterdir()} if out.is_dir() else set()
    if (out.exists() and not out.is_dir()) or (names and not ({"results.jsonl"} <= names <= set(RESULTS))):
        raise InputError(
            f"{out}: should be a new folder, or one of earlier results to replace, received "
            f"{sorted(names - set(RESULTS))[:3] or 'something else'}; name another"
        )


def _kept(outcome: Outcome, folder: Path, taken: set[str]) -> dict[str, Any]:
    """Write the files of an answer; return its line of results."""
    if not isinstance(outcome, Answer):
        return {"name": outcome[0], "error": outcome[1], "note": NOT_CLINICAL}
    stem = file_stem(outcome.scan.name, taken)
    files: dict[str, str | None] = {"mask": None, "overlay": f"overlays/{stem}.png"}
    overlay(outcome, folder / f"overlays/{stem}.png")
    if outcome.mask is not None:
        whole = outcome.scan.kind == "volume" and outcome.scan.volume is not None
        files["mask"] = f"masks/{stem}.nii.gz" if whole else f"masks/{stem}.png"
        if outcome.scan.kind == "volume" and outcome.scan.volume is not None:
            write_mask(outcome.scan.volume, outcome.mask, folder / f"masks/{stem}.nii.gz")
        else:
            _write_png(outcome.mask[0], folder / f"masks/{stem}.png")
    return {name: value for name, value in as_dict(outcome).items() if name != "seconds"} | {"files": files}


def file_stem(name: str, taken: set[str]) -> str:
    """Return a file name without ending for a scan's name, unlike any in `taken` in any spelling of case; note it.

    Of the folders only the last counts: `a/b/c/d.nii.gz` becomes `c_d`.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    last = parts[-1].removesuffix(".gz").removesuffix(".GZ").rpartition(".")
    stem = "_".join([*parts[-2:-1], last[0] or last[2]])[-LONGEST:].lstrip(".")
    number, own = 1, stem
    while own.casefold() in taken:
        number += 1
        own = f"{stem}_{number}"
    taken.add(own.casefold())
    return own


def _write_png(mask: np.ndarray, path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", NOT_CLINICAL)
    Image.fromarray(mask.astype(np.uint8) * 255).save(path, pnginfo=text)


def columns(classes: list[str]) -> list[str]:
    """Return the columns of a table of results."""
    return [
        *("name", "kind", "class", *(f"p_{name}" for name in classes), "abstain", "unlike", "unlike_above"),
        *("method", "gated", "unsure"),
        *("pixels", "area_mm2", "voxels", "volume_ml", "largest_diameter_mm"),
        *("centroid_x_mm", "centroid_y_mm", "centroid_z_mm", "mask", "overlay", "error", "note"),
    ]


def row(line: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """Return a line of results as a row of the table."""
    if "error" in line:
        return line
    mask = line["mask"] or {}
    centroid = dict(
        zip(("centroid_x_mm", "centroid_y_mm", "centroid_z_mm"), mask.get("centroid_mm") or (), strict=False)
    )
    shares = {f"p_{name}": line["probabilities"][name] for name in classes}
    return line | shares | {"method": None, "gated": None, "unsure": None} | mask | centroid | line.get("files", {})


def _header(classes: list[str]) -> str:
    return f"{'class':12}{'':9}{''.join(f'{name:>12}' for name in classes)}{'tumour':>18}{'seconds':>9}  scan"


def _table_line(found: Answer) -> None:
    shares = "".join(f"{share:12.3f}" for share in found.probabilities.values())
    abstains = "unlike" if found.is_unlike else "abstains" if found.abstain else ""
    spent = sum(found.seconds.values())
    _say(f"{found.label:12}{abstains:9}{shares}{extent(found):>18}{spent:9.2f}  {found.scan.name}")


def _json_line(found: Answer) -> None:
    _say(json.dumps(as_dict(found), allow_nan=False))


def _say(line: str) -> None:
    """Print a line without breaking a progress bar."""
    tqdm.write(line, file=sys.stdout)
