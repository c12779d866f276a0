"""Opens a GGUF file with llama.cpp and serves it on loopback until standard input ends. Run as a process of its own:
llama.cpp ends its process where a check of its own fails.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Serve the file that the first argument names, with the context of the second; print the address first."""
    import xllamacpp as x

    params = x.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = int(sys.argv[2])
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = x.ggml_type.GGML_TYPE_F32  # the default rounds to float16
    params.flash_attn_type = x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.n_gpu_layers = 0
    params.warmup = False
    server = x.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
