"""Every stage by its name, for recipes, forms and the command line."""

from __future__ import annotations

from tasks.benchmarks import benchmarks
from tasks.compression.distil import distil
from tasks.compression.quantise import quantise
from tasks.compression.teacher import teacher
from tasks.corpus.clean import clean
from tasks.corpus.crawl import crawl
from tasks.corpus.decontaminate import decontaminate
from tasks.corpus.dedup import dedup
from tasks.corpus.pairs import pairs
from tasks.corpus.tokenize import tokenize
from tasks.corpus.tokenizer import tokenizer
from tasks.delivery.export import export
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.evaluate_encoder import evaluate_encoder
from tasks.evaluation.judge import judge
from tasks.evaluation.memorisation import memorisation
from tasks.retrieval.ask import ask
from tasks.retrieval.index import index
from tasks.stage.contract import AnyStage
from tasks.synthetic.questions import questions
from tasks.training.classify import classify
from tasks.training.dpo import dpo
from tasks.training.grpo import grpo
from tasks.training.import_model import import_model
from tasks.training.ppo import ppo
from tasks.training.preferences import preferences
from tasks.training.pretrain import pretrain
from tasks.training.reference import reference
from tasks.training.reward import reward
from tasks.training.seq2seq import seq2seq
from tasks.training.sft import sft

_ALL: tuple[AnyStage, ...] = (crawl, clean, dedup, decontaminate, import_model, pairs, tokenizer,
                               tokenize, pretrain, classify, sft, preferences, reward, reference, dpo,
                               grpo, ppo, teacher, distil, quantise, seq2seq, benchmarks, questions, evaluate,
                               evaluate_encoder, memorisation, index, ask, judge, export)  # fmt: skip
STAGES: dict[str, AnyStage] = {stage.name: stage for stage in _ALL}
