"""The store's index: SQLite beside the artifacts, a memory that can be thrown away.

It maps fingerprints to executions, and remembers digests of files and of code by size and time of
change (`ctime`, which no program can set back). Manifests and run records are the truth;
`Store.rebuild_index` makes the index from them.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import StoreError

SCHEMA = """
CREATE TABLE IF NOT EXISTS executions (
  fingerprint TEXT, run TEXT, pipeline TEXT, step TEXT, started REAL, record TEXT,
  PRIMARY KEY (run, step)
);
CREATE INDEX IF NOT EXISTS by_fingerprint ON executions (fingerprint, started);
CREATE INDEX IF NOT EXISTS by_step ON executions (pipeline, step, started);
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, digest TEXT);
CREATE TABLE IF NOT EXISTS code (name TEXT PRIMARY KEY, stats TEXT, digest TEXT);
"""
VERSION = 1
TABLES = ("executions", "files", "code")


class Index:
    """One connection to `index.sqlite`, shared by the threads of a process.

    Attributes:
        fresh: it holds nothing yet; it is to be filled, and then `filled`.

    Raises:
        StoreError: the file can't be read or written now.
        sqlite3.DatabaseError: it is no database, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with suppress(OSError):  # SQLite makes a file that only its maker may write to, whatever the umask
            path.touch()
        with self._explained():
            self._connection = sqlite3.connect(
                path, timeout=60, check_same_thread=False, isolation_level=None
            )
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            # The version is written last: a process that dies while it fills the index leaves it fresh.
            self.fresh = version != VERSION
            if self.fresh:
                self._connection.execute("PRAGMA journal_mode=WAL")
                forget = "".join(f"DROP TABLE IF EXISTS {table};" for table in TABLES if version)
                self._connection.executescript(f"BEGIN IMMEDIATE; {forget}{SCHEMA} COMMIT;")
            # A power cut may lose the last commits, never the file; records are fsynced, and the truth.
            self._connection.execute("PRAGMA synchronous=NORMAL")

    def filled(self) -> None:
        """Notes that the index holds all that the records tell."""
        with self._lock, self._explained():
            self._connection.execute(f"PRAGMA user_version={VERSION}")
        self.fresh = False

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what the system does to a database (full disk, lock, no right to write) into a StoreError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            full = "full" in str(error)
            raise StoreError(
                "the disk is full" if full else f"the store's index can't be used: {error}",
                file=str(self._path),
                remedy="free some space (`headrace gc`), or give another folder by --store"
                if full
                else "see whether the disk is full; index.sqlite* may be deleted, it is made again",
            ) from error

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._explained():
            return self._connection.execute(sql, values).fetchall()

    def _write(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(sql, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def add_executions(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Remembers steps' records; each holds fingerprint, run, pipeline, step and started."""
        names = ("fingerprint", "run", "pipeline", "step", "started")
        rows = [[*(record[name] for name in names), json.dumps(record)] for record in records]
        self._write("INSERT OR REPLACE INTO executions VALUES (?,?,?,?,?,?)", rows)

    def executions(self, fingerprint: str) -> list[dict[str, Any]]:
        """Records of the executions with this fingerprint, the newest first."""
        rows = self._all(
            "SELECT record FROM executions WHERE fingerprint=? ORDER BY started DESC", [fingerprint]
        )
        return [json.loads(row[0]) for row in rows]

    def last_executions(self, pipeline: str, step: str, most: int = 20) -> list[dict[str, Any]]:
        """Records of the executions of a step of a pipeline, the newest first."""
        rows = self._all(
            "SELECT record FROM executions WHERE pipeline=? AND step=? ORDER BY started DESC LIMIT ?",
            [pipeline, step, most],
        )
        return [json.loads(row[0]) for row in rows]

    def forget_runs(self, runs: Iterable[str]) -> None:
        """Removes the executions of these runs."""
        self._write("DELETE FROM executions WHERE run=?", [[run] for run in runs])

    def files(self, paths: Sequence[str]) -> dict[str, tuple[int, int, str]]:
        """Remembered (size, time of change in ns, digest) by path."""
        found: dict[str, tuple[int, int, str]] = {}
        for start in range(0, len(paths), 500):
            some = {_text(path): path for path in paths[start : start + 500]}
            marks = ",".join("?" * len(some))
            for key, *rest in self._all(f"SELECT * FROM files WHERE path IN ({marks})", list(some)):  # noqa: S608
                found[some[key]] = (rest[0], rest[1], rest[2])
        return found

    def remember_files(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        """Remembers (path, size, time of change in ns, digest)."""
        self._write(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?)", [[_text(path), *rest] for path, *rest in rows]
        )

    def code(self, name: str) -> tuple[Any, Any] | None:
        """The remembered (stats, digest) of a function's code as JSON values, or None."""
        rows = self._all("SELECT stats, digest FROM code WHERE name=?", [name])
        return (json.loads(rows[0][0]), json.loads(rows[0][1])) if rows else None

    def remember_code(self, name: str, stats: Any, digest: Any) -> None:
        """Remembers what a function's code consisted of when its files had these stats."""
        self._write(
            "INSERT OR REPLACE INTO code VALUES (?,?,?)", [[name, json.dumps(stats), json.dumps(digest)]]
        )


def _text(path: str) -> str:
    """A path as SQLite takes it: a name that is no UTF-8 has bytes that it refuses."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
