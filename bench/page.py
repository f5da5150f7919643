"""Time how long the page of a report takes to open in headless Chromium: run by `make bench-page`.

Each time is that of a browser that has never seen the page, from asking for it to having drawn it and run its script;
the median of several is what to read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

LOOK = Path(__file__).parents[1] / "tests/browser/look.mjs"
REPEATS = 7


def main(page: Path) -> None:
    """Open a page several times, and print what it took."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        sys.exit("no Chromium or Chrome on the PATH: install one, or name its program with CHROMIUM=/path")
    loaded, painted = [], []
    for _ in range(REPEATS):
        command = ["node", str(LOOK), program, str(page), "seconds"]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["seconds"]["found"]
        loaded.append(found["loaded"])
        painted.append(found["painted"])
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB")
    print(f"first seen after {median(painted):.2f} s, open after {median(loaded):.2f} s (medians of {REPEATS})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
