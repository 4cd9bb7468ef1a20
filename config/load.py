"""One YAML file and the environment become a ``Config``, or a list of what is wrong and where."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tongpin.config.models import Config

MAX_BYTES = 1_000_000
_PREFIX = "TONGPIN_"
_OTHER_VARIABLES = ("TONGPIN_NATIVE", "TONGPIN_CONSOLE")
_YAML_BOOL = re.compile(r"yes|no|on|off|true|false", re.IGNORECASE)

_NO_KEYS = frozenset({"model_type", "model_attributes_type", "dict_type"})

Location = tuple[str | int, ...]
FromEnv = Mapping[tuple[str, ...], str]
"""Which key was set by which variable."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``line`` and ``column`` count from 1; 0 = not in the file (environment)."""

    where: str
    line: int
    column: int
    key: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}:{self.column}" if self.line else self.where
        return f"{place}: {self.key}: {self.reason}" if self.key else f"{place}: {self.reason}"


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` has everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read the file, put ``TONGPIN_SECTION__KEY`` variables over it, and check everything.

    Relative paths in the file count from its folder.

    Raises:
        ConfigError: with file, line, column, key and reason of each problem.
    """
    if path is None:
        return _validate({}, None, "environment", Path.cwd(), env)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    if len(data) > MAX_BYTES:
        raise ConfigError([Problem(str(path), 0, 0, "", f"larger than {MAX_BYTES} bytes: not a configuration")])
    try:
        text = data.decode("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        duplicates = list(_duplicates(root, str(path))) if root is not None else []
        if duplicates:
            raise ConfigError(duplicates)
        wrong = list(_unreadable(root, str(path))) if root is not None else []
        if wrong:
            raise ConfigError(wrong)
        content = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), 0, 0, "", f"not UTF-8 (byte {error.start})")]) from error
    except RecursionError as error:
        raise ConfigError([Problem(str(path), 0, 0, "", "nested too deep")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        raise ConfigError([Problem(str(path), line, column, "", f"not YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(str(path), 0, 0, "", f"not YAML: {error}")]) from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError([Problem(str(path), 1, 1, "", "the file must hold keys and values, such as 'server:'")])
    return _validate(content, root, str(path), path.parent, env)


def _nodes(root: Node) -> Iterator[Node]:
    """Every node once, in the file's order: aliases may share nodes, or make a ring of them."""
    seen: set[int] = set()
    pending = [root]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, MappingNode):
            pending += [part for pair in reversed(node.value) for part in reversed(pair)]
        elif isinstance(node, SequenceNode):
            pending += reversed(node.value)


def _duplicates(root: Node, where: str) -> Iterator[Problem]:
    """Keys that stand twice (YAML would silently take the last), and keys that are no plain word."""
    for node in _nodes(root):
        if not isinstance(node, MappingNode):
            continue
        seen: set[str] = set()
        for key, _ in node.value:
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if not isinstance(key, ScalarNode):
                yield Problem(where, line, column, "", "a key must be a plain word")
                continue
            if key.value in seen:
                yield Problem(where, line, column, key.value, "stands here twice")
            seen.add(key.value)


def _unreadable(root: Node, where: str) -> Iterator[Problem]:
    """Values that look like a number or a date to YAML and are none: PyYAML lets Python's bare ValueError through."""
    constructor = yaml.SafeLoader("")
    for node in _nodes(root):
        if isinstance(node, ScalarNode):
            try:
                constructor.construct_object(node)
            except yaml.YAMLError:
                continue  # safe_load reports it with its mark
            except (ValueError, OverflowError) as error:
                mark = node.start_mark
                reason = f"YAML cannot read {node.value[:40]!r} ({str(error)[:80]}); put text in quotes"
                yield Problem(where, mark.line + 1, mark.column + 1, "", reason)


def _validate(
    content: dict[str, object], root: Node | None, where: str, folder: Path, env: Mapping[str, str]
) -> Config:
    from_env = _overlay(content, env)
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        raise ConfigError(
            [_problem(item, root, where, from_env) for item in error.errors() if _counts(item)]
        ) from error
    problems = _cross_check(config, root, where, from_env)
    absolute = _absolute(config, folder, (), lambda at, why: problems.append(_place(at, why, root, where, from_env)))
    if problems:
        raise ConfigError(problems)
    return cast(Config, absolute)


# Pydantic puts the name of a union's branch into the location; it is no key of the file.
_TAGS = frozenset(
    {"soundcard", "sim", "serial", "cm108", "gpio", "rigctl", "vox", "none", "literal['auto','off']", "TlsFiles"}
)


def _overlay(content: dict[str, object], env: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Put environment variables over the file's content; which key came from which variable."""
    from_env: dict[tuple[str, ...], str] = {}
    for name, value in sorted(env.items()):
        if not name.startswith(_PREFIX) or name in _OTHER_VARIABLES:
            continue
        keys = tuple(part.lower() for part in name.removeprefix(_PREFIX).split("__"))
        place: dict[str, object] = content
        for key in keys[:-1]:
            if place.get(key) is None:  # an empty section in the file is a section
                place[key] = {}
            inner = place[key]
            if not isinstance(inner, dict):
                raise ConfigError([Problem(f"environment {name}", 0, 0, ".".join(keys), f"{key!r} has no keys below")])
            place = inner
        try:
            # Everything else stays text, which the models turn into numbers where they want some.
            place[keys[-1]] = yaml.safe_load(value) if value[:1] in ("[", "{") or value == "null" else value
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError([Problem(f"environment {name}", 0, 0, ".".join(keys), "not YAML")]) from error
        from_env[keys] = name
    return from_env


def _counts(item: ErrorDetails) -> bool:
    """Of a value that may be a word or keys (``server.tls``), only the complaint about what was written counts."""
    if any(str(step).startswith("literal[") for step in item["loc"]):
        return not isinstance(item.get("input"), dict)
    return not ("TlsFiles" in item["loc"] and item["type"] in _NO_KEYS)


def _problem(item: ErrorDetails, root: Node | None, where: str, from_env: FromEnv) -> Problem:
    """Pydantic's finding in the words of someone who edits the file."""
    location: Location = tuple(step for step in item["loc"] if step not in _TAGS)
    kind, message, value = item["type"], item["msg"].removeprefix("Value error, "), item.get("input")
    context = item.get("ctx", {})
    _, _, scalar = _find(root, location, at_key=False)
    if _variable(location, from_env) is not None:
        scalar = None
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _keys_at(location[:-1]), n=1)
        message = "no such key" + (f"; did you mean {near[0]!r}?" if near else "")
    elif kind == "missing":
        message = "is missing"
    elif kind == "string_type" and scalar is not None:
        message = f"must be text; YAML reads {scalar} as {value!r}: put it in quotes"
    elif kind.startswith(("float", "int")) and scalar is not None and _YAML_BOOL.fullmatch(scalar):
        message = f"must be a number, not {scalar}"
    elif kind in _NO_KEYS:
        message = "must hold keys; give some, or take it out"
    elif kind == "tuple_type":
        message = "must be a list: '- ' before each item, or [ ]"
    elif kind == "union_tag_invalid":
        location = (*location, "kind")
        message = f"{context.get('tag')!r} is unknown; choose one of {context.get('expected_tags')}"
    elif kind == "union_tag_not_found":
        message = "'kind' is missing"
    elif kind == "literal_error" and location == ("server", "tls"):
        message += ", or the keys cert and key"
    return _place(location, message[:1].lower() + message[1:], root, where, from_env, kind == "extra_forbidden")


def _place(
    location: Location, reason: str, root: Node | None, where: str, from_env: FromEnv, at_key: bool = False
) -> Problem:
    """The problem with its place: the variable that set the key, else the file's line and column."""
    key = ".".join(str(step) for step in location)
    variable = _variable(location, from_env)
    if variable is not None:
        return Problem(f"environment {variable}", 0, 0, key, reason)
    line, column, _ = _find(root, location, at_key=at_key)
    return Problem(where, line, column, key, reason)


def _variable(location: Location, from_env: FromEnv) -> str | None:
    """The variable that set a key or something above it."""
    steps = tuple(str(step) for step in location)
    return next((from_env[steps[:end]] for end in range(len(steps), 0, -1) if steps[:end] in from_env), None)


def _find(root: Node | None, location: Location, *, at_key: bool) -> tuple[int, int, str | None]:
    """Line, column and raw text of the deepest part of a location that the file has."""
    node = root
    line, column, scalar = (1, 1, None) if root is not None else (0, 0, None)
    for index, step in enumerate(location):
        found: Node | None = None
        mark = None
        if isinstance(node, MappingNode):
            for key, value in node.value:
                if key.value == step:
                    found = value
                    mark = key.start_mark if at_key and index == len(location) - 1 else value.start_mark
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
            mark = found.start_mark
        if found is None or mark is None:
            break
        node = found
        line, column = mark.line + 1, mark.column + 1
        scalar = found.value if isinstance(found, ScalarNode) else None
    return line, column, scalar


def _keys_at(location: Location) -> list[str]:
    """Keys that the models know at a place; union branches all count."""
    models: list[type[BaseModel]] = [Config]
    for step in location:
        if isinstance(step, int):
            continue
        models = [inner for model in models for inner in _models_of(model, str(step))]
    return [name for model in models for name in model.model_fields]


def _models_of(model: type[BaseModel], key: str) -> list[type[BaseModel]]:
    field = model.model_fields.get(key)
    found: list[type[BaseModel]] = []
    pending: list[object] = [field.annotation] if field is not None else []
    while pending:
        item = pending.pop()
        if isinstance(item, type) and issubclass(item, BaseModel):
            found.append(item)
        pending += getattr(item, "__args__", ())
    return found


def _cross_check(config: Config, root: Node | None, where: str, from_env: FromEnv) -> list[Problem]:
    """Names that stand twice, and names that mean nothing."""
    problems: list[Problem] = []

    def wrong(location: Location, reason: str) -> None:
        problems.append(_place(location, reason, root, where, from_env))

    for section, names in (
        ("agencies", [agency.id for agency in config.agencies]),
        ("talk_groups", [group.id for group in config.talk_groups]),
        ("agreements", [agreement.id for agreement in config.agreements]),
        ("templates", [template.id for template in config.templates]),
        ("legs", [leg.name for leg in config.legs]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                wrong((section, index, "name" if section == "legs" else "id"), f"{name!r} stands here twice")
    agencies = {agency.id for agency in config.agencies}
    for index, group in enumerate(config.talk_groups):
        if group.agency is not None and group.agency not in agencies:
            wrong(("talk_groups", index, "agency"), f"no agency has the id {group.agency!r}")
    for index, agreement in enumerate(config.agreements):
        for place, agency in enumerate(agreement.agencies):
            if agency not in agencies:
                wrong(("agreements", index, "agencies", place), f"no agency has the id {agency!r}")
    groups = {group.id for group in config.talk_groups}
    for index, template in enumerate(config.templates):
        for place, member in enumerate(template.talk_groups):
            if member not in groups:
                wrong(("templates", index, "talk_groups", place), f"no talk group has the id {member!r}")
        for event, agency in template.priority_policy.items():
            if agency not in agencies:
                wrong(("templates", index, "priority_policy", event), f"no agency has the id {agency!r}")
    for index, leg in enumerate(config.legs):
        if leg.agency is not None and leg.agency not in agencies:
            wrong(("legs", index, "agency"), f"no agency has the id {leg.agency!r}")
        if leg.gate.squelch_close_dbfs > leg.gate.squelch_open_dbfs:
            wrong(("legs", index, "gate", "squelch_close_dbfs"), "is above squelch_open_dbfs")
        if (
            leg.card.kind == "soundcard"
            and leg.card.device is None
            and (leg.card.capture is None or leg.card.playout is None)
        ):
            wrong(("legs", index, "card"), "names no device: set 'device', or both 'capture' and 'playout'")
    return problems


def _absolute(model: BaseModel, folder: Path, location: Location, wrong: Callable[[Location, str], None]) -> BaseModel:
    """The same model with its relative paths counted from the folder; ``wrong`` is told of a ~user who is not there."""
    changes: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        here = (*location, name)
        if isinstance(value, Path):
            try:
                changes[name] = folder / value.expanduser()
            except RuntimeError:
                wrong(here, f"{str(value)!r} begins with ~, but no such home folder is known; write it in full")
        elif isinstance(value, BaseModel):
            changes[name] = _absolute(value, folder, here, wrong)
        elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
            changes[name] = tuple(
                _absolute(item, folder, (*here, index), wrong) if isinstance(item, BaseModel) else item
                for index, item in enumerate(value)
            )
    return model.model_copy(update=changes)
