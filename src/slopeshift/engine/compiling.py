"""Compiling with numba, kept on disk: what is kept is never older than the code that it was made from.

Numba looks at the file of a function alone, and would go on using a function compiled with the old text of what it
calls in other files. Here a function is kept by the code of its module and of all that the module imports. This is the
one file that knows numba's private names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import njit
from numba.core.ccallback import CFunc

from slopeshift.keep.made_from import code

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS: dict[str, Any] = {
    # Sums may be reordered and products fused; NaN and infinity keep their meaning.
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
    # Division by zero gives infinity: an exception in a C function is printed, and what it returns taken for a result.
    "error_model": "numpy",
}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called with arguments of a type, and keep it on disk."""
    dispatcher = njit(cache=True, **OPTIONS)(function)
    _kept_by_content(dispatcher)
    return dispatcher


def c_function(function: Callable[..., Any], signature: Any) -> CFunc:
    """Compile a function to be called from C, at once, and keep it on disk: its `address` is that of the C function."""
    found = CFunc(function, (signature.args, signature.return_type), locals={}, options={"nopython": True} | OPTIONS)
    found.enable_caching()
    _kept_by_content(found)
    found.compile()
    return found


def _kept_by_content(function: Any) -> None:
    """Give what numba keeps on disk the stamp of the code that decides it, in place of that of its file."""
    module = function._cache._py_func.__module__.partition(".")[2]
    function._cache._cache_file._source_stamp = code(module)
