"""The config of the classify stage: which texts and labels, what is trained of the network, and what is measured."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from model.config import Runtime, Training
from tasks.stage import Execution, StageConfig
from tasks.stage.columns import Column


class LearningCurve(StageConfig):
    """Accuracy against the number of labels: what pretraining is worth where labels are few."""

    labels: tuple[int, ...] = Field(
        (10, 50, 100, 500), min_length=1, description="training texts of each label; a label that has fewer gives all"
    )
    seeds: int = Field(3, ge=2, description="draws of the texts for each number, each with a training of its own")
    steps: int = Field(60, ge=1, description="optimizer steps of each of these trainings")

    @model_validator(mode="after")
    def _are_numbers_of_texts(self) -> Self:
        if min(self.labels) < 1:
            raise ValueError("a learning curve needs at least one training text of each label")
        return self


class ClassifyConfig(StageConfig):
    """Which labels the network learns, and how."""

    data: tuple[str, ...] = Field(
        (),
        description="files or globs with a text and its label in each row: csv, tsv, jsonl, json or parquet, plain or "
        "compressed; none = the entries of Python's documentation in the corpus, and the package of each",
    )
    text: Column = Field(
        "", description="column of the text; a number = the column of a file without names, counted from 1; "
        "empty = found by its name (text, message, review, …)"
    )  # fmt: skip
    label: Column = Field("", description="column of the label, in the same way (label, class, category, …)")
    validation: float = Field(0.1, gt=0, lt=1, description="share of each label's texts held out to watch training")
    test: float = Field(0.2, gt=0, lt=1, description="share of each label's texts held out for all that is reported")
    validation_data: tuple[str, ...] = Field(
        (), description="files or globs of texts to watch training, all of them, in place of the share `validation`"
    )
    test_data: tuple[str, ...] = Field(
        (), description="files or globs of texts for all that is reported, all of them, in place of the share `test`"
    )
    min_texts: int = Field(3, ge=3, description="labels with fewer different texts in data are left out, and counted")
    max_texts: int = Field(
        100_000, ge=1, description="largest number of texts of a label in data; which, is decided by hash"
    )
    balance: Literal["none", "undersample"] = Field(
        "none", description="undersample = of each label in data as many texts as the rarest has, chosen by hash"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced = the loss of a text counts in inverse proportion to its label's texts"
    )
    max_tokens: int | None = Field(
        None, ge=4, description="longest text in tokens, its begin and end included; null = the context"
    )
    long_texts: Literal["cut", "drop"] = Field("cut", description="cut = read a longer text's beginning; drop = none")
    pooling: Literal["last", "mean", "first"] | None = Field(
        None, description="whose state the head reads; null = the last token's of a decoder, the mean of an encoder"
    )
    trained: Literal["all", "last_block", "head"] = Field(
        "all", description="all = every weight; last_block = the last block, the final norm and the head; head"
    )
    training: Training = Field(
        Training(steps=120, batch_size=16, learning_rate=5e-4, weight_decay=0.01),
        description="optimizer, schedule and batch of the training; a sequence is a text",
    )
    repeats: int = Field(
        1, ge=1, description="trainings with seeds that count up, of which the reported accuracy is the mean; the "
        "first one's model is kept"
    )  # fmt: skip
    controls: bool = Field(True, description="train the same network from random weights too, as often, to compare")
    curve: LearningCurve | None = Field(None, description="draw accuracy against the number of labels; null = not")
    samples: int = Field(8, ge=0, description="held-out texts shown in a table")
    runtime: Runtime = Execution(Runtime(), description="hardware, splits and intervals; they never enter the key")

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        held_out = (0 if self.validation_data else self.validation) + (0 if self.test_data else self.test)
        if held_out >= 1:
            raise ValueError(
                f"validation {self.validation} and test {self.test} hold out every text; nothing is left to train on"
            )
        return self

    @model_validator(mode="after")
    def _own_files_stand_beside_data(self) -> Self:
        if (self.validation_data or self.test_data) and not self.data:
            raise ValueError("validation_data and test_data name files beside those to learn from; name these in data")
        return self

    @model_validator(mode="after")
    def _two_columns(self) -> Self:
        if self.text.isdigit() != self.label.isdigit():
            raise ValueError("name both columns, text and label, by their numbers, or none of them")
        if self.text and self.text == self.label:
            raise ValueError(f"text and label are the same column, {self.text!r}")
        return self
