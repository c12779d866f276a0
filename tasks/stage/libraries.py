"""The libraries that affect a stage's result, found in the imports of its code, with their versions for the key."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
import unicodedata
from collections.abc import Collection

from tasks.stage.code import Code

# Modules whose distribution has a different name.
DISTRIBUTIONS = {
    "ada_url": "ada-url",
    "backports": "backports.zstd",
    "compression": "backports.zstd",
    "google": "protobuf",
    "lxml_html_clean": "lxml-html-clean",
    "pynvml": "nvidia-ml-py",
    "sklearn": "scikit-learn",
    "spellchecker": "pyspellchecker",
    "stdnum": "python-stdnum",
    "yaml": "pyyaml",
}
# Libraries that delegate decisions to other distributions.
LEAVES_TO = {"trafilatura": ("courlan", "htmldate", "justext", "lxml")}
# Python's own Unicode tables: what a letter is, how it is composed, its lower case.
UNICODE = "unicodedata"

# Results do not depend on the versions of these, so a new version rebuilds nothing. The manifest still records them.
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
    # Another version of torch rounds differently, and so does another device, which is not part of a key either: the
    # weights differ but are neither better nor worse. Training may take weeks; --force repeats it on request.
    "torch": "computes the same to its rounding",
}


def distribution_of(module: str) -> str:
    """Return the distribution that a top-level module belongs to."""
    return DISTRIBUTIONS.get(module, module)


def imports_of(code: Code) -> set[str]:
    """Return the distributions that a stage's modules import at any depth, and those they delegate decisions to."""
    own = sys.stdlib_module_names - {UNICODE, "compression"}
    found = {distribution_of(module) for module in code.imports - own}
    return found.union(*(LEAVES_TO.get(name, ()) for name in found))


def libraries_of(code: Code, without: Collection[str] = ()) -> dict[str, str]:
    """Return {distribution: version} for all that affect the results of this code, except those in `without`."""
    shaping = imports_of(code) - SHAPE_NO_RESULT.keys()
    for name in without:
        shaping -= {name, *LEAVES_TO.get(name, ())}
    return {name: version_of(name) or "not installed" for name in sorted(shaping)}


@functools.cache
def version_of(distribution: str) -> str | None:
    """Return the installed version, or None if it is not installed."""
    if distribution == UNICODE:
        return unicodedata.unidata_version
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
