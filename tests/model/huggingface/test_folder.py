"""model/huggingface/folder.py: what a folder holds is known from its headers; a folder that holds no model says why."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from model.huggingface.folder import NoModelFolder, files_read, read_folder, some
from tests.model.huggingface.folders import write


def test_a_folder_says_where_each_tensor_lies(tmp_path: Path) -> None:
    tensors = write(tmp_path)
    folder = read_folder(tmp_path)
    assert folder.config["model_type"] == "llama"
    assert folder.tensors is not None
    assert {name: one.shape for name, one in folder.tensors.items()} == {n: tuple(t.shape) for n, t in tensors.items()}
    assert {(one.file, one.dtype) for one in folder.tensors.values()} == {(tmp_path / "model.safetensors", "F32")}


def test_parts_are_found_by_their_index(tmp_path: Path) -> None:
    split(tmp_path)
    folder = read_folder(tmp_path)
    assert [file.name for file in folder.files] == ["part-1.safetensors", "part-2.safetensors"]
    assert not folder.is_pickled


def test_what_is_read_is_what_the_fingerprint_goes_by(tmp_path: Path) -> None:
    split(tmp_path)
    for name in ("tokenizer.json", "README.md", "vocab.json"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in files_read(tmp_path)] == [
        "config.json", "part-1.safetensors", "part-2.safetensors", "tokenizer.json", "vocab.json",
    ]  # fmt: skip


def split(folder: Path) -> None:
    """Write a model in two parts with an index."""
    tensors = write(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    halves = {"part-1.safetensors": names[:3], "part-2.safetensors": names[3:]}
    for file, own in halves.items():
        save_file({name: tensors[name] for name in own}, folder / file)
    index(folder, {name: file for file, own in halves.items() for name in own})


def index(folder: Path, places: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def lacks_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def holds_our_model(folder: Path) -> None:
    lacks_config(folder)
    (folder / "model.json").write_text("{}")


def holds_an_adapter(folder: Path) -> None:
    lacks_config(folder)
    (folder / "adapter_config.json").write_text("{}")


def is_one_above(folder: Path) -> None:
    write(folder / "inner")
    lacks_config(folder)


def is_a_cache(folder: Path) -> None:
    write(folder / "snapshots" / "abc")
    lacks_config(folder)


def has_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{half")


def has_deep_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"a": ' * 100_000)


def has_a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def has_a_huge_config(folder: Path) -> None:
    with open(folder / "config.json", "wb") as file:
        file.truncate(1 << 40)


def lacks_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def has_other_weights(folder: Path) -> None:
    lacks_weights(folder)
    (folder / "tf_model.h5").write_bytes(b"")
    (folder / "model-q4.gguf").write_bytes(b"")


def is_a_pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")


def is_cut(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-7])


def is_empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def has_a_huge_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")


def lacks_a_part(folder: Path) -> None:
    split(folder)
    (folder / "part-2.safetensors").unlink()


def leads_elsewhere(folder: Path) -> None:
    split(folder)
    index(folder, {"a": "../../etc/passwd"})


def has_no_map(folder: Path) -> None:
    split(folder)
    index(folder, ["a"])


def has_a_tensor_twice(folder: Path) -> None:
    split(folder)
    first = (folder / "part-1.safetensors").read_bytes()
    (folder / "part-3.safetensors").write_bytes(first)
    index(folder, {"a": "part-1.safetensors", "b": "part-3.safetensors"})


BROKEN: list[tuple[Callable[[Path], None], str]] = [
    (lacks_config, r"is no model folder: it has no config\.json\. Name one that holds"),
    (holds_our_model, "is a model of textmill itself, which needs no import"),
    (holds_an_adapter, "holds an adapter only: merge it"),
    (is_one_above, "Did you mean .*/inner"),
    (is_a_cache, "Did you mean .*/snapshots/abc"),
    (has_no_json, r"config\.json is no valid JSON"),
    (has_deep_json, r"config\.json is no valid JSON"),
    (has_a_list, "holds no JSON object"),
    (has_a_huge_config, r"has 1,099,511,627,776 bytes, too many"),
    (lacks_weights, r"has no weights: neither model\.safetensors nor pytorch_model\.bin"),
    (has_other_weights, r"It has model-q4\.gguf \(a GGUF file, .*tf_model\.h5 \(TensorFlow's weights\)"),
    (is_a_pointer, "is a pointer of Git LFS and not the file itself; run `git lfs pull`"),
    (is_cut, "is damaged or incomplete"),
    (is_empty, "is damaged or incomplete"),
    (has_a_huge_header, "is damaged or incomplete"),
    (lacks_a_part, r"lacks 1 of the 2 files that model\.safetensors\.index\.json names: part-2"),
    (leads_elsewhere, r"names '\.\./\.\./etc/passwd', which is no file of this folder"),
    (has_no_map, "has no weight_map"),
    (has_a_tensor_twice, r"has the tensor .* twice: in part-1\.safetensors and in part-3"),
]


@pytest.mark.parametrize(("broken", "words"), BROKEN, ids=[one.__name__ for one, _ in BROKEN])
def test_what_is_no_model_says_why(broken: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    write(tmp_path)
    broken(tmp_path)
    with pytest.raises(NoModelFolder, match=words):
        read_folder(tmp_path)


def test_a_file_and_nothing_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(NoModelFolder, match="is a file; name the folder"):
        read_folder(tmp_path / "model.bin")
    with pytest.raises(NoModelFolder, match=r"There is no folder .*nowhere\.$"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(NoModelFolder, match="if this is a name on a hub, download it first"):
        read_folder(Path("openai-community/gpt2"))


@given(data=st.binary(max_size=200), at=st.integers(0, 400))
def test_no_bytes_of_a_weights_file_break_the_reader(
    data: bytes, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "bytes"
    write(folder)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:at] + data + whole[at + len(data) :])
    try:
        assert read_folder(folder).tensors is not None
    except NoModelFolder as error:
        assert str(error).endswith(".")  # noqa: PT017 (either outcome is right)


def test_long_lists_of_names_are_cut() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some([str(n) for n in range(8)]) == "0, 1, 2, 3, 4 and 3 more"
