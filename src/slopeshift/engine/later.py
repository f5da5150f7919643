"""Packages that take seconds to import, imported when something of them is first used.

A model file can then be read and printed, and stored draws be looked at, without waiting for what only sampling needs.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module of another package until it is used."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self.__name__), name)
        setattr(self, name, found)  # asked for once
        return found


def later(name: str) -> Any:
    """Stand for the module of that name, which is imported at the first use of an attribute."""
    return _Later(name)
