"""Human-readable quantities: metric values, ages, durations and sizes."""

from __future__ import annotations


def metric_text(value: float | None) -> str:
    """Return a metric in readable form; an unknown one is a dash, never a guess."""
    return "–" if value is None else f"{value:.4g}"


def age(seconds: float) -> str:
    """Return a length of time in its largest unit, as in '3 h'."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def duration(seconds: float) -> str:
    """Return how long something takes, as in '0.4 s', '12 s', '3 min 20 s' or '2 h 5 min'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def size(n_bytes: float) -> str:
    """Return a number of bytes in a readable unit (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
