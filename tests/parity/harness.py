"""lm-eval as the reference of parity tests: its own tasks on local files, asked of a model of ours."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from model.gpt import GPT
from model.scoring import Scorer
from model.shape import Family, GPTConfig
from tasks.benchmarks.base import CHOICE
from tasks.benchmarks.registry import BENCHMARKS
from tests.parity.squad import put_back

Rows = Sequence[Mapping[str, Any]]


class Bytes:
    """A tokenizer of bytes and some pairs of letters, so that a token may span the end of a context."""

    bos, eos = 256, 257
    PAIRS = (b"th", b"er", b" a", b" t", b"on", b"in", b". ", b", ")

    def encode(self, text: str) -> list[int]:
        data, ids, at = text.encode(), [], 0
        while at < len(data):
            pair = data[at : at + 2]
            if pair in self.PAIRS:
                ids.append(258 + self.PAIRS.index(pair))
                at += 2
            else:
                ids.append(data[at])
                at += 1
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        parts = [bytes([one]) if one < 256 else self.PAIRS[one - 258] for one in ids if one not in (self.bos, self.eos)]
        return b"".join(parts)


def tiny_model(context: int = 512, family: Family = "llama") -> GPT:
    """Return a random model with a vocabulary for `Bytes`; its choices differ clearly between texts."""
    torch.manual_seed(0)
    shape = {
        "n_layer": 1,
        "n_head": 2,
        "n_kv_head": 2 if family == "gpt2" else 1,
        "d_model": 32,
        "d_ff": 48,
        "max_seq_len": context,
    }
    model = GPT(GPTConfig(vocab_size=266, tie_embeddings=False, family=family, **shape))
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return model.eval()


def scorer_of(model: GPT) -> Scorer:
    return Scorer(model, Bytes().encode, Bytes.bos)


@contextlib.contextmanager
def offline(cache: Path) -> Iterator[None]:
    """Keep lm-eval and `datasets` from the network and from other processes."""
    given = {
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(cache),
        "HF_DATASETS_CACHE": str(cache),
        "DISABLE_MULTIPROC": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def plain_adapter(model: GPT) -> Any:
    """Return lm-eval's view of a model: each request in a forward pass of its own, with nothing of model/scoring.py."""
    from lm_eval.api.model import TemplateLM
    from lm_eval.models.utils import postprocess_generated_text
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    tokenizer, context = Bytes(), model.config.max_seq_len

    class Plain(TemplateLM):
        @property
        def eot_token_id(self) -> int:
            return tokenizer.bos

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
            return tokenizer.encode(string)

        @torch.inference_mode()
        def _loglikelihood_tokens(
            self, requests: Any, disable_tqdm: bool = False, **_: Any
        ) -> list[tuple[float, bool]]:
            found = []
            for _, before, after in requests:
                ids = (before + after)[-(context + 1) :][:-1]
                logits = model(torch.tensor([ids]))[0].float().log_softmax(-1)[-len(after) :]
                wanted = torch.tensor(after)
                found.append(
                    (float(logits.gather(1, wanted[:, None]).sum()), bool((logits.argmax(-1) == wanted).all()))
                )
            return found

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
            found = []
            for request in requests:
                windows = get_rolling_token_windows(tokenizer.encode(request.args[0]), tokenizer.bos, context, 1)
                scores = self._loglikelihood_tokens([(None, *make_disjoint_window(window)) for window in windows])
                found.append(sum(value for value, _ in scores))
            return found

        @torch.inference_mode()
        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            found = []
            for request in requests:
                prompt, given = request.args
                most = min(given.get("max_gen_toks", 256), context - 1)
                ids, new = tokenizer.encode(prompt)[-(context - most) :], []
                while len(new) < most and not any(stop in tokenizer.decode(new) for stop in given["until"]):
                    token = int(model(torch.tensor([ids + new]))[0, -1].argmax())
                    if token in (tokenizer.bos, tokenizer.eos):
                        break
                    new.append(token)
                found.append(postprocess_generated_text(tokenizer.decode(new), given["until"], None))
            return found

    return Plain()


def reference(
    folder: Path,
    model: GPT,
    tasks: Mapping[str, Mapping[str, Rows]],
    shots: int | None,
    bootstrap: int = 1000,
    group: str = "",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (metrics, samples) of lm-eval by task, on rows that are given by split.

    The tasks are lm-eval's own YAML files; only where their rows come from is changed, and of plain multiple choice all
    accuracies are asked for. `group`: the tasks are aggregated under this name, weighted by size.
    """
    with offline(folder / "cache"):
        import datasets
        from lm_eval import simple_evaluate
        from lm_eval.api.group import AggMetricConfig, Group

        datasets.disable_progress_bars()
        if "record" in tasks:
            put_back()
        manager = task_manager(tasks)
        wanted: list[Any] = []
        for name, splits in tasks.items():
            files = {}
            for split, rows in splits.items():
                path = folder / f"{name}-{split}.jsonl"
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
                files[split] = str(path)
            source = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
            plain = BENCHMARKS.get(group or name)
            if plain and plain.metrics == CHOICE and plain.values is None:
                source["metric_list"] = [{"metric": metric.name} for metric in CHOICE]
            wanted.append(manager._factory.build(manager._entry(name), overrides=source, registry=manager._index))
        if group:
            whole = Group(group, aggregate_metric_list=[AggMetricConfig(metric=one.name) for one in CHOICE])
            for task in wanted:
                whole.add(task)
            wanted = [whole]
        found = simple_evaluate(
            model=plain_adapter(model),
            tasks=wanted,
            num_fewshot=shots,
            bootstrap_iters=bootstrap,
            log_samples=True,
            task_manager=manager,
        )
    return found["results"], found["samples"]


def task_manager(names: Iterable[str]) -> Any:
    """Return lm-eval's index of only those folders of tasks that have these: that of all takes half a minute."""
    import lm_eval.tasks

    root = Path(lm_eval.tasks.__file__).parent
    folders = {folder_of(name) for name in names}
    return lm_eval.tasks.TaskManager(include_path=[str(root / one) for one in sorted(folders)], include_defaults=False)


def folder_of(task: str) -> str:
    """Return the folder of lm-eval's tasks that has this one."""
    family = task.partition("_")[0]
    if family == "mmlu":
        return "mmlu/continuation" if task.endswith("_continuation") else "mmlu/default"
    return FOLDERS.get(task, family)


_GLUE = "cola sst2 mrpc qqp mnli mnli_mismatch qnli rte wnli"
_SUPERGLUE = "boolq cb copa multirc record sglue_rte wic wsc"
FOLDERS = {"crows_pairs_english": "crows_pairs"}
FOLDERS |= dict.fromkeys(_GLUE.split(), "glue") | dict.fromkeys(_SUPERGLUE.split(), "super_glue")
"""The folders of the tasks that are not called like their folder."""
