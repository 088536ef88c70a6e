"""A project file from a stranger: that it is one, whole, and holds nothing but tables of ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from core.errors import Unusable
from core.guarded import is_folder, is_there, read_start

TABLES = """
CREATE TABLE measurement (
    id INTEGER PRIMARY KEY, added_at TEXT NOT NULL, label TEXT NOT NULL, flags TEXT NOT NULL,
    record BLOB NOT NULL);
CREATE TABLE runs (suite TEXT PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE imported (id INTEGER PRIMARY KEY, source TEXT NOT NULL, record BLOB NOT NULL);
CREATE TABLE text (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
MOST_VALUE_BYTES = 2**29  # of one value in the file, and of one statement


def check_kind(path: Path) -> None:
    """Unusable unless a plain file is there that begins as SQLite's do."""
    if is_folder(path):
        raise Unusable(f"{path} is a folder, not a project file")
    if not is_there(path):
        raise Unusable(f"there is no file {path}")
    if read_start(path, 16) != b"SQLite format 3\0":
        raise Unusable(f"{path} is not a Paretoscope project, or its start is damaged")


def trust_nothing(db: sqlite3.Connection) -> None:
    """Let the file's own schema call no function with effects, and no value be larger than ours are."""
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_VALUE_BYTES)


def check_tables(path: Path, db: sqlite3.Connection) -> None:
    """Unusable, by name, for a table that is not as this program makes it, and for a view or trigger.

    These could run when something is read or stored, without end or with an effect nobody sees.
    """
    ours = {_words(sql).split()[2]: _words(sql) for sql in TABLES.split(";") if sql.strip()}
    for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
        # an index that SQLite makes for a primary key has no text
        if kind == "index" and sql is None:
            continue
        if kind != "table" or name not in ours:
            raise Unusable(
                f"{path} holds the {kind} '{name}', which no project has; it was left as it is"
            )
        if _words(str(sql)) != ours.pop(name):
            raise Unusable(
                f"{path}: its table '{name}' is not as this program makes it; it was left as it is"
            )
    if ours:
        raise Unusable(f"{path} lacks the table '{next(iter(ours))}'; it was left as it is")


def _words(sql: str) -> str:
    return " ".join(sql.split())


def check_whole(path: Path, db: sqlite3.Connection) -> None:
    """Unusable for a file whose pages do not fit together."""
    try:
        answer = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        answer = str(error)
    if answer != "ok":
        raise Unusable(f"{path} is damaged ({answer}); it was left as it is")
