"""The questions stage: what all models of a corpus are asked: held-out text, items, and what training has of them."""

from tasks.synthetic.questions.config import QuestionsConfig
from tasks.synthetic.questions.stage import questions

__all__ = ["QuestionsConfig", "questions"]
