"""The Dockerfile without a Docker daemon: its stages, its user, its packages, and its health check for real."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEALTHCHECK = ROOT / "scripts" / "healthcheck.py"

Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """Each instruction and its arguments, continued lines joined and comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#")]
    found = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            found.append((word.upper(), " ".join(rest.split())))
    return found


def final_stage() -> list[Instruction]:
    every = instructions()
    return every[max(index for index, (word, _) in enumerate(every) if word == "FROM") :]


def arguments(stage: list[Instruction], word: str) -> list[str]:
    return [rest for found, rest in stage if found == word]


def test_two_stages_of_the_same_base() -> None:
    bases = [rest.split()[0] for rest in arguments(instructions(), "FROM")]
    assert bases == ["python:3.12-slim-bookworm"] * 2


def test_the_native_part_is_built_where_the_compiler_is() -> None:
    runs = arguments(instructions(), "RUN")
    assert any("apt-get install" in rest and " gcc " in rest for rest in runs)
    assert any("TONGPIN_NATIVE=yes" in rest for rest in runs)
    assert not any("gcc" in rest for rest in arguments(final_stage(), "RUN"))


def test_it_does_not_run_as_root() -> None:
    stage = final_stage()
    assert arguments(stage, "USER") == ["tongpin"]
    user = next(index for index, (word, _) in enumerate(stage) if word == "USER")
    assert any("useradd" in rest for word, rest in stage[:user] if word == "RUN")
    assert not [rest for word, rest in stage[user:] if word == "RUN"]


def test_system_packages_come_from_the_list_that_setup_uses() -> None:
    installs = [rest for rest in arguments(final_stage(), "RUN") if "apt-get install" in rest]
    assert len(installs) == 1
    assert "xargs -a /tmp/packages-run.txt apt-get install -y --no-install-recommends &&" in installs[0]
    assert "scripts/packages-run.txt /tmp/packages-run.txt" in arguments(final_stage(), "COPY")
    packages = (ROOT / "scripts" / "packages-run.txt").read_text("utf-8").split()
    assert {"libportaudio2", "libopus0"} <= set(packages)
    assert "$(cat scripts/packages-run.txt)" in (ROOT / "scripts" / "setup").read_text("utf-8")


def test_every_copied_file_exists_and_is_sent_to_the_daemon() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    copied = [rest.split()[0] for rest in arguments(instructions(), "COPY")]
    assert copied == [".", "scripts/packages-run.txt", "scripts/healthcheck.py"]
    assert all((ROOT / name).exists() for name in copied)
    needed = (
        "scripts",
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "setup.py",
        "gateway",
        "codecs",
        "channels",
        "config",
    )
    assert not set(needed) & set(ignored)
    assert all((ROOT / name).exists() for name in needed)


def test_health_check_is_the_script() -> None:
    (check,) = arguments(final_stage(), "HEALTHCHECK")
    (target,) = [rest.split()[1] for rest in arguments(final_stage(), "COPY") if "healthcheck.py" in rest]
    assert check.endswith(f'CMD ["python", "{target}"]')


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on loopback that gives every request this status; the value is its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Standard error stays clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def health(port: int) -> int:
    env = {**os.environ, "TONGPIN_SERVER__PORT": str(port)}
    return subprocess.run([sys.executable, str(HEALTHCHECK)], env=env, timeout=30, check=False).returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_health_check_tells_what_the_service_answers(status: int, code: int) -> None:
    with answering(status) as port:
        assert health(port) == code


def test_health_check_fails_when_nothing_listens() -> None:
    with answering(200) as port:
        pass
    assert health(port) == 1
