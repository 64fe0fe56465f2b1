"""A document as a list of blocks, and the same blocks as Markdown or as one self-contained HTML page.

Text in blocks is plain, but for code, which stands in backticks. What Markdown or HTML would take for a sign of its own
is made harmless here and nowhere else, so that a name from a file or a branch may hold anything.
"""

import base64
import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Heading(NamedTuple):
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


class Lead(NamedTuple):
    """The sentence to read if only one is."""

    text: str


class Text(NamedTuple):
    """A paragraph; a strong one is a warning."""

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


class Commands(NamedTuple):
    """Lines to type into a shell."""

    lines: Sequence[str]


Block = Heading | Lead | Text | Items | Table | Picture | Commands

# Single backticks alone, as in CommonMark: of longer runs of them nobody knows where the code ends.
CODE = re.compile(r"((?<!`)`(?!`)[^`]+`(?!`))")
ENDS = re.compile(r"(\S+) (\([^()]+\))")  # a number with the ends of its interval, which may stand in two lines

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
.lead { font-size: 1.15rem; font-weight: 600; }
.strong { border-left: .4rem solid var(--warn); background: var(--warn-ground); color: var(--warn); padding: .6rem 1rem;
  font-weight: 600; }
p, li { max-width: 46rem; }
nav ul { columns: 16rem; padding-left: 1.2rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding: .25rem 0 .5rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { background: var(--band); } tbody th { font-weight: 600; } tbody th, td { white-space: nowrap; }
pre { overflow-x: auto; background: var(--band); padding: .6rem 1rem; }
figure { margin: 1.25rem 0; } figcaption { color: var(--soft); font-size: .92rem; }
img { max-width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line); }
tbody th { white-space: normal; min-width: 8rem; position: sticky; left: 0; background: var(--ground); }
td.ends { white-space: normal; } td.ends span { white-space: nowrap; }
@media (max-width: 40rem) { table { font-size: .8rem; } th, td { padding: .3rem .25rem; } td { white-space: normal; }
  tbody th { min-width: 5rem; } }
@media (prefers-color-scheme: dark) { img { padding: .5rem; border-radius: .5rem; } }
@media print { nav, .skip { display: none; } .scroll { overflow: visible; } }
"""


def as_markdown(blocks: Sequence[Block], pictures: str = "", below: int = 0) -> str:
    """Return blocks as Markdown.

    Parameters
    ----------
    pictures : str
        The folder of the pictures as seen from the file, such as `../plots`; empty for the same folder.
    below : int
        How many levels of headings stand above this text where it will be put.
    """
    return "\n\n".join(_markdown(block, f"{pictures}/" if pictures else "", below) for block in blocks) + "\n"


def _markdown(block: Block, folder: str, below: int) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * (level + below)} {_markdown_text(text)}"
        case Lead(text) | Text(text, strong=True):
            return f"**{_markdown_text(text)}**"
        case Text(text):
            return _markdown_text(text)
        case Items(entries):
            return "\n".join(f"- {_markdown_text(entry)}" for entry in entries)
        case Table(caption, header, rows):
            return f"{_markdown_text(caption)}:\n\n{markdown_table(header, rows)}"
        case Picture(path, alt, caption):
            return f"![{_markdown_text(alt)}]({folder}{path.name})\n\n{_markdown_text(caption)}"
        case Commands(lines):
            # No line can end the fence, because each begins with the prompt.
            return "\n".join(["```console", *(f"$ {' '.join(line.split())}" for line in lines), "```"])


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of plain text as Markdown."""
    lines = [[_markdown_text(cell) for cell in cells] for cells in (header, *rows)]
    lines.insert(1, ["---"] * len(header))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _markdown_text(text: str) -> str:
    """Return text that cannot break a table, start a tag or a link, mention a person, or be taken for emphasis.

    An underscore inside a word emphasises nothing and stays; in code nothing does, but a bar would end a cell.
    """
    parts = CODE.split(" ".join(text.split()))
    return "".join(part.replace("|", r"\|") if at % 2 else _plain_markdown(part) for at, part in enumerate(parts))


def _plain_markdown(text: str) -> str:
    text = re.sub(r"[\\`*\[|]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)
    # Without a backslash, which would be seen where these two are written so once more, as a comment on GitHub does.
    return re.sub(r"<(?!\s|$)", "&lt;", text).replace("@", "&#64;")  # before a space it is less than


def as_html(blocks: Sequence[Block]) -> str:
    """Return blocks as one HTML page that loads nothing: style and pictures are inside, and there is no script.

    The first block is the title. Each heading of level 2 begins a section that the table of contents leads to.
    """
    title = blocks[0].text if isinstance(blocks[0], Heading) else ""
    sections = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    links = [f'<li><a href="#s{at}">{_html_text(text)}</a></li>' for at, text in enumerate(sections, start=1)]
    body, at = [], 0
    for block in blocks[1:]:
        if isinstance(block, Heading) and block.level == 2:
            if at == 0:
                body.append(f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>')
            at += 1
            body.append(f'<h2 id="s{at}">{_html_text(block.text)}</h2>')
        else:
            body.append(_html(block))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        # Even if a name got past the escaping, it could load and run nothing.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<main id="main">\n<h1>{_html_text(title)}</h1>\n' + "\n".join(body) + "\n</main>\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{_html_text(text)}</h{level}>"
        case Lead(text):
            return f'<p class="lead">{_html_text(text)}</p>'
        case Text(text, strong):
            return f'<p class="strong">{_html_text(text)}</p>' if strong else f"<p>{_html_text(text)}</p>"
        case Items(entries):
            return "<ul>" + "".join(f"<li>{_html_text(entry)}</li>" for entry in entries) + "</ul>"
        case Table():
            return html_table(block)
        case Picture(path, alt, caption):
            data = base64.b64encode(path.read_bytes()).decode()
            return (
                f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(alt)}">'
                f"<figcaption>{_html_text(caption)}</figcaption></figure>"
            )
        case Commands(lines):
            typed = html.escape("\n".join(f"$ {line}" for line in lines))
            return f'<pre tabindex="0"><code>{typed}</code></pre>'


def html_table(table: Table) -> str:
    """Return a table that scrolls by itself on a narrow screen, and with the keyboard too."""
    # An empty corner heads nothing.
    head = "".join(f'<th scope="col">{_html_text(cell)}</th>' if cell else "<td></td>" for cell in table.header)
    lines = [
        f'<tr><th scope="row">{_html_text(first)}</th>' + "".join(map(_cell, rest)) + "</tr>"
        for first, *rest in table.rows
    ]
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{html.escape(table.caption)}"><table>'
        f"<caption>{_html_text(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    if found := ENDS.fullmatch(text):
        return '<td class="ends">' + " ".join(f"<span>{_html_text(part)}</span>" for part in found.groups()) + "</td>"
    return f"<td>{_html_text(text)}</td>"


def _html_text(text: str) -> str:
    """Return text for HTML; what stands in backticks becomes code."""
    parts = [html.escape(part) for part in CODE.split(text)]
    return "".join(f"<code>{part[1:-1]}</code>" if at % 2 else part for at, part in enumerate(parts))
