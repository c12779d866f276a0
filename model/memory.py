"""Whether an error says that memory ran out, whoever allocates: Python, torch on a CPU, torch on an accelerator."""

from __future__ import annotations

SHAPES_NO_RESULT = "names errors"

CPU_ALLOCATOR = "DefaultCPUAllocator: "
"""Stands before what torch says if the system gives it no memory; the words around it vary with its version."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out; torch is not imported for it, as most stages have none."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "OutOfMemoryError" or CPU_ALLOCATOR in str(error)
