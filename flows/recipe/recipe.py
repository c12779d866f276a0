"""The recipe: all configs of a run, a section for each stage, and the variants that differ in some fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from flows.recipe.promote import PromoteConfig
from flows.recipe.schedule import Schedule
from tasks.compression.distil import DistilConfig
from tasks.compression.quantise import QuantiseConfig
from tasks.compression.teacher import TeacherConfig
from tasks.corpus.clean import CleanConfig
from tasks.corpus.crawl import CrawlConfig
from tasks.corpus.decontaminate import DecontaminateConfig
from tasks.corpus.dedup import DedupConfig
from tasks.corpus.pairs import PairsConfig
from tasks.corpus.tokenize import TokenizeConfig
from tasks.corpus.tokenizer import TokenizerConfig
from tasks.delivery.export import ExportConfig
from tasks.evaluation.evaluate import EvaluateConfig
from tasks.evaluation.evaluate_encoder import EvaluateEncoderConfig
from tasks.evaluation.judge import JudgeConfig
from tasks.evaluation.memorisation import MemorisationConfig
from tasks.retrieval.ask import AskConfig
from tasks.retrieval.index import IndexConfig
from tasks.stage.config import StageConfig, with_defaults
from tasks.synthetic.questions import QuestionsConfig
from tasks.training.classify import ClassifyConfig
from tasks.training.dpo import DpoConfig
from tasks.training.grpo import GrpoConfig
from tasks.training.import_model import ImportConfig
from tasks.training.ppo import PpoConfig
from tasks.training.preferences import PreferencesConfig
from tasks.training.pretrain import PretrainConfig
from tasks.training.reference import ReferenceConfig
from tasks.training.reward import RewardConfig
from tasks.training.seq2seq import Seq2SeqConfig
from tasks.training.sft import SftConfig

WRITERS = ("import_model", "pretrain", "sft", "dpo", "grpo", "ppo", "distil")
"""The stages whose models write texts."""
MAX_VARIANTS = 1000
LABEL = re.compile(r"[A-Za-z0-9][\w.-]{0,39}")


class RecipeBase(StageConfig):
    """The fields of every recipe besides one section per stage. A section that may be null is an optional stage."""

    name: str = Field(
        "default",
        pattern=r"^[\w.-]+$",
        max_length=80,
        description="name of the recipe; default: the name of its file",
    )
    description: str = Field("", max_length=2000, description="what the recipe is for, in a sentence or two")
    schedule: Schedule | None = Field(None, description="when `textmill up` runs this recipe by itself; null = never")
    promote: PromoteConfig | None = Field(
        None,
        description="at the end of a run, make its model the champion of MLflow's registry if it is not worse; "
        "null = never",
    )
    variants: dict[str, dict[str, Any]] = Field(
        {},
        max_length=MAX_VARIANTS,
        description="the same recipe with some fields changed, once for each label: {d6: {pretrain: {…}}, d12: {…}}; "
        "stages that are the same are shared",
    )

    @field_validator("variants")
    @classmethod
    def _have_labels_and_change_stages(cls, variants: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for label, changes in variants.items():
            if not LABEL.fullmatch(label):
                raise ValueError(f"{label!r} cannot be a variant's label: up to 40 letters, digits, '.', '_' and '-'")
            if own := changes.keys() & RecipeBase.model_fields.keys():
                raise ValueError(f"the variant {label} changes what the whole recipe says: {', '.join(sorted(own))}")
        return variants

    @model_validator(mode="after")
    def _variants_are_recipes(self) -> Self:
        for label in self.variants:
            try:
                self.variant(label)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                field = ".".join(map(str, first["loc"]))
                raise ValueError(f"the variant {label} is not a recipe: {field}: {first['msg']}") from error
        return self

    def variant(self, label: str) -> Self:
        """Return the recipe of one variant, which has no variants itself; raises KeyError if the label is unknown."""
        given = self.model_dump(mode="json", exclude_unset=True, exclude={"variants"})
        return type(self).model_validate(merged(given, self.variants[label]))

    def config(self, stage: str) -> StageConfig:
        """Return the config of a stage; raises KeyError if the recipe has no such stage or turns it off."""
        return self.configs()[stage]

    def configs(self) -> dict[str, StageConfig]:
        """Return stage name -> config, in the order of the pipeline, of all stages that are not turned off."""
        sections = {
            name: getattr(self, name) for name in type(self).model_fields if name not in RecipeBase.model_fields
        }
        return {name: section for name, section in sections.items() if section is not None}


def merged(given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` with its fields replaced by `changes`, at every depth; a list replaces the whole list."""
    both = dict(given)
    for name, value in changes.items():
        old = both.get(name)
        both[name] = merged(old if isinstance(old, Mapping) else {}, value) if isinstance(value, Mapping) else value
    return both


class Recipe(RecipeBase):
    """All configs of a run: a section per stage. Fields that are left out keep their defaults."""

    crawl: CrawlConfig | None = Field(
        CrawlConfig(), description="where pages come from; null = no corpus is made, and no model of one"
    )
    clean: CleanConfig = Field(CleanConfig(), description="how pages become documents, and which are kept")
    dedup: DedupConfig = Field(DedupConfig(), description="when two documents count as one")
    decontaminate: DecontaminateConfig = Field(
        DecontaminateConfig(), description="which benchmarks must not be in the training text, and what is held out"
    )
    import_model: ImportConfig | None = Field(
        None, description="a model from elsewhere to go on from, with its vocabulary; null = a new one is trained"
    )
    pairs: PairsConfig | None = Field(None, description="texts that belong together, for seq2seq; null = none")
    tokenizer: TokenizerConfig = Field(TokenizerConfig(), description="how text is split into tokens")
    tokenize: TokenizeConfig = Field(TokenizeConfig(), description="how tokens are laid out")
    pretrain: PretrainConfig | None = Field(
        PretrainConfig(), description="which model, and how it learns; null = the imported one stays as it is"
    )
    classify: ClassifyConfig | None = Field(
        None, description="which labels of texts the model learns to name, and how; null = none"
    )
    sft: SftConfig | None = Field(SftConfig(), description="how the model learns to answer; null = not at all")
    preferences: PreferencesConfig | None = Field(
        None, description="pairs of a better and a worse answer, for reward and dpo; null = none"
    )
    reward: RewardConfig | None = Field(None, description="a model that learns to score answers; null = none")
    reference: ReferenceConfig = Field(
        ReferenceConfig(), description="how likely the model before dpo finds the answers, for losses that ask for it"
    )
    dpo: DpoConfig | None = Field(None, description="how the model learns to prefer the better answers; null = not")
    grpo: GrpoConfig | None = Field(
        None, description="how the model learns from what its own answers are worth (GRPO); null = not at all"
    )
    ppo: PpoConfig | None = Field(
        None, description="the same with a value head (PPO), from the model that grpo made if there is one; null = not"
    )
    teacher: TeacherConfig = Field(
        TeacherConfig(), description="what is kept of the model before sft, for a student that learns from it"
    )
    distil: DistilConfig | None = Field(
        None, description="a smaller network that learns from the model before sft, and how; null = none"
    )
    quantise: QuantiseConfig | None = Field(
        None, description="which models also get weights of few bits, and how; null = none"
    )
    seq2seq: Seq2SeqConfig | None = Field(
        None, description="an encoder-decoder that learns from pairs, and how; null = none is trained"
    )
    questions: QuestionsConfig = Field(QuestionsConfig(), description="what models are measured on")
    evaluate: EvaluateConfig | None = Field(EvaluateConfig(), description="how models are asked; null = not at all")
    evaluate_encoder: EvaluateEncoderConfig | None = Field(
        EvaluateEncoderConfig(), description="how encoders are measured instead; null = not at all"
    )
    memorisation: MemorisationConfig | None = Field(
        None, description="how much of the training text models repeat word for word; null = not looked for"
    )
    index: IndexConfig | None = Field(
        None, description="how the corpus is cut into passages that questions find; null = it is not searched"
    )
    ask: AskConfig | None = Field(
        None, description="how models are asked about passages that the index finds; null = they are not"
    )
    judge: JudgeConfig | None = Field(
        None, description="which other model judges the answers, at an endpoint; null = none"
    )
    export: ExportConfig | None = Field(
        None, description="in which formats models leave for other programs; null = in none"
    )

    @model_validator(mode="after")
    def _has_one_model_to_begin_with(self) -> Self:
        if self.crawl is not None and self.import_model is None and self.pretrain is None:
            raise ValueError("there is no model: neither is one trained (pretrain) nor does one come in (import_model)")
        if self.import_model is not None and (self.tokenizer.keep or not self.tokenizer.learns):
            raise ValueError(
                "an imported model has a tokenizer of its own; leave out tokenizer.keep, tokenizer.ready and "
                "tokenizer.files, or the model"
            )
        return self

    @model_validator(mode="after")
    def _has_something_to_make(self) -> Self:
        if self.seq2seq is not None and self.pairs is None:
            raise ValueError("seq2seq learns from pairs, and there are none: name their files in pairs.data")
        if self.crawl is None and self.pairs is None and self.import_model is None:
            raise ValueError("there is nothing to make: no corpus (crawl), no pairs of texts (pairs), no import_model")
        return self

    @model_validator(mode="after")
    def _has_labels(self) -> Self:
        if self.classify is not None and self.import_model is None and (self.crawl is None or self.pretrain is None):
            raise ValueError("classify has no model to begin with: let one be trained, or name one in import_model")
        if self.classify is not None and self.crawl is None and not self.classify.data:
            raise ValueError("classify has no labels: name files of texts with labels in classify.data")
        return self

    @model_validator(mode="after")
    def _has_preferences_to_learn_from(self) -> Self:
        if self.preferences is None and (wants := [name for name in ("reward", "dpo") if getattr(self, name)]):
            raise ValueError(f"{' and '.join(wants)} learns from preferences, and there are none: add that section")
        if self.preferences is not None and not self.preferences.data and self.crawl is None:
            raise ValueError("there is no corpus to make preferences of: name files in preferences.data")
        return self

    @model_validator(mode="after")
    def _has_models_to_make_smaller(self) -> Self:
        for name in ("distil", "quantise"):
            if getattr(self, name) is None:
                continue
            if self.crawl is None:
                raise ValueError(f"{name} measures models on held-out text, and there is none: crawl is null")
            if self.pretrain is not None and self.pretrain.model.network == "encoder":
                raise ValueError(f"{name} is for models that write texts, and pretrain.model.network is encoder")
        if self.quantise is None:
            return self
        there = [name for name in WRITERS if getattr(self, name) is not None]
        if unknown := [name for name in self.quantise.of if name not in there]:
            raise ValueError(f"quantise.of names {unknown[0]}, but models are made by {', '.join(there)} here")
        return self

    @model_validator(mode="after")
    def _has_something_to_be_judged_on(self) -> Self:
        if self.judge is not None and not self.judge.data and (self.sft is None or self.crawl is None):
            raise ValueError(
                "the judge has nothing to ask: name instruction files in judge.data, or let sft hold some out"
            )
        return self

    @model_validator(mode="after")
    def _has_an_index_to_ask(self) -> Self:
        if self.index is not None and self.crawl is None:
            raise ValueError("there is no corpus to search: index needs pages (crawl)")
        if self.ask is not None and self.index is None:
            raise ValueError("ask has no passages to find: add the section index: {}")
        if self.ask is not None and not (self.index and self.index.measured):
            raise ValueError("ask has no questions: let index.measured be at least 1")
        for name in self.ask.models if self.ask is not None else ():
            if self.sft is not None and name in ("import_model", "pretrain", "distil"):
                raise ValueError(f"ask.models names {name}, whose model is taught no chat: name sft or what follows it")
        return self

    @classmethod
    def completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Complete a partly given `contamination` from decontaminate's `detection`."""
        section = given.get("questions")
        if not isinstance(section, Mapping) or not isinstance(own := section.get("contamination"), Mapping):
            return given
        try:
            held = DecontaminateConfig.model_validate(given.get("decontaminate") or {}).detection
        except ValidationError:
            return given  # reported when decontaminate's own section is read
        return {**given, "questions": {**section, "contamination": with_defaults(type(held), own, held)}}
