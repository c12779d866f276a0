"""Compilation by numba, once per machine, of loops over every byte or number that numpy cannot express.

Importing this module imports numba (a third of a second), so only modules that a running stage needs import it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

SHAPES_NO_RESULT = "compiles functions that are in the key themselves"

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function on numpy arrays at its first call, and keep the machine code for later processes.

    numba keeps it next to the source or, if that is read-only, in the user's cache folder.
    """
    try:
        return cast(Function, numba.njit(function, cache=True, nogil=True))
    except RuntimeError:  # neither place is writable: compile it in each process
        return cast(Function, numba.njit(function, nogil=True))
