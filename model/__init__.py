"""The model, in PyTorch only: architecture, tokenizer, trainer, losses, generation; no Prefect and no MLflow."""

import os

SHAPES_NO_RESULT = "sets how long threads wait for each other"

# PyTorch's threads wait for each other in libgomp, which by default spins for milliseconds. On two cores, one of them
# busy with other work, that spinning takes the time the other thread needs: 100 steps of the demo took 133 s, and 39 s
# with this setting. On idle cores it costs about 5 %. libgomp reads it once, when PyTorch is loaded.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "2000"
