"""A page looked at in headless Chromium, driven by `look.mjs`."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REQUIRED = os.environ.get("BROWSER_TESTS") == "required"
"""Set by `make test-browser`: what is missing is then a failure, and not a reason to skip."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser():
    """Find the program of Chromium or Chrome: CHROMIUM, else on the PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def missing():
    """Say what is missing for these tests, or nothing."""
    if browser() is None:
        return "no Chromium or Chrome on the PATH: install one, or name its program with CHROMIUM=/path"
    if shutil.which("node") is None:
        return "no node on the PATH: install Node.js 20 or newer"
    if not (HERE / "node_modules/axe-core").is_dir() or not (HERE / "node_modules/playwright-core").is_dir():
        return "playwright-core and axe-core are not installed: `make test-browser` installs them"
    return ""


@pytest.fixture(scope="session")
def required():
    """Return a function that, told what is missing, skips a test or, where it must run, fails it."""

    def needs(reason):
        if reason:
            (pytest.fail if REQUIRED else pytest.skip)(reason)

    return needs


@pytest.fixture(scope="session")
def look(required):
    """Return a function that looks at a page in every way that is named, and returns what was found by name."""
    required(missing())

    def looked(page, *asked):
        command = ["node", str(HERE / "look.mjs"), browser(), str(page), *asked]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return looked
