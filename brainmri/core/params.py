"""Read one section of `params.yaml` through the typed model of the stage that owns it; and what is typed likewise."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from brainmri.core.errors import ParamsError, one_line, shown

# Ours have up to 61,000 letters and 2,300 lines. The library takes a good part of a millisecond for each value, and a
# few lines with aliases can stand for more values than memory holds.
LONGEST, PARTS, MOST, DEEPEST, OPEN = 2**18, 10_000, 20_000, 32, 500
PROBLEMS = 8  # that one sentence can name


class Section(BaseModel):
    """A section of `params.yaml`: no unknown keys, no coercion between types, no defaults hidden in code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Record(BaseModel):
    """What a file holds that our own code wrote: no coercion between types; a later version may have written more."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


OPTIONAL: Any = Field(default=None)  # of a record: a key that may be absent, though not null
Figure = float | None  # a score; null where it is not defined

S = TypeVar("S", bound=Section)
M = TypeVar("M", bound=BaseModel)
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1, le=4096)]  # of channels, images at once and the like


def parse_yaml(text: str, where: str = "YAML") -> Any:
    """Return the content of a YAML text as DVC reads it, by the same library.

    That is YAML 1.2, in which `1e-3` is a number, and `yes` and `1:30` are text; a key may stand once. Size, depth and
    what aliases come to are bounded.

    Raises
    ------
    ParamsError
        If it is no YAML, is too large, or has a value that cannot be made. It begins with `where`.
    """
    rule = f"{where}: not a readable YAML file"
    parts = sum(text.count(mark) for mark in "\n,[{")  # each value but the first begins behind one of them
    if len(text) > LONGEST or parts > PARTS:
        raise ParamsError(
            f"{rule}: it should have at most {LONGEST:,} letters and {PARTS:,} lines, commas and brackets, received "
            f"{len(text):,} and {parts:,}"
        )
    if _open_brackets(text) > OPEN:
        raise ParamsError(f"{rule}: values should be nested at most {DEEPEST} deep, received more")
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
        values, levels = _size(node, {})
        if values > MOST or levels > DEEPEST:
            raise ParamsError(
                f"{rule}: it should come to at most {MOST:,} values, nested at most {DEEPEST} deep, aliases included, "
                "received more"
            )
        return None if node is None else yaml.constructor.construct_document(node)
    except RecursionError:
        raise ParamsError(f"{rule}: values should be nested at most {DEEPEST} deep, received more") from None
    # The library's constructors raise these where a date, a number or a tag cannot be what it says.
    except (YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise ParamsError(f"{rule}: {one_line(error)}") from None


def _open_brackets(text: str) -> int:
    """Return how many brackets are open at once, in comments too; the library's time is its square."""
    level = most = 0
    for bracket in re.findall(r"[][{}]", text):
        level = level + 1 if bracket in "[{" else max(0, level - 1)
        most = max(most, level)
    return most


def _size(node: Node | None, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values a node stands for and how deep they are nested, each time that an alias repeats them.

    `known` has it of the nodes that were counted. One that holds itself is as large as none may be.
    """
    if not isinstance(node, CollectionNode):
        return 1, 0
    if id(node) not in known:
        known[id(node)] = MOST + 1, DEEPEST + 1
        parts = [part for pair in node.value for part in pair] if isinstance(node, MappingNode) else node.value
        sizes = [_size(part, known) for part in parts]
        known[id(node)] = 1 + sum(size[0] for size in sizes), 1 + max((size[1] for size in sizes), default=0)
    return known[id(node)]


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; raise `ParamsError` where there is none that can be read."""
    try:
        if path.stat().st_size > 4 * LONGEST:  # letters have up to four bytes
            raise ParamsError(
                f"{path}: not a readable YAML file: it should have at most {LONGEST:,} letters, received a file of "
                f"{path.stat().st_size:,} bytes"
            )
        return parse_yaml(path.read_text("utf-8"), str(path))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's folder or name it with --params") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not a readable YAML file: {one_line(error)}") from None


def sections(content: Any, where: str) -> dict[str, Any]:
    """Return the content of a `params.yaml`; raise `ParamsError` that begins with `where` if it holds no sections."""
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ParamsError(f"{where}: should hold sections of params, received {shown(content)}")
    return content


def read_sections(path: Path) -> dict[str, Any]:
    """Return the content of the file at `path` as of `sections`; the errors are those of `read_yaml` too."""
    return sections(read_yaml(path), str(path))


def load(path: Path, name: str, model: type[S]) -> S:
    """Return section `name` of the YAML file at `path`, checked.

    Raises
    ------
    ParamsError
        With every problem of the section at once: the key, the rule and the value received.
    """
    return check_section(read_yaml(path), name, model, path)


def check_section(content: Any, name: str, model: type[S], path: Path) -> S:
    """Return section `name` of the content of the file at `path`, checked; errors are those of `load`."""
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        raise ParamsError(f"{path}: section `{name}` is missing or is not a mapping")
    return check(content[name], model, where=f"{path}: section `{name}`")


def check(values: Any, model: type[M], where: str) -> M:
    """Return `values` as a `model`; raise `ParamsError` that begins with `where` and names every problem."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamsError(f"{where}: {problems(error, model)}") from None


def problems(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Return what a typed model found wrong, a clause for each of the first problems; `model` knows the right keys."""
    every = error.errors(include_url=False, include_context=False)
    clauses = [_sentence(problem, model) for problem in every[:PROBLEMS]]
    return "; ".join(clauses + ([f"and {len(every) - PROBLEMS} more"] if len(every) > PROBLEMS else []))


def _known_keys(model: type[BaseModel]) -> list[str]:
    """Return the keys of a model and of the models inside it."""
    inner = [field.annotation for field in model.model_fields.values()]
    nested = [
        key for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel) for key in _known_keys(kind)
    ]
    return [*model.model_fields, *nested]


def _sentence(problem: Any, model: type[BaseModel] | None) -> str:
    key = one_line(".".join(str(part) for part in problem["loc"]), 80) or "the content"
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "extra_forbidden" and model is not None:
        near = difflib.get_close_matches(str(problem["loc"][-1])[:80], _known_keys(model), n=1)
        return f"{key} is not a known key" + (f" (did you mean {near[0]}?)" if near else "")
    rule = problem["msg"].replace("Value error, ", "Input should be ").partition(" should ")[2] or problem["msg"]
    return f"{key} should {one_line(rule)}, received {shown(problem['input'])}"
