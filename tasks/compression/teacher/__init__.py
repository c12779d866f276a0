"""teacher: what a model finds likeliest at each place of training text, for students."""

from tasks.compression.teacher.config import TeacherConfig
from tasks.compression.teacher.stage import teacher

__all__ = ["TeacherConfig", "teacher"]
