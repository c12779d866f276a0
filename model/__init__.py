"""The model: PyTorch only. Architecture, tokenizer, trainer, losses, generation; knows no Prefect and no MLflow."""

import os

SHAPES_NO_RESULT = "sets how long threads wait for each other"

# libgomp, with which PyTorch's threads wait for each other, spins for milliseconds by default: on two cores, one of
# them busy with something else, just the time that the other thread needs. 100 steps of the demo then took 133 s, with
# this 39; on quiet cores it costs some 5 %. libgomp reads it once, when PyTorch is loaded.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "2000"
