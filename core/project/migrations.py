"""Project files of earlier versions, brought to the version of today; a released migration never changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from core.errors import Unusable
from core.project.packing import pack, unpack
from core.records.migrations import measurement_1_to_2

SCHEMA_VERSION = 3


def _name_the_timing(db: sqlite3.Connection) -> None:
    """Version 2: what changes a measurement's numbers has fields of its own."""
    for (row,) in db.execute("SELECT id FROM measurement").fetchall():
        (old,) = db.execute("SELECT record FROM measurement WHERE id = ?", (row,)).fetchone()
        new = pack(measurement_1_to_2(unpack(old)))
        db.execute("UPDATE measurement SET record = ? WHERE id = ?", (new, row))


def _nothing_to_change(_: sqlite3.Connection) -> None:
    """Version 3: an imported point says what was left out of its file, and keeps the scores of questions.
    The records of version 2 lack these fields, which are then empty."""


# from version N to N + 1
MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: _name_the_timing,
    2: _nothing_to_change,
}


def version_of(db: sqlite3.Connection) -> int:
    """The version a database was written by."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to today's version, all of it or nothing.

    Raises Unusable for one that cannot be understood, and sqlite3.Error where it cannot be written.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        # another program may have done it while this one waited
        for old in range(version_of(db), SCHEMA_VERSION):
            MIGRATIONS[old](db)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
    except BaseException as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        if isinstance(error, (KeyError, TypeError, AttributeError)):
            raise Unusable(f"a stored record is damaged ({error!r})") from error
        raise


def migrated_copy(db: sqlite3.Connection) -> sqlite3.Connection:
    """A copy in memory, of today's version, of a database that may not be written; closes the original."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        db.backup(copy)
        migrate(copy)
    except BaseException:
        copy.close()
        raise
    db.close()
    return copy
