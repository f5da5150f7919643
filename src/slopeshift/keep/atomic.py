"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target` that takes its place once everything has been written to it.

    Where writing fails or is interrupted, `target` stays as it was. What a killed process left behind is swept up by
    the next one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_behind in target.parent.glob(f".{target.name}.*"):
        left_behind.unlink()
    path = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield path
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)
