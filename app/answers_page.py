"""The lower part of the page: answers for the scans of a session."""

from collections.abc import MutableMapping, Sequence
from typing import Any

import streamlit as st

from app import batch, trained, viewer
from app.words import plain
from brainmri.core.errors import BrainMRIError
from brainmri.core.labels import NO_TUMOUR
from brainmri.prediction.answer import Answer
from brainmri.prediction.inputs import Input
from brainmri.prediction.trained_models import Models
from brainmri.segmentation.methods import AUTO, METHODS, NONE, chosen, usable, without_outline

File = tuple[str, str, bytes]  # a key that is this content's alone within a session, the file's name, its content

Scans = list[tuple[str, Input]]  # each with the key of its file


def show(files: Sequence[File]) -> None:
    """Answer for what was given."""
    memory: MutableMapping[batch.Key, Any] = st.session_state.setdefault("memory", {})
    given = batch.together([batch.Given(*file) for file in files])
    batch.forget(memory, {file.key for file in given})
    scans = _read(given, memory)
    if not scans:
        return
    models = _models()
    if models is None:
        viewer.scan_alone(_chosen(scans)[1])
        return
    method, gate = _how(models)
    _answer(scans, models, method, gate, memory)


def _read(given: Sequence[batch.Given], memory: MutableMapping[batch.Key, Any]) -> Scans:
    """Return what can be read, and show what cannot."""
    pairs = [(file.key, batch.remembered(memory, (file.key, "read"), batch.read, file)) for file in given]
    keys = [key for key, own in pairs for _ in own.scans]
    found = batch.room([scan for _, own in pairs for scan in own.scans])
    for failed in found:
        if isinstance(failed, batch.Failed):
            st.error(plain(failed.reason))
    for file, (_, own) in zip(given, pairs, strict=True):
        if own.ignored and own.scans:
            kinds = ", ".join(f"{count} {kind}" for kind, count in own.ignored.items())
            st.info(plain(f"{file.name}: ignored what is no image: {kinds}"))
    return [(key, scan) for key, scan in zip(keys, found, strict=True) if isinstance(scan, Input)]


def _models() -> Models | None:
    try:
        with st.spinner("Loading the networks, once for all"):
            return trained.trained()
    except BrainMRIError as error:
        st.error(plain(str(error)))
        st.info("Without a trained model there is no answer, but you can look at the scan.")
        return None


def _how(models: Models) -> tuple[str, bool]:
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    titles = {name: METHODS[name].title for name in usable(models.tools)} | {NONE: "no outline"}
    first = list(titles).index(chosen(AUTO, models.tools))
    method = left.radio("Outline the tumour by", list(titles), first, format_func=titles.__getitem__, horizontal=True)
    if method == NONE and (remark := without_outline(AUTO, models.tools)):
        left.markdown(plain(remark))
    if NO_TUMOUR not in models.classifier.classes:
        return method, False  # no answer of theirs says that there is nothing to outline
    gate = right.checkbox("no outline where there is surely no tumour", value=True)
    return method, gate


def _chosen(scans: Scans) -> tuple[str, Input]:
    """Let the user choose which scan to look at."""
    if len(scans) == 1:
        return scans[0]
    names = [f"{at}. {scan.name}" for at, (_, scan) in enumerate(scans, start=1)]
    return scans[names.index(st.selectbox("Scan to look at", names))]


def _answer(scans: Scans, models: Models, method: str, gate: bool, memory: MutableMapping[batch.Key, Any]) -> None:
    def answered(key: str, scan: Input) -> Answer | batch.Failed:
        return batch.remembered(memory, (key, scan.name, method, gate), batch.answered, scan, models, method, gate)

    above = st.container()  # the table stands above, but the scan that is looked at is answered first
    key, scan = _chosen(scans)
    place = st.empty()
    if (key, scan.name, method, gate) not in memory:
        with place.container():
            viewer.waiting(scan)
    found = answered(key, scan)
    with place.container():
        if isinstance(found, batch.Failed):
            st.error(plain(found.reason))
        else:
            viewer.answer(found, models, memory, key)
    if len(scans) > 1:
        with above:
            bar = st.progress(0.0, "Answering")
            outcomes = []
            for at, (own, each) in enumerate(scans):
                bar.progress(at / len(scans), f"Answering for scan {at + 1} of {len(scans)}")
                outcomes.append(answered(own, each))
            bar.empty()
            viewer.table(outcomes, models.classifier.classes)
