"""All benchmarks by their names in lm-eval."""

from __future__ import annotations

from tasks.benchmarks.arc import ARC_CHALLENGE, ARC_EASY
from tasks.benchmarks.base import Benchmark
from tasks.benchmarks.bbq import BBQ
from tasks.benchmarks.crows_pairs import CROWS_PAIRS
from tasks.benchmarks.glue import GLUE
from tasks.benchmarks.gsm8k import GSM8K
from tasks.benchmarks.hellaswag import HELLASWAG
from tasks.benchmarks.lambada import LAMBADA_OPENAI
from tasks.benchmarks.mmlu import MMLU, MMLU_CONTINUATION
from tasks.benchmarks.piqa import PIQA
from tasks.benchmarks.superglue import SUPERGLUE
from tasks.benchmarks.truthfulqa import TRUTHFULQA_MC1, TRUTHFULQA_MC2
from tasks.benchmarks.wikitext import WIKITEXT
from tasks.benchmarks.winogender import WINOGENDER
from tasks.benchmarks.winogrande import WINOGRANDE

_ALL = (
    HELLASWAG, MMLU, MMLU_CONTINUATION, ARC_EASY, ARC_CHALLENGE, TRUTHFULQA_MC1, TRUTHFULQA_MC2, PIQA, WINOGRANDE,
    LAMBADA_OPENAI, WIKITEXT, GSM8K, *GLUE, *SUPERGLUE, CROWS_PAIRS, WINOGENDER, BBQ,
)  # fmt: skip
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in _ALL}
