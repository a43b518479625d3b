"""A YAML file as plain data, together with where each of its values stands.

Reading is separate from judging: `read_document` gives a `Document`, and `validation.validate` turns it into
a declared type with every mistake located.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from promptarena.definitions.secret_guard import looks_secret
from promptarena.errors import ArenaError, DefinitionError, Location, Problem

__all__ = ["Document", "FieldPath", "parse_document", "read_document"]

FieldPath = tuple[str | int, ...]
"""Keys and list indices from the top of a file down to a value."""

MAX_BYTES: Final = 1_000_000
MAX_VALUES: Final = 100_000
"""After aliases are expanded; a nest of aliases reaches any number from a few lines."""
MAX_DIGITS: Final = 30


@dataclass(frozen=True)
class Document:
    """One definition file.

    >>> document = parse_document("primary: csat\\ndesign: {power: 0.8}\\n", Path("x.yaml"))
    >>> document.data
    {'primary': 'csat', 'design': {'power': 0.8}}
    >>> str(document.position(("design", "power")))
    'x.yaml:2:17 (design.power)'
    """

    path: Path
    data: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    """What is wrong with the YAML itself though it could be read: repeated keys, unknown tags, infinities."""
    values: Mapping[FieldPath, Location] = field(default_factory=dict, repr=False)
    keys: Mapping[FieldPath, Location] = field(default_factory=dict, repr=False)
    removed: frozenset[FieldPath] = frozenset()
    """What `without` took out; -1 stands for any one item of a list."""

    def position(self, at: FieldPath = (), *, key: bool = False) -> Location:
        """Where a value stands (or its key); of something absent, where what would hold it stands."""
        places = self.keys if key else self.values
        if found := (places.get(at) or self.values.get(at)):
            return found
        around = at
        while around and around not in self.values:
            around = around[:-1]
        found = self.keys.get(around) or self.values.get(around)
        inside = replace(found, field=None) if found else Location(self.path)
        outer = found.field if found and around else None
        return replace(inside, field=dotted(at[len(around) :], outer))

    def located(self, error: ArenaError) -> DefinitionError:
        """The same problems, where they name fields of this file with the lines of those."""

        def placed(problem: Problem) -> Problem:
            path = tuple(((problem.where and problem.where.field) or "").split("."))
            return replace(problem, where=self.position(path)) if path[0].isidentifier() else problem

        return DefinitionError([placed(problem) for problem in error.problems])

    def get(self, at: FieldPath) -> Any:
        """The value at a path.

        Raises:
            KeyError: there is none.
        """
        value: Any = self.data
        for part in at:
            if not self._has(value, part):
                raise KeyError(at)
            value = value[part]
        return value

    def holds(self, at: FieldPath) -> bool:
        """Whether there is a value at a path."""
        try:
            self.get(at)
        except KeyError:
            return False
        return True

    def without(self, at: FieldPath) -> Document:
        """The document less one value. What follows it in a list moves up but keeps its position and name."""
        last = at[-1]
        self.get(at)

        def moved(path: FieldPath) -> FieldPath | None:
            if path[: len(at)] == at:
                return None
            if isinstance(last, int) and len(path) >= len(at) and path[: len(at) - 1] == at[:-1]:
                index = path[len(at) - 1]
                if isinstance(index, int) and index > last:
                    return (*at[:-1], index - 1, *path[len(at) :])
            return path

        def rekeyed(places: Mapping[FieldPath, Location]) -> dict[FieldPath, Location]:
            return {new: where for old, where in places.items() if (new := moved(old)) is not None}

        return replace(
            self,
            data=_cut(self.data, at),
            values=rekeyed(self.values),
            keys=rekeyed(self.keys),
            removed=frozenset(new for old in self.removed if (new := moved(old)) is not None)
            | {(*at[:-1], -1) if isinstance(last, int) else at},
        )

    @staticmethod
    def _has(value: Any, part: str | int) -> bool:
        if isinstance(part, int):
            return isinstance(value, list) and 0 <= part < len(value)
        return isinstance(value, dict) and part in value


def dotted(path: FieldPath, start: str | None = None) -> str | None:
    """Write a path as people do.

    >>> dotted(("guardrails", 1, "margin"))
    'guardrails[1].margin'
    """
    text = start or ""
    for part in path:
        name = part if isinstance(part, int) or not looks_secret(part) else "(secret)"
        text += f"[{part}]" if isinstance(part, int) else f".{name}" if text else f"{name}"
    return text or None


def _cut(value: Any, path: FieldPath) -> Any:
    """A copy of a mapping or list without what stands at the path."""
    part, rest = path[0], path[1:]
    if isinstance(value, list):
        return [
            _cut(item, rest) if index == part else item
            for index, item in enumerate(value)
            if rest or index != part
        ]
    return {
        key: _cut(item, rest) if key == part else item for key, item in value.items() if rest or key != part
    }


def read_document(path: Path) -> Document:
    """Read a YAML file whose top is a mapping.

    Raises:
        DefinitionError: the file cannot be read or is not such YAML; one problem, with its place.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DefinitionError("There is no such file.", where=Location(path)) from None
    except IsADirectoryError:
        raise DefinitionError("This is a folder; a definition is a file.", where=Location(path)) from None
    except OSError as error:
        raise DefinitionError(f"The file cannot be read: {error.strerror}.", where=Location(path)) from None
    if len(raw) > MAX_BYTES:
        raise DefinitionError(
            f"A definition file holds at most {MAX_BYTES:,} bytes; this one holds more.", where=Location(path)
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_start = raw.rfind(b"\n", 0, error.start) + 1
        where = Location(
            path,
            line=raw.count(b"\n", 0, error.start) + 1,
            column=len(raw[line_start : error.start].decode("utf-8", "replace")) + 1,
        )
        byte = raw[error.start]
        raise DefinitionError(
            f"The file is not UTF-8: byte 0x{byte:02x} does not belong here.",
            where=where,
            hint="Save it as UTF-8.",
        ) from None
    return parse_document(text, path)


def parse_document(text: str, path: Path) -> Document:
    """Read YAML text whose top is a mapping; `path` is for messages only.

    Raises:
        DefinitionError: it is not such YAML; one problem, with its place.
    """
    try:
        top = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        raise _syntax_error(error, text, path) from None
    except RecursionError:
        raise DefinitionError("Values are nested too deeply.", where=Location(path)) from None
    if top is None or (isinstance(top, ScalarNode) and not top.value):
        raise DefinitionError("The file is empty.", where=Location(path))
    if not isinstance(top, MappingNode):
        found = "a list" if isinstance(top, SequenceNode) else "one value"
        raise DefinitionError(
            f"The top of a definition is a mapping (`name: value` lines); found {found}.",
            where=Location(path, top.start_mark.line + 1, top.start_mark.column + 1),
        )
    reader = _Reader(path)
    try:
        data = reader.top(top)
    except _TooManyValuesError:
        raise DefinitionError(
            f"The file holds more than {MAX_VALUES:,} values once its aliases are expanded.",
            where=Location(path),
        ) from None
    return Document(path, data, tuple(reader.problems), reader.values, reader.keys)


def _syntax_error(error: YAMLError, text: str, path: Path) -> DefinitionError:
    hint = None
    if (mark := getattr(error, "problem_mark", None)) is not None:
        line, column = mark.line, mark.column
        problem = str(getattr(error, "problem", ""))
        context = getattr(error, "context", None)
        message = f"This is not YAML: {problem}{f' ({context})' if context else ''}."
        if "'\\t'" in problem:
            message, hint = "A tab stands where YAML wants spaces.", "Indent with spaces."
        elif "expected a single document" in str(context):
            message, hint = "The file holds a second document (`---`).", "Write one definition a file."
        elif "mapping values are not allowed" in problem:
            hint = "Check the indentation, or put a value that holds `: ` in quotes."
    else:
        offset = int(getattr(error, "position", 0))
        line = text.count("\n", 0, offset)
        column = offset - (text.rfind("\n", 0, offset) + 1)
        message = f"Control character 0x{ord(text[offset]):02x} is not allowed in YAML."
    return DefinitionError(message, where=Location(path, line + 1, column + 1), hint=hint)


class _TooManyValuesError(Exception):
    pass


class _Reader:
    """Turns YAML nodes into plain data and notes where each stood."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[FieldPath, Location] = {}
        self.keys: dict[FieldPath, Location] = {}
        self.problems: list[Problem] = []
        self._open: list[Node] = []
        self._count = 0

    def top(self, node: MappingNode) -> dict[str, Any]:
        self.values[()] = self._place(node, ())
        self._open.append(node)
        return self._mapping(node, ())

    def _value(self, node: Node, at: FieldPath, key: Location | None = None) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooManyValuesError
        here = self.values[at] = self._place(node, at)
        if isinstance(node, ScalarNode):
            if key and not node.value and not node.style:
                # An empty value has its mark wherever the next token stands; people look at its key.
                self.values[at] = key
            return self._scalar(node, here)
        if any(node is outer for outer in self._open):
            self._complain("An alias refers to the value that holds it.", here)
            return None
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, at)
            return [self._value(item, (*at, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, at: FieldPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged.append(value_node)
                continue
            if not isinstance(key_node, ScalarNode) or not key_node.value:
                self._complain("A key is a word; found something else.", self._place(key_node, at))
                continue
            name = str(key_node.value)
            path = (*at, name)
            where = self._place(key_node, path)
            if name in result:
                first = self.keys[path].line
                self._complain(
                    f"`{name}` is written twice; the first is on line {first}.", where, "Keep one of them."
                )
                continue
            self.keys[path] = where
            result[name] = self._value(value_node, path, where)
        for value_node in merged:
            self._merge(value_node, at, result)
        return result

    def _merge(self, node: Node, at: FieldPath, into: dict[str, Any]) -> None:
        """`<<`: take what the mapping does not say itself."""
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            if not isinstance(source, MappingNode) or any(source is outer for outer in self._open):
                self._complain("`<<` takes another mapping.", self._place(source, at))
                continue
            for key_node, value_node in source.value:
                name = str(key_node.value)
                if isinstance(key_node, ScalarNode) and name not in into and name != "<<":
                    self.keys[(*at, name)] = self._place(key_node, (*at, name))
                    into[name] = self._value(value_node, (*at, name), self.keys[(*at, name)])

    def _scalar(self, node: ScalarNode, where: Location) -> Any:
        text = str(node.value)
        match str(node.tag).removeprefix("tag:yaml.org,2002:"):
            case "str" | "timestamp" | "value":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                digits = text.replace("_", "").lower()
                signless = digits.lstrip("+-")
                if len(signless) > MAX_DIGITS:
                    self._complain(f"A number has at most {MAX_DIGITS} digits here.", where)
                    return None
                return int(digits, 0) if signless[:2] in ("0x", "0o", "0b") else int(digits)
            case "float":
                number = float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
                if not math.isfinite(number):
                    self._complain(f"`{text}` is not a finite number.", where)
                    return None
                return number
            case tag:
                self._complain(f"The tag `{tag}` is not known here.", where, "Write plain YAML.")
                return text

    def _place(self, node: Node, at: FieldPath) -> Location:
        mark = node.start_mark
        return Location(self.path, mark.line + 1, mark.column + 1, dotted(at))

    def _complain(self, message: str, where: Location, hint: str | None = None) -> None:
        self.problems.append(Problem(message, where, hint))
