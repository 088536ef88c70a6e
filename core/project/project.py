"""The project file: one SQLite file holding measurements, runs, the space and the choices.

Measurements are never taken away, and each is committed (and on disk) before `add_measurement` returns,
so a process killed at any moment loses at most the point in flight. One that is being timed in turns
with others is stored as far as it is, and again in its place (`put_measurement`).
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from core.errors import Unusable
from core.guarded import is_folder, is_there, json_value
from core.project.checks import TABLES, check_kind, check_tables, check_whole, trust_nothing
from core.project.choices import Choices, choices_from_dict, choices_to_dict
from core.project.migrations import SCHEMA_VERSION, migrate, migrated_copy, version_of
from core.project.packing import pack, sound_records
from core.records.imported import ImportedPoint
from core.records.measurement import Measurement
from core.records.serial import from_plain, measurement_from_dict, measurement_to_dict, to_plain
from core.records.training_runs import TrainingRuns

T = TypeVar("T")
SUFFIX = ".paretoscope"
APPLICATION_ID = 0x50415245  # 'PARE', so that `file` and we can tell a project from other SQLite
SET_ASIDE = " that could not be read"


class Project:
    """An open project file. Use as a context manager or call `close`.

    `open` raises Unusable for a file that is missing, damaged, of another kind or of a newer
    version, and never writes to such a file.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, read_only: bool, because: str = ""
    ) -> None:
        self.path = path
        self.read_only = read_only
        self.because = because  # why a file that was to be written is read-only
        self._db = connection
        # a job's thread stores results while the window reads: one at a time
        self._lock = threading.RLock()
        self._identity = _identity(path)
        self._unread: dict[str, tuple[str, ...]] = {}

    @property
    def unread(self) -> tuple[str, ...]:
        """What of all that was read so far could not be, one line each. It stays in the file."""
        return tuple(line for lines in self._unread.values() for line in lines)

    @staticmethod
    def create(path: Path | str) -> Project:
        """A new, empty project; Unusable when something is already there or cannot be written."""
        path = Path(path)
        if is_there(path):
            raise Unusable(f"{path} exists already; open it or choose another name")
        if not is_folder(path.parent):
            raise Unusable(f"the folder {path.parent} does not exist")
        try:
            db = _connect(path, "rwc")
            db.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION}; {TABLES} COMMIT;"
            )
        except sqlite3.Error as error:
            raise Unusable(f"{path} cannot be written ({error})") from error
        return Project(path, db, read_only=False)

    @staticmethod
    def open(path: Path | str, read_only: bool = False) -> Project:
        """An existing project; a file in a read-only place opens for reading."""
        path = Path(path)
        check_kind(path)
        if not read_only and not _writable(path):
            return _because(Project.open(path, True), "the file or its folder may not be written")
        try:
            db, version, kind = _look_into(path, "ro" if read_only else "rw")
        except sqlite3.OperationalError as error:
            if not read_only and _cannot_lock(error):
                return _because(Project.open(path, True), "its drive cannot lock files")
            if not read_only and "readonly" in str(error):
                return _because(Project.open(path, True), "the file may not be written")
            if not _cannot_lock(error):
                raise Unusable(f"{path} cannot be opened ({error})") from error
            try:
                # a network drive without locks: reading is still safe for who does not write
                db, version, kind = _look_into(path, "ro", "&nolock=1")
            except sqlite3.Error as again:
                raise Unusable(f"{path} cannot be opened ({again})") from again
        except (sqlite3.DatabaseError, UnicodeError) as error:
            raise Unusable(f"{path} is damaged ({error}); it was left as it is") from error
        try:
            if kind != APPLICATION_ID:
                raise Unusable(f"{path} is a database of another program")
            if version > SCHEMA_VERSION:
                raise Unusable(
                    f"{path} was written by a newer Paretoscope (file version {version}, "
                    f"this program reads up to {SCHEMA_VERSION}); update the program to open it"
                )
            if version < 1:
                raise Unusable(
                    f"{path} has file version {version}, which no Paretoscope writes; it was left as it is"
                )
            check_tables(path, db)
            check_whole(path, db)
            if version < SCHEMA_VERSION and read_only:
                db = migrated_copy(db)
            elif version < SCHEMA_VERSION:
                migrate(db)
        except (sqlite3.Error, UnicodeError) as error:
            db.close()
            raise Unusable(_refusal(path, error)) from error
        except BaseException:
            db.close()
            raise
        return Project(path, db, read_only)

    @staticmethod
    def open_or_create(path: Path | str) -> Project:
        """The project at this path, made empty where there is none."""
        return Project.open(path) if is_there(path) else Project.create(path)

    @staticmethod
    def in_memory(path: Path) -> Project:
        """A project's copy in memory, for reading; the file may go."""
        with Project.open(path, read_only=True) as stored:
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            stored._db.backup(copy)
        return Project(path, copy, read_only=True)

    def close(self) -> None:
        """Close the file; everything added is already on disk."""
        self._db.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- measurements -----------------------------------------------------------------------

    def add_measurement(self, measurement: Measurement) -> Measurement:
        """The measurement with its row number, once it is on disk."""
        record = pack(measurement_to_dict(measurement))
        label = f"{measurement.architecture.label} | {measurement.runtime.label}"
        row = self._write(
            "INSERT INTO measurement (added_at, label, flags, record) VALUES (?, ?, ?, ?)",
            (datetime.now(UTC).isoformat(), label, " ".join(measurement.flags), record),
        )
        return replace(measurement, id=row)

    def put_measurement(self, measurement: Measurement) -> Measurement:
        """The measurement once it is on disk: in place of what its row held, or in a row of its own."""
        if not measurement.id:
            return self.add_measurement(measurement)
        values = (" ".join(measurement.flags), pack(measurement_to_dict(measurement)))
        with self._transaction():
            self._db.execute(
                "UPDATE measurement SET flags = ?, record = ? WHERE id = ?",
                (*values, measurement.id),
            )
        return measurement

    def count(self) -> int:
        """How many measurements it holds."""
        return int(self._read("SELECT COUNT(*) FROM measurement")[0][0])

    def measurements(self) -> tuple[Measurement, ...]:
        """All measurements that can be read, in the order they were stored."""
        rows = self._read("SELECT id, record FROM measurement ORDER BY id")
        return self._readable(rows, "measurement", measurement_from_dict)

    # --- training runs and imported results ---------------------------------------------------

    def put_runs(self, runs: TrainingRuns) -> None:
        """Store a suite of runs, in place of an earlier one of the same name."""
        self._write(
            "INSERT OR REPLACE INTO runs (suite, record) VALUES (?, ?)",
            (runs.suite, pack(to_plain(runs))),
        )

    def runs(self) -> tuple[TrainingRuns, ...]:
        """The project's own suites that can be read, by name."""
        rows = self._read("SELECT suite, record FROM runs ORDER BY suite")
        return self._readable(rows, "suite of runs", lambda r, _: from_plain(TrainingRuns, r))

    def add_imported(self, source: str, points: Iterable[ImportedPoint]) -> None:
        """Append imported points from one file."""
        with self._transaction():
            for point in points:
                self._db.execute(
                    "INSERT INTO imported (source, record) VALUES (?, ?)",
                    (source.encode(errors="replace").decode(), pack(to_plain(point))),
                )

    def imported(self) -> tuple[ImportedPoint, ...]:
        """All imported points that can be read, in the order they were stored."""
        rows = self._read("SELECT id, record FROM imported ORDER BY id")
        return self._readable(rows, "imported point", lambda r, _: from_plain(ImportedPoint, r))

    # --- named texts: the space, the choices --------------------------------------------------

    def put_text(self, name: str, value: str) -> None:
        """Store a text under a name, in place of an earlier one. One that could not be read is kept
        beside it, under another name."""
        with self._transaction():
            if self._unread.pop(name, ()):
                self._db.execute(
                    "UPDATE OR REPLACE text SET name = ? WHERE name = ?", (name + SET_ASIDE, name)
                )
            self._db.execute(
                "INSERT OR REPLACE INTO text (name, value) VALUES (?, ?)", (name, value)
            )

    def text(self, name: str, default: str = "") -> str:
        """The text of a name; the default too for something stored there that is no text."""
        rows = self._read(
            "SELECT CAST(value AS BLOB), typeof(value) FROM text WHERE name = ?", (name,)
        )
        if not rows:
            return default
        value, kind = rows[0]
        try:
            if kind != "text":
                raise ValueError(f"it is {kind} and not text")
            return str(value.decode())
        except ValueError as error:
            self.could_not_read(name, str(error))
            return default

    def could_not_read(self, name: str, reason: str) -> None:
        """Note that the text of a name cannot be used, so that it is kept when another takes its place."""
        self._unread[name] = (
            f"the project's {name} could not be read and was left out ({reason})",
        )

    def put_choices(self, choices: Choices) -> None:
        """Store the user's choices."""
        self.put_text("choices", json.dumps(choices_to_dict(choices)))

    def choices(self) -> Choices:
        """The stored choices; the defaults where there are none, or none that can be read."""
        stored = self.text("choices")
        try:
            return choices_from_dict(json_value(stored)) if stored else Choices()
        except ValueError as error:
            self.could_not_read("choices", str(error))
            return Choices()

    def _readable(
        self, rows: list[Any], what: str, read: Callable[[dict[str, Any], Any], T]
    ) -> tuple[T, ...]:
        found, self._unread[what] = sound_records(rows, what, read)
        return found

    # --- the database --------------------------------------------------------------------------

    def save_copy(self, path: Path | str) -> None:
        """Write a whole, consistent copy (SQLite's online backup) to another path."""
        path = Path(path)
        if not is_folder(path.parent):
            raise Unusable(f"the folder {path.parent} does not exist")
        unfinished = path.with_name(path.name + ".part")
        with suppress(FileNotFoundError):
            unfinished.unlink()
        try:
            target = sqlite3.connect(unfinished)
            try:
                self._db.backup(target)
            finally:
                target.close()
            unfinished.replace(path)
        except (sqlite3.Error, OSError) as error:
            with suppress(OSError):
                unfinished.unlink()
            raise Unusable(f"{path} cannot be written ({error})") from error

    def _read(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            raise Unusable(f"{self.path} cannot be read ({error})") from error

    def _write(self, sql: str, values: tuple[Any, ...]) -> int:
        with self._transaction():
            return int(self._db.execute(sql, values).lastrowid or 0)

    def _transaction(self) -> _Transaction:
        if self.read_only:
            raise Unusable(f"{self.path} is read-only; save a copy elsewhere to change it")
        if self._identity is not None and _identity(self.path) != self._identity:
            # the system would go on writing into a file that no longer has a name
            raise Unusable(
                f"{self.path} was removed, renamed or replaced while it was open; what it held is"
                " still here: save it as a new file to keep it"
            )
        return _Transaction(self.path, self._db, self._lock)


class _Transaction:
    """Commit on success, roll back on failure, and say which file refused and why."""

    def __init__(self, path: Path, db: sqlite3.Connection, lock: threading.RLock) -> None:
        self._path = path
        self._db = db
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._lock.release()
            raise Unusable(_refusal(self._path, error)) from error

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
                return
            # a full disk has taken the transaction back already
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as failure:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise Unusable(_refusal(self._path, failure)) from failure
        finally:
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise Unusable(_refusal(self._path, error)) from error


def _refusal(path: Path, error: Exception) -> str:
    reason = str(error)
    if "locked" in reason:
        return f"{path} is being written by another program; close it there and try again"
    if "full" in reason:
        return f"the disk of {path} is full; free some space, what was stored before is safe"
    if "readonly" in reason:
        return f"{path} is read-only; save a copy elsewhere to change it"
    return f"{path} could not be written ({reason})"


def _because(project: Project, why: str) -> Project:
    project.because = why
    return project


def _writable(path: Path) -> bool:
    """Whether the file and, for the journal beside it, its folder may be written."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file the path names now; None for none, or where the system does not number files."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def _cannot_lock(error: sqlite3.Error) -> bool:
    return "disk I/O error" in str(error) or "locking protocol" in str(error)


def _look_into(path: Path, mode: str, more: str = "") -> tuple[sqlite3.Connection, int, int]:
    """The connection, the schema's version and the application's number."""
    db = _connect(path, mode, more)
    try:
        version = version_of(db)
        kind = int(db.execute("PRAGMA application_id").fetchone()[0])
    except BaseException:
        db.close()
        raise
    return db, version, kind


def _connect(path: Path, mode: str, more: str = "") -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}{more}",
        uri=True,
        timeout=5.0,
        isolation_level=None,
        check_same_thread=False,
    )
    trust_nothing(db)
    # a rollback journal rather than WAL: one file, and it works on network drives
    db.execute("PRAGMA synchronous = FULL")
    return db
