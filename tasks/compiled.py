"""Functions that numba compiles, once for a machine: what has to look at every byte or number and cannot be numpy's.

Importing this module imports numba (half a second), so only modules that a running stage imports do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Decorate a function on numpy arrays: it is compiled at its first call, and the result kept beside the source."""
    try:
        return cast(Function, numba.njit(function, cache=True, nogil=True))
    except RuntimeError:  # no folder to keep compiled code in: compile it in each process
        return cast(Function, numba.njit(function, nogil=True))
