"""Import of tokenizers: Hugging Face's tokenizer.json, SentencePiece's tokenizer.model, GPT-2's own two files.

A byte-level BPE becomes ranks for tiktoken if these provably give the same ids (model/vocabulary/merges.py) and a trial
agrees; everything else is applied by the library it comes from. Texts with the name of a special token in them encode
it as ordinary tokens, as `transformers` does with `split_special_tokens=True`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.huggingface.folder import read_json
from model.tokenizer import ROLES, Tokenizer
from model.vocabulary.byte_pairs import PATTERNS, BytePairs
from model.vocabulary.exported import byte_level_steps, oniguruma
from model.vocabulary.merges import ranks_if_equal, unspelled
from model.vocabulary.pieces import Pieces, special_added, steps_of
from model.vocabulary.sentence_pieces import SentencePieces

JSON_FILE, MODEL_FILES, PAIRS = "tokenizer.json", ("tokenizer.model", "spiece.model"), ("vocab.json", "merges.txt")
MAX_MODEL = 64 << 20
"""Bytes of a tokenizer.model that is still read; Gemma's, with 256,000 pieces, has 4 MB."""
# Split patterns mean the same to tiktoken and to `tokenizers` if they are made of these parts only.
_SAFE = re.compile(
    r"(?:\\p\{[A-Z][a-z]?\}|\\[srn]|\\S|\[\^?(?:\\p\{[A-Z][a-z]?\}|\\[srnS]|[^\\\[\]&~-])+\]"
    r"|\((?:\?:|\?i:|\?!|\?=)?|\)|\||\{\d+(?:,\d*)?\}(?!\+)|[?*+]|[ 'a-zA-Z])*"
)
# SmolLM: each digit by itself, and GPT-2's pattern on what lies between
SMOLLM = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++|\p{N}| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?![^\s\p{N}])|\s"""
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_KNOWN = {oniguruma(pattern): pattern for pattern in PATTERNS.values()}
_TRIAL = (
    "The mill's wheel turned 1234567.5 times; we'LL see 12 of 3½ naïve cafe\u0301.\n\n\n  x\t\ty \r\n   z",
    "水车转动 हिन्दी 👩\u200d🔬🇫🇷 \U0010ffff\x00 ١٢ \u2028\x85\u180e\u3000   ",
    "<|endoftext|></s><unk> \ufeff Ġ▁ 'ſ", " ", "  \n \n", "",
)  # fmt: skip


def import_tokenizer(place: Path | str, vocab_size: int | None = None) -> Tokenizer:
    """Return the tokenizer in a folder or file; a folder of this project is loaded as it is.

    vocab_size: rows of the model's embedding, if there is a model. There are often more of them than tokens.

    The roles "bos", "eos" and "pad" are those that tokenizer_config.json, special_tokens_map.json,
    generation_config.json or config.json name. What is missing is played by the end token: GPT-2 opens, ends and pads
    with <|endoftext|>. A tokenizer that left from here comes back with all its roles, as the same one.

    Raises FileNotFoundError if there is no tokenizer, ValueError if it cannot be read or has ids beyond `vocab_size`.
    """
    file = tokenizer_files(place)[0]
    try:
        made = _imported(file, vocab_size)
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"The tokenizer in {file} cannot be imported: {error}") from error
    if vocab_size is not None and made.vocab_size > vocab_size:
        raise ValueError(
            f"The tokenizer in {file} does not fit the model: it has ids up to {made.vocab_size - 1:,}, but the model "
            f"only {vocab_size:,} rows of embeddings. Take the tokenizer that belongs to the model."
        )
    return made


def tokenizer_files(place: Path | str) -> list[Path]:
    """Return the files that hold the tokenizer of a folder, the vocabulary first, then what names its specials."""
    path = Path(place).expanduser()
    beside = path if path.is_dir() else path.parent
    if path.is_file():
        found = [path]
    else:
        names = (JSON_FILE, *MODEL_FILES, PAIRS[0])
        found = [path / name for name in names if (path / name).is_file()][:1]
    if not found:
        raise FileNotFoundError(
            f"There is no tokenizer in {path}: name a folder with {JSON_FILE}, {MODEL_FILES[0]}, or {PAIRS[0]} and "
            f"{PAIRS[1]}, or one of these files."
        )
    more = [PAIRS[1], "ranks.tiktoken", "pieces.json", "pieces.model", *_NAMING]
    return found + [beside / name for name in more if (beside / name).is_file() and beside / name not in found]


_NAMING = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "config.json",
)


def _imported(file: Path, vocab_size: int | None) -> Tokenizer:
    names = {name: read_json(file.parent / name) if (file.parent / name).is_file() else {} for name in _NAMING}
    if file.suffix == ".json" and file.name != PAIRS[0]:
        document = read_json(file)
        if str(document.get("format", "")).startswith("textmill tokenizer"):
            return Tokenizer.load(file.parent)
        return _of_document(document, names, vocab_size)
    if file.name in PAIRS:
        return _of_document(_document_of_pairs(file.parent, names), names, vocab_size)
    return _of_sentencepiece(file, names, vocab_size)


def _of_document(document: dict[str, Any], names: Mapping[str, dict[str, Any]], vocab_size: int | None) -> Tokenizer:
    if not isinstance(document.get("model"), dict):
        raise ValueError("it has no model, so it is no tokenizer.json of Hugging Face's.")
    model = document["model"]
    if "type" not in model:  # as in the first versions of these files
        document = {**document, "model": {"type": "BPE" if "merges" in model else "Unigram", **model}}
    specials = special_added(document)
    ids = model.get("vocab")
    if isinstance(ids, dict):
        specials |= {name: ids[name] for name in _named(names) if name in ids and name not in specials}
    pieces = Pieces(document, specials)
    trial = _tried(pieces)
    pairs = _as_byte_pairs(document, specials)
    if pairs is not None and [pairs.encode(text) for text in _TRIAL] != trial:
        pairs = None
    return _finished(pieces if pairs is None else pairs, specials, names, vocab_size)


def _tried(pieces: Pieces) -> list[list[int]]:
    """Return the ids of hard texts; raises ValueError if there are none for some text."""
    try:
        return [pieces.encode(text) for text in _TRIAL]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # of the library: a plain Exception, or the panic of its Rust code
        raise ValueError(f"some texts have no ids: {error}") from error


def _as_byte_pairs(document: Mapping[str, Any], specials: Mapping[str, int]) -> BytePairs | None:
    """Return a document's vocabulary as ranks, or None if they might encode some text otherwise."""
    model = document["model"]
    pattern = _pattern(document)
    forms = [step["type"] for step in steps_of(document, "normalizer")]
    odd = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    words = [added for added in document.get("added_tokens") or () if added["content"] not in specials]
    decoders = [step["type"] for step in steps_of(document, "decoder")]
    if model.get("type") != "BPE" or any(model.get(name) for name in odd) or pattern is None or words:
        return None
    if forms not in ([], ["NFC"]) or decoders != ["ByteLevel"]:
        return None
    spelled = {unspelled(name): id_ for name, id_ in model["vocab"].items() if name not in specials}
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    pairs = [(unspelled(left), unspelled(right)) for left, right in merges]
    tokens = {token: id_ for token, id_ in spelled.items() if token is not None}
    known = [(left, right) for left, right in pairs if left is not None and right is not None]
    if len(tokens) != len(spelled) or len(known) != len(pairs) or None in spelled:
        return None
    ranks = ranks_if_equal(tokens, known)
    return None if ranks is None else BytePairs(ranks, pattern, "NFC" if forms else None)


def _pattern(document: Mapping[str, Any]) -> str | None:
    """Return the one pattern that splits text as a document's steps do, or None if none surely does."""
    *before, last = steps_of(document, "pre_tokenizer") or [{"type": ""}]
    if last["type"] != "ByteLevel" or last.get("add_prefix_space", True):
        return None
    gpt2 = last.get("use_regex", True)
    if not before:
        return PATTERNS["gpt2"] if gpt2 else None
    if len(before) != 1:
        return None
    step = before[0]
    if step["type"] == "Digits":
        return SMOLLM if gpt2 and step.get("individual_digits") else None
    if step["type"] != "Split" or gpt2 or step.get("behavior") != "Isolated" or step.get("invert"):
        return None
    pattern = step["pattern"].get("Regex", "")
    return _KNOWN.get(pattern) or (pattern if pattern and _SAFE.fullmatch(pattern) else None)


def _document_of_pairs(folder: Path, names: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return GPT-2's own two files as a document. How text is split is known by the class that `transformers` uses."""
    known = str(names["tokenizer_config.json"].get("tokenizer_class") or "GPT2Tokenizer").removesuffix("Fast")
    if known not in ("GPT2Tokenizer", "Qwen2Tokenizer"):
        raise ValueError(
            f"these two files do not say how a {known} splits text. Let transformers write a {JSON_FILE}, with "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…)."
        )
    vocabulary, merges = read_json(folder / PAIRS[0]), folder / PAIRS[1]
    if not merges.is_file():
        raise ValueError(f"{PAIRS[1]} is missing beside {PAIRS[0]}.")
    lines = merges.read_text("utf-8").split("\n")
    pairs = [line.split(" ") for line in lines if line.strip() and not line.startswith("#version")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{PAIRS[1]} has lines that are no pair of tokens.")
    made = {left + right for left, right in pairs}
    marks = {name: id_ for name, id_ in vocabulary.items() if len(name) > 1 and name not in made}
    marks |= _added(names)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    splits: dict[str, Any] = {"normalizer": None, "pre_tokenizer": byte_level}
    if known == "Qwen2Tokenizer":
        splits = {"normalizer": {"type": "NFC"}, "pre_tokenizer": byte_level_steps(QWEN)["pre_tokenizer"]}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": id_, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
            for name, id_ in sorted(marks.items(), key=lambda item: item[1])
        ],
        **splits,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": pairs},
    }  # fmt: skip


def _of_sentencepiece(file: Path, names: Mapping[str, dict[str, Any]], vocab_size: int | None) -> Tokenizer:
    if file.stat().st_size > MAX_MODEL:
        raise ValueError(f"it has {file.stat().st_size:,} bytes, too many for a SentencePiece model.")
    data = file.read_bytes()
    if re.match(rb"[A-Za-z0-9+/]+=* \d+\r?\n", data):
        raise ValueError(
            "it holds ranks as tiktoken's files do, which do not say how text is split: name them as tokenizer.files, "
            "with tokenizer.pattern."
        )
    vocabulary = SentencePieces(data, set(_named(names)))
    specials = vocabulary.specials()
    beyond = len(vocabulary.proto.pieces)
    specials |= {name: id_ for name, id_ in _added(names).items() if id_ >= beyond}
    spec = vocabulary.proto.trainer_spec
    own = {"bos_token": spec.bos_piece, "eos_token": spec.eos_piece, "pad_token": spec.pad_piece}
    return _finished(vocabulary, specials, {**names, "model": own}, vocab_size)


def _added(names: Mapping[str, dict[str, Any]]) -> dict[str, int]:
    """Return the tokens that the files beside a vocabulary add to it."""
    described = names["tokenizer_config.json"].get("added_tokens_decoder") or {}
    return {**names["added_tokens.json"], **{token["content"]: int(id_) for id_, token in described.items()}}


def _finished(
    vocabulary: BytePairs | Pieces | SentencePieces,
    specials: Mapping[str, int],
    names: Mapping[str, dict[str, Any]],
    vocab_size: int | None,
) -> Tokenizer:
    ids = {*vocabulary.tokens(), *specials.values()}
    size = max(ids) + 1
    roles = _roles(specials, names)
    return Tokenizer.of(vocabulary, specials, None if roles == ROLES else roles, max(size, vocab_size or 0))


def _named(names: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return every token that the files beside a vocabulary name as special."""
    found = []
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        for key, value in names[file].items():
            if key.endswith("_token"):
                found.append(_content(value))
            elif key in ("additional_special_tokens", "extra_special_tokens"):
                found += [_content(token) for token in (value.values() if isinstance(value, dict) else value)]
        for token in (names[file].get("added_tokens_decoder") or {}).values():
            if token.get("special"):
                found.append(token["content"])
    return [name for name in found if name]


def _roles(specials: Mapping[str, int], names: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    by_id = {id_: name for name, id_ in specials.items()}
    roles = {}
    for role in ("bos", "eos", "pad"):
        said = [
            _content(names[file].get(f"{role}_token")) for file in ("tokenizer_config.json", "special_tokens_map.json")
        ]
        ids = [names[file].get(f"{role}_token_id") for file in ("generation_config.json", "config.json")]
        first = [id_[0] if isinstance(id_, list) and id_ else id_ for id_ in ids]
        own = names.get("model", {}).get(f"{role}_token")
        found = [*said, *(by_id.get(id_) for id_ in first if isinstance(id_, int)), own]
        if name := next((name for name in found if name in specials), None):
            roles[role] = name
    roles = {role: name for role, name in ROLES.items() if name in specials} | roles
    end = roles.get("eos") or roles.get("bos") or next((n for n in ("<|endoftext|>", "</s>") if n in specials), None)
    return {**(dict.fromkeys(("bos", "eos", "pad"), end) if end else {}), **roles}


def _content(token: Any) -> str:
    """Return the text of a token, which these files hold as such or as an object."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def fingerprint(place: Path | str) -> str:
    """Return the sha256 of all files that an import reads."""
    import hashlib

    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in tokenizer_files(place)}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
