"""Functions that numba compiles, once for a machine: what has to look at every byte or number and cannot be numpy's.

Importing this module imports numba (a third of a second), so only modules that a running stage imports do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Decorate a function on numpy arrays: it is compiled at its first call, and the code kept for later processes.

    numba keeps it beside the source or, where that is read-only, in the user's cache folder.
    """
    try:
        return cast(Function, numba.njit(function, cache=True, nogil=True))
    except RuntimeError:  # neither place may be written to: compile it in each process
        return cast(Function, numba.njit(function, nogil=True))
