"""Every stage by its name, for recipes, forms and the command line."""

from __future__ import annotations

from tasks.clean import clean
from tasks.crawl import crawl
from tasks.decontaminate import decontaminate
from tasks.dedup import dedup
from tasks.evaluate import evaluate
from tasks.pretrain import pretrain
from tasks.questions import questions
from tasks.sft import sft
from tasks.stage import AnyStage
from tasks.tokenize import tokenize
from tasks.tokenizer import tokenizer

_ALL: tuple[AnyStage, ...] = (crawl, clean, dedup, decontaminate, tokenizer, tokenize, pretrain, sft,
                              questions, evaluate)  # fmt: skip
STAGES: dict[str, AnyStage] = {stage.name: stage for stage in _ALL}
