"""Recognise slices of a public set whose patients are known, in whichever other set they stand again.

Beside this file lies `known_patients.csv`, a table of facts on the 3,064 slices of Cheng et al. [1]_: one row a slice,
sorted by number, with `number` (in the published files), `label`, `patient` (a pseudonym of one of 209 persons), `fold`
(of the authors' five; a person is in one) and `fingerprint`. What it rests on, how it was made and how often it is
wrong stands in docs/patients.md.

A fingerprint is 96 hexadecimal digits. The 32x32 thumbnail of `duplicates.thumbnail` is cosine-transformed, its
coefficients are weighted by frequency, so that fine detail counts as much as the head that all slices share, and 96
sums of them all are taken, in which each coefficient has a sign drawn once and for ever from SHAKE-256. Each sum is
kept as one of 16 levels. Size, encoding and contrast hardly move it; a mirrored picture is found by mirroring what is
looked for.

No picture of a person can be made of it: 384 bits are less than half a bit for each of a thumbnail's 1,024 pixels, and
a 680th for each of the 512x512 of a slice as published, and each digit mixes them all. What it does give away: whether
a picture at hand is this slice, which is its purpose, and roughly how the head lies in the frame. The best linear guess
of a thumbnail from its fingerprint correlates with it at 0.81, where the mean of all heads does at 0.71.

References
----------
.. [1] Cheng, J., brain tumor dataset, figshare, CC BY 4.0, doi:10.6084/m9.figshare.1512427
"""

import hashlib
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.fft import dctn

from brainmri.preprocessing.duplicates import SIDE

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = {"number": int, "label": str, "patient": str, "fold": int, "fingerprint": str}

SUMS = 96
SLOPE = 1.2  # power of the frequency by which coefficients are weighted: thumbnails of heads fall off about so
STEPS = 2.5  # levels a standard deviation of a sum; 16 levels reach to 3 of them
SIMILAR = 0.78  # from here on it is that slice: copies in public sets 0.97 and above, other pictures up to 0.69
FARTHER = 1.6  # slices of all other persons have to be so many times as far, by 1 - similarity
BLOCK = 2048  # thumbnails compared at a time: memory is a few blocks of BLOCK x 3064 float32, whatever N


def fingerprints(thumbnails: np.ndarray) -> np.ndarray:
    """Return the sums, not yet in levels, shape (N, 96) float32, of norm 1; zeros from a constant image.

    Parameters
    ----------
    thumbnails : ndarray, shape (N, 1024), float32
        Of `duplicates.thumbnail`.
    """
    weights, signs = _basis()
    waves = dctn(thumbnails.reshape(-1, SIDE, SIDE), axes=(1, 2), norm="ortho") * weights
    return _unit(waves.reshape(-1, SIDE**2) @ signs)


@cache
def _basis() -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (32, 32) of the coefficients, 0 for the mean, and the signs (1024, 96).

    The signs are of a hash and not of a random generator: those may change between versions of NumPy.
    """
    weights = (1 + np.hypot(*np.mgrid[:SIDE, :SIDE])) ** SLOPE
    weights[0, 0] = 0
    drawn = hashlib.shake_256(b"brainmri: known patients").digest(SIDE**2 * SUMS // 8)
    bits = np.unpackbits(np.frombuffer(drawn, np.uint8)).reshape(SIDE**2, SUMS)
    return weights.astype(np.float32), bits.astype(np.float32) * 2 - 1


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def as_digits(sums: np.ndarray) -> list[str]:
    """Return fingerprints (N, 96) as texts of 96 hexadecimal digits, one a sum."""
    levels = np.floor(sums * (STEPS * np.sqrt(SUMS)) + 8).clip(0, 15).astype(int)
    return ["".join(f"{level:x}" for level in row) for row in levels]


def from_digits(texts: list[str]) -> np.ndarray:
    """Return the fingerprints (N, 96) float32, of norm 1, that such texts stand for."""
    levels = np.array([[int(digit, 16) for digit in text] for text in texts], np.float32).reshape(-1, SUMS)
    return _unit(levels - 7.5)


def table_of(slices: pd.DataFrame, thumbnails: np.ndarray, prefix: str) -> pd.DataFrame:
    """Return a table of known slices, with the columns above, sorted by number.

    Parameters
    ----------
    slices : DataFrame, N rows
        Columns number, label, patient, fold. A patient in several folds is given that of the lowest number.
    thumbnails : ndarray, shape (N, 1024), float32
        Of `duplicates.thumbnail`.
    prefix : str
        What every pseudonym begins with, so that those of different sets are different.
    """
    table = slices.assign(patient=prefix + slices["patient"], fingerprint=as_digits(fingerprints(thumbnails)))
    table = table.sort_values("number", ignore_index=True)
    return table.assign(fold=table.groupby("patient")["fold"].transform("first"))[list(COLUMNS)]


def read_table(path: Path = TABLE) -> pd.DataFrame:
    """Return a table of known slices, with the columns above."""
    return pd.read_csv(path, dtype=COLUMNS)


def recognise(thumbnails: np.ndarray, known: pd.DataFrame) -> pd.DataFrame:
    """Find for each thumbnail the known slice that it shows, as it is or mirrored left to right.

    Parameters
    ----------
    thumbnails : ndarray, shape (N, 1024), float32
        Of `duplicates.thumbnail`.
    known : DataFrame
        As of `read_table`.

    Returns
    -------
    DataFrame, N rows
        `number`, `label`, `patient` and `fold` of the slice, and the cosine `similarity` to it. Where the most similar
        one is below `SIMILAR`, or a slice of another person nearly as near, number and fold are -1 and the rest is
        empty; `similarity` is told all the same.
    """
    table = from_digits(known["fingerprint"].tolist())
    persons = pd.factorize(known["patient"])[0]
    parts = [_nearest(thumbnails[start : start + BLOCK], table, persons) for start in range(0, len(thumbnails), BLOCK)]
    at, similarity, other = (np.concatenate(part) for part in zip(*parts, strict=True))
    found = known.drop(columns="fingerprint").iloc[at].reset_index(drop=True).assign(similarity=similarity)
    unsure = (similarity < SIMILAR) | (1 - other < FARTHER * (1 - similarity))
    found.loc[unsure, ["number", "fold"]] = -1
    found.loc[unsure, ["label", "patient"]] = ""
    return found


def _nearest(thumbnails: np.ndarray, table: np.ndarray, persons: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the row of the most similar slice, its similarity, and that of the nearest one of another person."""
    mirrored = thumbnails.reshape(-1, SIDE, SIDE)[:, :, ::-1]
    similarity = fingerprints(thumbnails) @ table.T
    np.maximum(similarity, fingerprints(mirrored) @ table.T, out=similarity)
    at = similarity.argmax(axis=1)
    highest = similarity[np.arange(len(at)), at]
    similarity[persons[at][:, None] == persons] = -1
    return at, highest, similarity.max(axis=1)


def with_patients(table: pd.DataFrame, thumbnails: np.ndarray, known: pd.DataFrame) -> pd.DataFrame:
    """Return an index in which those who can be known have their known name, whatever the source calls them.

    A patient of the source whose recognised images are all of one person gets that person's name; one whose images are
    of several is left as it is, and counted in a warning. Of images without a patient those that are recognised get
    theirs, and a group of twins in which images of one label are of one patient gives it to the others of that label.

    Parameters
    ----------
    table : DataFrame, N rows
        Columns patient, label, group.
    thumbnails : ndarray, shape (N, 1024), float32
        Of `duplicates.thumbnail`.
    known : DataFrame
        As of `read_table`.

    Returns
    -------
    DataFrame, N rows
        With the columns `recognised` (whether the source named nobody and the patient is of here) and `known_fold`
        (the table's own fold of whoever is known here, from 1; -1 elsewhere) besides.
    """
    unknown = table["patient"] == ""
    found = pd.Series(recognise(thumbnails, known)["patient"].to_numpy(), index=table.index)
    patient = _known_names(table["patient"], found)
    patient = patient.where(~unknown, found)
    of_group = patient.where(patient != "").groupby([table["group"], table["label"]])  # empty ones do not count
    shared = of_group.transform("first").where(of_group.transform("nunique") == 1, "")
    patient = patient.where(patient != "", shared)
    recognised = unknown & (patient != "")
    folds = patient.map(known.groupby("patient")["fold"].first()).fillna(-1)
    return table.assign(patient=patient, recognised=recognised, known_fold=folds.astype(int))


def _known_names(patient: pd.Series, found: pd.Series) -> pd.Series:
    """Return the source's patients under the name of the one known person that their recognised images show."""
    shown = found[(patient != "") & (found != "")]
    persons = shown.groupby(patient[shown.index]).agg(["first", "nunique"])
    several = persons["nunique"] > 1
    if several.any():
        print(
            "warning: patients who keep the source's names, because each shows slices of several known persons: "
            f"{several.sum()} (preprocess.known_patients)",
            file=sys.stderr,
        )
    return patient.replace(persons["first"][~several].to_dict())
