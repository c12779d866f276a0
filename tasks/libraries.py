"""The libraries that shape a stage's result: found in the imports of its code, each with its version, for the key."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
import unicodedata
from collections.abc import Collection

from tasks.stage_code import Code

# Where the name of a module is not that of its distribution.
DISTRIBUTIONS = {
    "ada_url": "ada-url",
    "backports": "backports.zstd",
    "compression": "backports.zstd",
    "google": "protobuf",
    "lxml_html_clean": "lxml-html-clean",
    "pynvml": "nvidia-ml-py",
    "spellchecker": "pyspellchecker",
    "stdnum": "python-stdnum",
    "yaml": "pyyaml",
}
# What a library leaves to others of its own that decide as much.
LEAVES_TO = {"trafilatura": ("courlan", "htmldate", "justext", "lxml")}
# Python's own tables: what is a letter, how it is composed, what it looks like in small.
UNICODE = "unicodedata"

# A result does not depend on the version of these, and a new one rebuilds nothing. The manifest has them all the same.
SHAPE_NO_RESULT = {
    "aiohttp": "carries what servers answer",
    "yarl": "carries what servers answer",
    "backports.zstd": "a packed body has one content",
    "brotli": "a packed body has one content",
    "orjson": "JSON has one reading",
    "safetensors": "gives back what was stored",
    "pyarrow": "gives back what was stored",
    "duckdb": "counts and sorts rows",
    "xxhash": "a hash with a specification",
    "numpy": "arithmetic; the one stream of random numbers is RandomState's, which is frozen (NEP 19)",
    "numba": "compiles arithmetic",
    "pydantic": "checks configs, whose values are in the key",
    "matplotlib": "draws figures",
    "psutil": "looks at memory",
    # Another torch rounds otherwise, and so does another device, which is no part of a key either: the weights are
    # others, and neither better nor worse. A training may take weeks; who wants it anew says --force.
    "torch": "computes the same to its rounding",
}


def distribution_of(module: str) -> str:
    """Return the distribution that a module's first name belongs to."""
    return DISTRIBUTIONS.get(module, module)


def imports_of(code: Code) -> set[str]:
    """Return the distributions that the modules of a stage import, anywhere in them, and those that these leave much
    to."""
    own = sys.stdlib_module_names - {UNICODE, "compression"}
    found = {distribution_of(module) for module in code.imports - own}
    return found.union(*(LEAVES_TO.get(name, ()) for name in found))


def libraries_of(code: Code, without: Collection[str] = ()) -> dict[str, str]:
    """Return {distribution: version} of all that shapes what this code makes, but for what it does not use."""
    shaping = imports_of(code) - SHAPE_NO_RESULT.keys()
    for name in without:
        shaping -= {name, *LEAVES_TO.get(name, ())}
    return {name: version_of(name) or "not installed" for name in sorted(shaping)}


@functools.cache
def version_of(distribution: str) -> str | None:
    """Return the installed version, None where it is not installed."""
    if distribution == UNICODE:
        return unicodedata.unidata_version
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
