"""Params by their names, `section.key` as after `-S`: read from nested params, and set in them or in a params file."""

import copy
import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter


class _Representer(RoundTripRepresenter):
    """Writes `null` in so many letters, as params.yaml does; a class of its own, because its table is the class's."""


_Representer.add_representer(type(None), lambda own, _: own.represent_scalar("tag:yaml.org,2002:null", "null"))


def flat(params: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested params as values by param."""
    found: dict[str, Any] = {}
    for key, value in params.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return found


def merged(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return params with values set, by param; `base` stays as it is."""
    params = copy.deepcopy(dict(base))
    for key, value in wanted.items():
        _place(params, key)[key.rpartition(".")[2]] = value
    return params


def with_values(text: str, wanted: Mapping[str, Any]) -> str:
    """Return the text of a params file with other values, by param; its comments and its shape stay."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096  # no line is broken anew
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.Representer = _Representer
    params = yaml.load(text)
    for key, value in wanted.items():
        _place(params, key)[key.rpartition(".")[2]] = _on_one_line(value)
    written = io.StringIO()
    yaml.dump(params, written)
    return written.getvalue()


def _place(params: Any, key: str) -> Any:
    for part in key.split(".")[:-1]:
        params = params[part]
    return params


def _on_one_line(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    line = CommentedSeq([_on_one_line(each) for each in value])
    line.fa.set_flow_style()
    return line
