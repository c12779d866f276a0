"""Values that two stages must share: one set in one recipe section also applies to the other if it is null there."""

from __future__ import annotations

from flows.recipe.recipe import Recipe
from tasks.benchmarks import BenchmarksConfig
from tasks.benchmarks.config import BenchmarkFiles
from tasks.benchmarks.registry import BENCHMARKS
from tasks.compression.distil import DistilConfig
from tasks.compression.teacher import TeacherConfig
from tasks.corpus.decontaminate import DecontaminateConfig
from tasks.synthetic.questions import QuestionsConfig
from tasks.synthetic.questions.chosen import shots_wanted


def decontaminate_config(recipe: Recipe) -> DecontaminateConfig:
    """Return the config with the benchmarks to look for: those of the section, else those the models are asked.

    Official benchmarks (`questions.benchmarks`) are an input of the stage.
    """
    own, asked = recipe.decontaminate, recipe.questions
    files = {
        name: ("" if name in asked.benchmarks else getattr(asked, name))
        if getattr(own, name) is None
        else getattr(own, name)
        for name in ("hellaswag", "mmlu")
    }
    return own.model_copy(update=files)


def teacher_config(recipe: Recipe, student: DistilConfig) -> TeacherConfig:
    """Return the config with windows as long as the student's context, unless the section says another length."""
    return recipe.teacher.model_copy(update={"seq_len": recipe.teacher.seq_len or student.model.max_seq_len})


def benchmarks_config(recipe: Recipe) -> BenchmarksConfig | None:
    """Return which files are read: those of the benchmarks that `questions` asks; None if it asks none."""
    asked = recipe.questions.benchmarks
    if not asked:
        return None
    files = {name: BenchmarkFiles(path=own.path, shots_path=own.shots_path) for name, own in asked.items()}
    shots = [name for name, own in asked.items() if name in BENCHMARKS and shots_wanted(BENCHMARKS[name], own)]
    return BenchmarksConfig(files=files, shots=tuple(shots))


def questions_config(recipe: Recipe) -> QuestionsConfig:
    """Return the config with the rule for contaminated items: that of the section, else decontaminate's.

    The files of benchmarks are left out: their content is an input, whatever they are called.
    """
    own = recipe.questions.contamination
    benchmarks = {
        name: asked.model_copy(update={"path": (), "shots_path": ()})
        for name, asked in recipe.questions.benchmarks.items()
    }
    rule = recipe.decontaminate.detection if own is None else own
    return recipe.questions.model_copy(update={"contamination": rule, "benchmarks": benchmarks})
