"""What is said of a program named as the Python that measures and not fit for it: one clear line."""

import os
import re
import sys
import venv

import pytest

from core.errors import Unusable
from core.measure.process.session import find_devices

pytestmark = pytest.mark.skipif(os.name == "nt", reason="scripts with a first line")


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


def said_of(python):
    with pytest.raises(Unusable) as failure:
        find_devices(python)
    text = str(failure.value)
    assert text.count("no devices can be listed: ") == 1
    assert "\n" not in text and "Traceback" not in text
    return text


def test_a_python_that_is_too_old_says_its_version(tmp_path):
    old = program(
        tmp_path / "python",
        f"#!{sys.executable}\n"
        "import sys\n"
        "sys.version_info, sys.version = (3, 9, 1), '3.9.1 (old)'\n"
        "boot = sys.argv[2]\n"
        "sys.argv = ['-c', *sys.argv[3:]]\n"
        "exec(boot)\n",
    )
    assert re.search(r"is Python 3\.9\.1; measuring needs 3\.11 or newer$", said_of(old))


def test_a_python_without_torch_is_named_with_what_it_lacks(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    said = said_of(python)
    assert f"{python}: No module named 'numpy'; install numpy and torch there" in said


def test_no_such_file_is_said(tmp_path):
    assert "No such file" in said_of(tmp_path / "python")


def test_what_may_not_be_started_is_said(tmp_path):
    (tmp_path / "python").write_text("text")
    assert "Permission denied" in said_of(tmp_path / "python")


def test_a_program_that_ends_at_once_is_no_python(tmp_path):
    silent = program(tmp_path / "python", "#!/bin/sh\nexit 0\n")
    assert said_of(silent).endswith("ended with status 0 before it answered (is it a Python?)")


def test_a_program_that_talks_of_something_else_is_no_python(tmp_path):
    chatty = program(tmp_path / "python", "#!/bin/sh\nwhile :; do echo yes; done\n")
    assert said_of(chatty).endswith("does not answer as a measuring process does; is it a Python?")
