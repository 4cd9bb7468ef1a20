"""A PostgreSQL server for the tests: one that runs (TONGPIN_TEST_POSTGRES_URL), or one started here, thrown away after.

The one started here listens on a Unix socket in its own folder only, so it meets no other server's port.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Read at import: the suite's own fixture hides TONGPIN_ variables from the tests.
RUNNING = os.environ.get("TONGPIN_TEST_POSTGRES_URL", "")
START_S = 30.0
# Nothing here must survive a power cut.
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60", "listen_addresses=")
# The server ends with its standard input, so that it outlives no test process, however that ends.
GUARD = 'trap "" INT TERM; "$@" </dev/null & server=$!; cat >/dev/null; kill -INT "$server"; wait "$server"'


def _program(name: str) -> str:
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name.split(".")[0])
    )
    for folder in reversed(folders):
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: apt-get install postgresql, or set TONGPIN_TEST_POSTGRES_URL")
    return found


class Postgres:
    """One server. ``base`` is a libpq URI of its maintenance database."""

    def __init__(self, base: str) -> None:
        self.base = base

    def sql(self, statement: str, base: str | None = None) -> str:
        """Run a statement by psql; what it printed."""
        words = ["psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", base or self.base, "-c", statement]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    @contextmanager
    def database(self) -> Iterator[str]:
        """An empty database of its own; the ``storage.url`` for it."""
        name = f"tongpin_{secrets.token_hex(6)}"
        self.sql(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, database: str) -> str:
        return _with_database(self.base, database).replace("postgresql://", "postgresql+asyncpg://", 1)


class OwnPostgres(Postgres):
    """A server in a temporary folder, run by an unprivileged user."""

    def __init__(self, folder: Path, user: str | None) -> None:
        super().__init__(f"postgresql:///postgres?host={folder}&user=tongpin")
        self._folder = folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(folder / "data"), "-U", "tongpin", "-A", "trust", "-E", "UTF8", "--no-sync")

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run([_program(program), *words], capture_output=True, text=True, user=self._user, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Come back when it answers."""
        data = self._folder / "data"
        settings = [word for setting in SETTINGS for word in ("-c", setting)]
        server = [_program("postgres"), "-D", str(data), "-k", str(self._folder), *settings]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "guard", *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=self._user,
                group=pwd.getpwnam(self._user).pw_gid if self._user is not None else None,
                extra_groups=[] if self._user is not None else None,
                cwd="/",
            )
        ready = [_program("pg_isready"), "-q", "-h", str(self._folder), "-t", "1"]
        for _ in range(round(START_S / 0.05)):
            if subprocess.run(ready, timeout=START_S).returncode == 0:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start:\n" + (self._folder / "log").read_text())

    def stop(self) -> None:
        """Sessions are cut (SIGINT, "fast" in PostgreSQL's words)."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(START_S)


def _with_database(base: str, database: str) -> str:
    head, _, query = base.partition("?")
    scheme, _, rest = head.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{database}" + (f"?{query}" if query else "")


@contextmanager
def own_server() -> Iterator[OwnPostgres]:
    """A server that is nobody else's, for tests that stop it."""
    user = None
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
    folder = Path(tempfile.mkdtemp(prefix="tongpin-pg-", dir="/tmp"))
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    try:
        server = OwnPostgres(folder, user)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def any_server() -> Iterator[Postgres]:
    """The running one if there is one, else one of our own."""
    if RUNNING:
        yield Postgres(RUNNING)
        return
    with own_server() as server:
        yield server
