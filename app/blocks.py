"""Blocks of a document, such as the sections of the model card, on a page."""

from collections.abc import Sequence
from itertools import groupby

import streamlit as st

from app import tables
from app.words import plain_but_code
from brainmri.reporting.documents import Block, Commands, Heading, Items, Lead, Picture, Table, Text

BESIDE = 2  # pictures that follow each other stand in rows of so many


def show(blocks: Sequence[Block]) -> None:
    """Show blocks in their order; a picture that is not there is left out, because its table says the same."""
    for pictures, part in groupby(blocks, lambda block: isinstance(block, Picture)):
        if pictures:
            _show_pictures([block for block in part if isinstance(block, Picture) and block.path.exists()])
        else:
            for block in part:
                _show(block)


def _show(block: Block) -> None:
    match block:
        case Heading(text, level):
            (st.header if level <= 2 else st.subheader)(plain_but_code(text))
        case Lead(text):
            st.markdown(f"**{plain_but_code(text)}**")
        case Text(text, strong):
            (st.warning if strong else st.markdown)(plain_but_code(text))
        case Items(entries):
            st.markdown("\n".join(f"- {plain_but_code(entry)}" for entry in entries))
        case Table():
            tables.show(block)
        case Commands(lines):
            st.code("\n".join(lines), None, wrap_lines=True)


def _show_pictures(pictures: Sequence[Picture]) -> None:
    if len(pictures) == 1:
        st.image(pictures[0].path.read_bytes(), plain_but_code(pictures[0].caption), alt=pictures[0].alt)
        return
    for at in range(0, len(pictures), BESIDE):
        for place, picture in zip(st.columns(BESIDE), pictures[at : at + BESIDE], strict=False):
            place.image(picture.path.read_bytes(), plain_but_code(picture.caption), alt=picture.alt)
