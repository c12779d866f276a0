"""llama.cpp's own server on one core, as a process: python llama_cpp_server.py FILE SLOTS CONTEXT."""

from __future__ import annotations

import sys


def main() -> None:
    """Serve a GGUF file until standard input ends; print the address first."""
    import xllamacpp as x

    params = x.CommonParams()
    params.model.path = sys.argv[1]
    params.n_parallel = int(sys.argv[2])
    params.n_ctx = int(sys.argv[2]) * int(sys.argv[3])
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    server = x.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
