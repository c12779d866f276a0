"""Another model judges a model's answers, over the protocol of OpenAI."""

from tasks.evaluation.judge.config import JudgeConfig
from tasks.evaluation.judge.stage import judge

__all__ = ["JudgeConfig", "judge"]
