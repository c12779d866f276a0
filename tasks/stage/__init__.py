"""The stage contract, and what every stage may use: configs, outputs, checks before a run, figures, workers."""

from data_lake.store.lake import Artifact
from tasks.stage.config import Execution, StageConfig
from tasks.stage.contract import Build, BuildResult, ContractError, Stage, stage
from tasks.stage.errors import PermanentError
from tasks.stage.output import Output, local_output
from tasks.stage.roles import Role

SHAPES_NO_RESULT = "asks for, checks and stores what stages make"

__all__ = [
    "Artifact",
    "Build",
    "BuildResult",
    "ContractError",
    "Execution",
    "Output",
    "PermanentError",
    "Role",
    "Stage",
    "StageConfig",
    "local_output",
    "stage",
]
