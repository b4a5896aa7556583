"""A notebook's declared parameters: read from its `parameters` cell, and what a caller gives checked against them.

A parameter `source`, or one whose name ends in `_dir`, `_file` or `_path`, is a path: the caller's, since the notebook runs in another
folder.
A declaration is one line, `name: type = default  # help`. It is read here with `ast` because papermill's own inspection
overlooks `int | None` and then calls that parameter unknown. No value is guessed: the declared type decides.
"""

from __future__ import annotations

import ast
import io
import math
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from sessionlab import layout
from sessionlab.errors import NotebookParameterError, UsageError

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"

_PATH_ENDINGS = ("_dir", "_file", "_path")
_PATHS = {"source"}
_TYPES: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str, "date": date, "dict": dict, "list": list}
_WORDS: dict[Any, str] = {int: "an integer", float: "a number", bool: "true or false", date: "a date like 2026-01-31"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter: the annotation and the default as written, and the comment behind them."""

    name: str
    type: str
    default: str
    help: str


def declared_parameters(notebook: Any) -> tuple[Parameter, ...]:
    """Return the parameters that a notebook declares, in their order; none when no cell is tagged `parameters`.

    Args:
        notebook: a path, or an nbformat notebook node.

    Raises:
        UsageError: the file is missing or no notebook, or the parameters cell is not Python.
    """
    node, name = load_notebook(notebook)
    return tuple(parameter for cell in _tagged(node, PARAMETERS_TAG) for parameter in _declarations(cell.source, name))


def used_values(node: Any) -> dict[str, str]:
    """Return the source text of every parameter's value in an executed notebook: injected where given, else the default."""
    values = {parameter.name: parameter.default for parameter in declared_parameters(node)}
    for cell in _tagged(node, INJECTED_TAG):
        values |= {parameter.name: parameter.default for parameter in _declarations(cell.source, "notebook")}
    return values


def check_parameters(notebook: Any, given: Mapping[str, object]) -> dict[str, object]:
    """Return `given` as the values to run the notebook with; strings are read as the declared type.

    A string for an `int` parameter is parsed, for a `str` parameter it is kept as it is ("007" stays "007"), for a `date`
    it must be an ISO date and stays a string, for `T | None` the word "none" is `None` (unless `T` is `str`).
    Any other value must already be of the declared type. Paths become strings; what a path's parameter gets is made absolute.

    Raises:
        NotebookParameterError: a name is not declared, or a value is not of the declared type.
        UsageError: the notebook cannot be read.
    """
    _, name = load_notebook(notebook)
    known = {parameter.name: parameter for parameter in declared_parameters(notebook)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise NotebookParameterError(name, unknown[0], f"unknown; it knows {', '.join(known) or 'no parameters'}")
    return {key: _converted(name, known[key], value) for key, value in given.items()}


def load_notebook(notebook: Any) -> tuple[Any, str]:
    """Return (notebook node, name to use in messages) of a path or of a node.

    Raises:
        UsageError: the file is missing, unreadable or no notebook.
    """
    if not isinstance(notebook, str | Path):
        return notebook, "notebook"
    import nbformat
    from nbformat.reader import NotJSONError

    path = Path(notebook)
    try:
        return nbformat.read(path, as_version=4), path.name
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such notebook") from None
    except (NotJSONError, nbformat.ValidationError, UnicodeDecodeError, AttributeError) as error:
        raise UsageError(f"{path}: this is not a Jupyter notebook ({type(error).__name__})") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error


def _tagged(node: Any, tag: str) -> list[Any]:
    return [cell for cell in node.cells if cell.cell_type == "code" and tag in cell.metadata.get("tags", [])]


def _declarations(source: str, name: str) -> list[Parameter]:
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise UsageError(f"{name}: line {error.lineno} of the parameters cell is not Python") from error
    comments = {
        token.start[0]: token.string.lstrip("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = []
    target: ast.expr
    for statement in statements:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value, annotation = statement.target, statement.value, ast.unparse(statement.annotation)
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value, annotation = statement.targets[0], statement.value, _type_of_literal(statement.value)
        else:
            continue
        if isinstance(target, ast.Name):
            default = ast.get_source_segment(source, value) or ""
            found.append(Parameter(target.id, annotation, default, comments.get(statement.end_lineno or 0, "")))
    return found


def _type_of_literal(value: ast.expr) -> str:
    return type(value.value).__name__ if isinstance(value, ast.Constant) and value.value is not None else ""


def _converted(notebook: str, parameter: Parameter, value: object) -> object:
    kind, optional = _kind(notebook, parameter)
    wanted = _WORDS.get(kind, f"a value of type {parameter.type}") + (" or none" if optional else "")
    plain = str(value) if isinstance(value, Path) else value.isoformat() if isinstance(value, date) else value
    if plain is None or (isinstance(plain, str) and kind is not str and plain.lower() == "none"):
        if optional:
            return None
        raise NotebookParameterError(notebook, parameter.name, f"{value!r} is not {wanted}")
    try:
        if isinstance(plain, str) and kind not in (str, date, bool, int, float):
            converted = msgspec.json.decode(plain, type=kind)
        else:
            converted = msgspec.convert(plain, kind, strict=not isinstance(plain, str))
    except msgspec.MsgspecError:
        raise NotebookParameterError(notebook, parameter.name, f"{value!r} is not {wanted}") from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise NotebookParameterError(notebook, parameter.name, f"{value!r} is not {wanted}")
    is_path = parameter.name in _PATHS or parameter.name.endswith(_PATH_ENDINGS)
    if isinstance(converted, str) and converted and is_path:
        return str(layout.expanded(Path(converted)))
    return plain if kind is date else converted


def _kind(notebook: str, parameter: Parameter) -> tuple[Any, bool]:
    """Return (type without None, whether None is allowed) of an annotation such as `int | None` or `list[str]`."""
    written = [part.strip() for part in parameter.type.strip("'\"").split("|")]
    names = [part for part in written if part != "None"]
    outer, _, inner = names[0].partition("[") if len(names) == 1 else ("", "", "")
    if outer not in _TYPES or (inner and (outer != "list" or inner.rstrip("]") not in _TYPES)):
        reason = f"declared as {parameter.type or 'nothing'!r}, which is not one of {', '.join(_TYPES)}, list[...] or these with | None"
        raise NotebookParameterError(notebook, parameter.name, reason)
    kind = list[_TYPES[inner.rstrip("]")]] if inner else _TYPES[outer]  # type: ignore[misc]
    return kind, "None" in written
