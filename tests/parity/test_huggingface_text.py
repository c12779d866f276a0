"""Parity with `transformers` in text: what comes in or leaves writes the same 200 tokens, and reads chats as we do."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.store.lake import Lake
from model.chat import example, prompt_ids
from model.generate import generate
from model.gpt import GPT
from model.huggingface.export import write_folder
from model.huggingface.folder import read_folder
from model.huggingface.weights import read_model
from model.shape import GPTConfig
from model.templates import TEMPLATES, TemplateName
from model.tokenizer import Tokenizer, specials_after
from model.vocabulary.imported import import_tokenizer
from tasks.delivery.export import ExportConfig, export
from tasks.training.import_model import ImportConfig, import_model
from tasks.training.trained import load_trained
from tests.hugging_face import build
from tests.model.vocabulary.small_models import learned_pairs, sentencepiece_model, sentences
from tests.parity.test_stories260k import BOS, load_llama2c

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("one_thread")]
transformers = pytest.importorskip("transformers")

CONTEXT, NEW = 280, 200


PROMPT = "The mill's wheel turned 12 times.\n"
SHAPES: list[dict[str, Any]] = [
    {"family": "llama", "n_kv_head": 1},
    {"family": "qwen3", "d_head": 8, "tie_embeddings": False},
    {"family": "gpt2"},
]


def ours_of(shape: dict[str, Any], tokenizer: Tokenizer) -> GPT:
    """A model that writes something else at every step: its weights are large."""
    sizes = {"n_layer": 2, "n_head": 2, "n_kv_head": 2, "d_model": 24, "d_ff": 32, "max_seq_len": CONTEXT}
    model = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, **{**sizes, **shape})).initialise(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(12)
    return model.eval()


@torch.inference_mode()
def written(folder: Path, ids: list[int]) -> tuple[list[int], str]:
    """The new ids and text that `transformers` gives, told nothing but the folder."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    made = model.generate(torch.tensor([ids]), max_new_tokens=NEW, attention_mask=torch.ones(1, len(ids)).long())
    new = made[0, len(ids) :].tolist()
    ends = model.generation_config.eos_token_id
    if new and new[-1] in (ends if isinstance(ends, list) else [ends]):
        new = new[:-1]
    return new, tokenizer.decode(new)


def test_a_written_text_is_the_same(tmp_path: Path) -> None:
    tokenizer = learned_pairs()
    for shape in SHAPES:
        model, folder = ours_of(shape, tokenizer), tmp_path / shape["family"]
        write_folder(model, tokenizer, folder, chat=None)
        ids = transformers.AutoTokenizer.from_pretrained(folder)(PROMPT).input_ids
        assert ids == [tokenizer.bos, *tokenizer.encode(PROMPT)]
        expected = generate(model, ids, NEW, stop=(tokenizer.eos, tokenizer.bos)).ids
        assert len(set(expected)) > 5, "a text that repeats itself would agree by accident"
        assert written(folder, ids) == (expected, tokenizer.decode(expected))


def test_padding_is_not_the_end(tmp_path: Path) -> None:
    tokenizer = learned_pairs()
    write_folder(ours_of(SHAPES[0], tokenizer), tokenizer, tmp_path, chat="textmill")
    config = transformers.GenerationConfig.from_pretrained(tmp_path)
    opened = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (opened.bos_token_id, opened.eos_token_id, opened.pad_token_id) == (
        tokenizer.bos,
        tokenizer.eos,
        tokenizer.pad,
    )
    assert config.pad_token_id == tokenizer.pad
    assert config.pad_token_id not in config.eos_token_id
    batch = opened(["The", PROMPT], padding=True).input_ids
    assert {ids.count(tokenizer.bos) for ids in batch} == {1}
    assert tokenizer.eos not in batch[0] + batch[1]


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[TemplateName, bool], tuple[Tokenizer, Any]]:
    """Our tokenizer and that of `transformers` by template; ChatML's marks may be special tokens or not."""
    learned, made = learned_pairs(), {}
    names = [name for name in learned.specials if not name.startswith("<|reserved")]
    marked = Tokenizer(
        learned.ranks, learned.pattern, specials_after(len(learned.ranks), 64, (*names, "<|im_start|>", "<|im_end|>"))
    )
    for template, own in (*((name, False) for name in TEMPLATES), ("chatml", True)):
        tokenizer = marked if own else learned
        folder = tmp_path_factory.mktemp("chat")
        write_folder(ours_of(SHAPES[0], tokenizer), tokenizer, folder, chat=template)
        made[template, own] = tokenizer, transformers.AutoTokenizer.from_pretrained(folder)
    return made


said = st.text(max_size=12).filter(lambda text: "<|" not in text and text.isprintable()) | st.sampled_from(
    [" a", "a ", "\n\na\n", "{{ x }}", "'s", "é", "  ", "<|", "|>"]
)


@settings(max_examples=25)
@given(
    system=said.filter(bool) | st.just(""), history=st.lists(st.tuples(said, said), max_size=2), last=said, more=said
)
def test_chats_are_read_as_we_read_them(
    chats: dict[Any, tuple[Tokenizer, Any]], system: str, history: list[tuple[str, str]], last: str, more: str
) -> None:
    for (template, _), (tokenizer, chat) in chats.items():
        same(template, tokenizer, chat, system, history, last, more)


def same(
    template: TemplateName,
    tokenizer: Tokenizer,
    chat: Any,
    system: str,
    history: list[tuple[str, str]],
    last: str,
    more: str,
) -> None:
    messages = [{"role": "system", "content": system}] if system else []
    for asked, answered in history:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    asked = [*messages, {"role": "user", "content": last}]
    ids = chat.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    assert list(ids) == prompt_ids(tokenizer, last, system=system, history=history, template=template)
    written = chat.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    assert written == tokenizer.decode(ids), "byte for byte"
    whole = [*asked, {"role": "assistant", "content": more}]
    ids = chat.apply_chat_template(whole, return_dict=False)
    assert tuple(ids) == example(tokenizer, last, "", more, system, history, template).ids
    given_too = [*messages, {"role": "user", "content": f"{last}{TEMPLATES[template].given}abc"}]
    ids = chat.apply_chat_template(given_too, add_generation_prompt=True, return_dict=False)
    assert list(ids) == prompt_ids(tokenizer, last, "abc", system, history, template)


def test_roles_that_the_template_does_not_know_are_refused(chats: dict[Any, tuple[Tokenizer, Any]]) -> None:
    _, chat = chats["textmill", False]
    for messages in (
        [{"role": "tool", "content": "x"}],
        [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}],
    ):
        with pytest.raises(Exception, match="knows user and assistant messages"):
            chat.apply_chat_template(messages)


def trained_there(kind: str) -> Any:
    """A tokenizer that the library itself trained, in the manner of a family."""
    from tokenizers import Tokenizer as Fast
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    made = Fast(models.BPE(byte_fallback=kind == "llama", unk_token="<unk>" if kind == "llama" else None))
    names = {"gpt2": ["<|endoftext|>"], "llama": ["<unk>", "<s>", "</s>"], "qwen3": ["<|endoftext|>", "<|im_end|>"]}[
        kind
    ]
    alphabet: list[str] = []
    if kind == "llama":
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    else:
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        made.normalizer = normalizers.NFC() if kind == "qwen3" else None
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(sentences(), trainer)
    if kind == "llama":  # bytes are tokens after all others
        document = json.loads(made.to_str())
        document["model"]["vocab"] |= {f"<0x{byte:02X}>": made.get_vocab_size() + byte for byte in range(256)}
        made = Fast.from_str(json.dumps(document))
    ends = {"gpt2": ("<|endoftext|>", "<|endoftext|>"), "llama": ("<s>", "</s>"), "qwen3": (None, "<|im_end|>")}[kind]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token=ends[0], eos_token=ends[1])


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3"])
@torch.inference_mode()
def test_a_model_with_its_tokenizer_comes_in_and_leaves_again(kind: str, tmp_path: Path) -> None:
    """Made by `transformers` alone; padded to more rows than it has tokens, as published models are."""
    context = {"n_positions": CONTEXT} if kind == "gpt2" else {"max_position_embeddings": CONTEXT}
    fast = trained_there(kind)
    rows = len(fast) + 10
    theirs = build(kind, vocab_size=rows, eos_token_id=fast.eos_token_id, bos_token_id=fast.bos_token_id, **context)
    theirs.save_pretrained(tmp_path / "in")
    fast.save_pretrained(tmp_path / "in")
    lake = Lake(tmp_path / "lake")
    artifact = import_model.build(lake, ImportConfig(folder=str(tmp_path / "in")), {}).artifact
    model, tokenizer = load_trained(artifact)
    ids = tokenizer.encode(PROMPT)
    assert ids == fast(PROMPT, add_special_tokens=False).input_ids
    assert tokenizer.eos == fast.eos_token_id
    assert tokenizer.pad not in (tokenizer.eos, tokenizer.bos)
    assert float((model(torch.tensor([ids]))[..., :rows] - theirs(torch.tensor([ids])).logits).abs().max()) < 1e-5
    stop = (tokenizer.eos, tokenizer.bos)
    expected = generate(model, ids, NEW, stop=stop).ids
    if max(expected, default=0) < rows:
        assert written(tmp_path / "in", ids)[0][: len(expected)] == expected
    left = export.build(lake, ExportConfig(), {"model": artifact}).artifact
    assert written(left.path / "hf", ids) == (
        expected,
        transformers.AutoTokenizer.from_pretrained(left.path / "hf").decode(expected),
    )


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3", "sentencepiece-bpe", "sentencepiece-unigram"])
def test_a_template_fits_every_kind_of_tokenizer(kind: str, tmp_path: Path) -> None:
    """Some put a space before each text, some only before the first of all."""
    (tmp_path / "in").mkdir()
    if kind.startswith("sentencepiece"):
        (tmp_path / "in" / "tokenizer.model").write_bytes(sentencepiece_model(kind.removeprefix("sentencepiece-")))
    else:
        trained_there(kind).save_pretrained(tmp_path / "in")
    tokenizer = import_tokenizer(tmp_path / "in").with_roles()
    model = ours_of(SHAPES[0], tokenizer)
    for template in TEMPLATES:
        write_folder(model, tokenizer, tmp_path / template, chat=template)
        read_alike(template, tokenizer, transformers.AutoTokenizer.from_pretrained(tmp_path / template))


def read_alike(template: TemplateName, tokenizer: Tokenizer, opened: Any) -> None:
    for text in ("The mill", " the mill", "  ", "é", "\n1\n", "水车 turned", "a"):
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
        ids = opened.apply_chat_template([*messages, messages[0]], add_generation_prompt=True, return_dict=False)
        assert list(ids) == prompt_ids(tokenizer, text, history=[(text, text)], template=template), text
        assert opened(text).input_ids == [tokenizer.bos, *tokenizer.encode(text)], text


@pytest.mark.shared
def test_the_published_story_is_written_by_what_left(shared_data: Path, tmp_path: Path) -> None:
    """stories260K's weights leave as a Llama, and `transformers` writes the text that llama2.c writes."""
    place = shared_data / "11_reference_models" / "DaveBben__esp32-llm" / "data"
    model = load_llama2c(place / "stories260K.bin")
    assert struct.unpack("<7i", (place / "stories260K.bin").read_bytes()[:28])[0] == model.config.d_model
    from tests.parity.test_huggingface import leave

    opened = leave(model, tmp_path / "out")
    made = opened.generate(torch.tensor([[BOS]]), max_new_tokens=NEW, do_sample=False, eos_token_id=None)
    expected = generate(model, [BOS], NEW).ids
    assert made[0, 1:].tolist() == expected
    assert generate(read_model(read_folder(tmp_path / "out")), [BOS], NEW).ids == expected
