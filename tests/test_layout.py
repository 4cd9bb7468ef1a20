"""The shape of the house: rooms, links, sizes, imports, and lists that must say the same in two places."""

import ast
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("gateway", "codecs", "channels", "config")
MAX_LINES = 500
SKIPPED = {"node_modules", "dist", "__pycache__"}


def sources(*suffixes: str) -> Iterator[Path]:
    """Our own source files below the rooms and the tests."""
    for top in (*ROOMS, "tests", "scripts"):
        for folder, names, files in os.walk(ROOT / top):
            names[:] = [name for name in names if name not in SKIPPED]
            for file in files:
                if file.endswith(suffixes):
                    yield Path(folder, file)


def test_no_root_folder_takes_the_namespace() -> None:
    assert not (ROOT / "tongpin").exists(), "a root folder tongpin/ breaks the mapping of the rooms"


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_typed_and_linked(room: str) -> None:
    assert (ROOT / room / "__init__.py").is_file()
    assert (ROOT / room / "py.typed").is_file()
    link = ROOT / ".links" / "tongpin" / room
    assert link.is_symlink()
    assert os.readlink(link) == f"../../{room}"
    assert link.resolve() == ROOT / room


def test_links_hold_the_rooms_and_nothing_else() -> None:
    assert sorted(os.listdir(ROOT / ".links" / "tongpin")) == sorted(ROOMS)


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in sources(".py", ".ts", ".svelte")}
    assert len(lengths) > 50, "the walk did not find the sources"
    too_long = {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > MAX_LINES}
    assert too_long == {}, f"split these: {MAX_LINES} lines at most"


def test_imports_are_absolute() -> None:
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert relative == []


def test_dev_extra_and_dev_group_are_the_same() -> None:
    """pip installs the extra, uv and newer pips the group."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["dependency-groups"]["dev"] == project["project"]["optional-dependencies"]["dev"]
