"""A lock between processes: had by one, named, and gone with its holder."""

import subprocess
import sys

import pytest

from core.locking import FileLock

HOLDER = """
import sys, time
from pathlib import Path
from core.locking import FileLock
lock = FileLock(Path(sys.argv[1]), "testing")
print(lock.take(), flush=True)
time.sleep(3600)
"""


def test_one_process_has_it_until_it_ends(tmp_path):
    path = tmp_path / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "True\n"
        lock = FileLock(path, "waiting")
        assert not lock.take()
        holder = lock.holder()
        assert (holder.pid, holder.what) == (other.pid, "testing")
        assert not holder.is_this_process
    finally:
        other.kill()
        other.communicate()
    # its file is still there, but nobody has it
    assert path.exists() and lock.take() and lock.take()
    assert lock.holder().is_this_process
    second = FileLock(path, "in this process as well")
    assert not second.take()
    lock.release()
    lock.release()
    assert not path.exists() and second.take()
    second.release()


def test_where_none_can_be_had_one_goes_on(tmp_path):
    assert FileLock(tmp_path / "no folder" / "lock", "").take()
    assert FileLock(tmp_path / "no folder" / "lock", "").holder() is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_that_was_laid_there_is_not_followed(tmp_path):
    file, link = tmp_path / "precious", tmp_path / "lock"
    file.write_text("precious")
    link.symlink_to(file)
    lock = FileLock(link, "")
    assert lock.take()
    lock.release()
    assert file.read_text() == "precious"
