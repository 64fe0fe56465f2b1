"""A document as a list of blocks, and the same blocks as Markdown or as one self-contained HTML page."""

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from brainmri.reporting import markdown


class Heading(NamedTuple):
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


class Text(NamedTuple):
    """A paragraph; a strong one must not be overlooked."""

    text: str
    strong: bool = False


class Items(NamedTuple):
    """A list of sentences."""

    entries: Sequence[str]


class Table(NamedTuple):
    """A table with a caption; the first cell of each row is the row's own heading."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Picture(NamedTuple):
    """A PNG file; `alt` says what it shows to those who cannot see it."""

    path: Path
    alt: str
    caption: str


Block = Heading | Text | Items | Table | Picture

# Colours keep a contrast of 7 to 1 and more on both grounds (WCAG AAA); charts have a white ground of their own.
STYLE = """\
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1b1f24; --soft: #454c55; --line: #b6bdc6; --band: #f1f4f7;
  --link: #0b4a8f; --warn: #7a1500; --warn-ground: #fff1ec; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --ink: #eceff3; --soft: #c0c7d0; --line: #59626d;
  --band: #1f252c; --link: #9cc9ff; --warn: #ffc9b8; --warn-ground: #3a1a12; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
main { max-width: 74rem; margin: 0 auto; padding: 0 1rem; }
a { color: var(--link); } a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); }
.skip { position: absolute; left: -99rem; } .skip:focus { position: static; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 1.5rem 0 .5rem; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
.strong { border-left: .4rem solid var(--warn); background: var(--warn-ground); color: var(--warn); padding: .6rem 1rem;
  font-weight: 600; }
p, li { max-width: 46rem; }
nav ul { columns: 16rem; padding-left: 1.2rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding: .25rem 0 .5rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { background: var(--band); } tbody th { font-weight: 600; } tbody th, td { white-space: nowrap; }
figure { margin: 1.25rem 0; } figcaption { color: var(--soft); font-size: .92rem; }
img { max-width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line); }
tbody th { white-space: normal; min-width: 10rem; }
@media (prefers-color-scheme: dark) { img { padding: .5rem; border-radius: .5rem; } }
@media print { nav, .skip { display: none; } .scroll { overflow: visible; } }
"""


def as_markdown(blocks: Sequence[Block], pictures: str) -> str:
    """Return blocks as Markdown; `pictures` is the folder of the pictures as seen from the file, such as `../plots`."""
    return "\n\n".join(_markdown(block, pictures) for block in blocks) + "\n"


def _markdown(block: Block, pictures: str) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_escaped(text)}"
        case Text(text, strong):
            return f"**{_escaped(text)}**" if strong else _escaped(text)
        case Items(entries):
            return "\n".join(f"- {_escaped(entry)}" for entry in entries)
        case Table(caption, header, rows):
            cells = [[_escaped(cell) for cell in row] for row in rows]
            return f"{_escaped(caption)}:\n\n" + markdown.table([_escaped(cell) for cell in header], cells)
        case Picture(path, alt, caption):
            return f"![{_escaped(alt)}]({pictures}/{path.name})\n\n{_escaped(caption)}"


def _escaped(text: str) -> str:
    """Return text that cannot break a table, start a tag, or be taken for emphasis; code in backticks stays."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    plain = [part if at % 2 else re.sub(r"([\\*_\[\]<])", r"\\\1", part) for at, part in enumerate(parts)]
    return "".join(plain).replace("|", r"\|")


def as_html(blocks: Sequence[Block]) -> str:
    """Return blocks as one HTML page that loads nothing: style and pictures are inside, and there is no script.

    The first block is the title. Each heading of level 2 begins a section that the table of contents leads to.
    """
    title = blocks[0].text if isinstance(blocks[0], Heading) else ""
    sections = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    links = [f'<li><a href="#s{at}">{html.escape(text)}</a></li>' for at, text in enumerate(sections, start=1)]
    body, at = [], 0
    for block in blocks[1:]:
        if isinstance(block, Heading) and block.level == 2:
            if at == 0:
                body.append(f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>')
            at += 1
            body.append(f'<h2 id="s{at}">{html.escape(block.text)}</h2>')
        else:
            body.append(_html(block))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<main id="main">\n<h1>{html.escape(title)}</h1>\n' + "\n".join(body) + "\n</main>\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Text(text, strong):
            return f'<p class="strong">{_inline(text)}</p>' if strong else f"<p>{_inline(text)}</p>"
        case Items(entries):
            return "<ul>" + "".join(f"<li>{_inline(entry)}</li>" for entry in entries) + "</ul>"
        case Table(caption, header, rows):
            head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in header)
            lines = [
                f'<tr><th scope="row">{_inline(first)}</th>' + "".join(f"<td>{_inline(c)}</td>" for c in rest) + "</tr>"
                for first, *rest in rows
            ]
            # A wide table scrolls by itself on a narrow screen, and with the keyboard too.
            return (
                f'<div class="scroll" role="region" tabindex="0" aria-label="{html.escape(caption)}"><table>'
                f"<caption>{_inline(caption)}</caption><thead><tr>{head}</tr></thead>"
                f"<tbody>{''.join(lines)}</tbody></table></div>"
            )
        case Picture(path, alt, caption):
            data = base64.b64encode(path.read_bytes()).decode()
            return (
                f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(alt)}">'
                f"<figcaption>{_inline(caption)}</figcaption></figure>"
            )


def _inline(text: str) -> str:
    """Return text for HTML; what stands in backticks becomes code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))
