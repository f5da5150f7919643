"""A copy of the package's sources that a test may edit, and processes that have ended, for tests of what is kept."""

import shutil
import subprocess
import sys
from contextlib import contextmanager

from slopeshift.keep import made_from


@contextmanager
def copied_package(folder):
    """Let what an answer is made from be read off a copy of the package; give a function that edits a module of it."""
    original = made_from.PACKAGE
    copy = folder / "copy" / original.name
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def edit(module, old="", new=""):
        """Write one text for another, or where none is given, a line of code more."""
        path = made_from._path(module)
        assert path.is_relative_to(copy)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1) if old else f"{text}\nANOTHER_LINE = 1\n")
        _forget()

    made_from.PACKAGE = copy
    _forget()
    try:
        yield edit
    finally:
        made_from.PACKAGE = original
        _forget()


def _forget():
    for cached in (made_from._hashed, made_from._path):
        cached.cache_clear()


def ended():
    """Give the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
