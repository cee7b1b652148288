# SPDX-License-Identifier: MIT
"""llama.cpp's shared libraries, by ctypes: the few functions that take a model file and tokens to logits.

They come in the npm package @node-llama-cpp/linux-x64 (3.22.1, with llama.cpp 0.5.0), folder bins/linux-x64:

    npm pack @node-llama-cpp/linux-x64@3.22.1 && tar xf node-llama-cpp-linux-x64-3.22.1.tgz     # package/bins/linux-x64

Structs are passed by value and change from release to release; those of another are refused by their default values.
"""

import ctypes
import glob
import os

import numpy as np

_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_silent = _LOG(lambda level, text, data: None)


class _ModelParams(ctypes.Structure):
    # Its defaults are the best there is: mapped where possible, and repacked for the CPU.
    _fields_ = [("words", ctypes.c_uint64 * 10)]


class _ContextParams(ctypes.Structure):
    _fields_ = [("n_ctx", ctypes.c_uint32), ("n_batch", ctypes.c_uint32), ("n_ubatch", ctypes.c_uint32),
                ("n_seq_max", ctypes.c_uint32), ("others", ctypes.c_uint32 * 3), ("n_threads", ctypes.c_int32),
                ("n_threads_batch", ctypes.c_int32), ("kinds", ctypes.c_int32 * 4), ("flash", ctypes.c_int32),
                ("floats", ctypes.c_float * 8), ("pointers", ctypes.c_uint64 * 2), ("type_k", ctypes.c_int32),
                ("type_v", ctypes.c_int32), ("abort", ctypes.c_uint64 * 2), ("flags", ctypes.c_uint8 * 8),
                ("samplers", ctypes.c_uint64 * 3)]


class _Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.c_void_p), ("logits", ctypes.POINTER(ctypes.c_int8))]


def _load(folder):
    found = glob.glob(os.path.join(folder, "libllama.*so"))
    if not found:
        raise SystemExit(f"{folder}: there is no libllama.*.so")
    library = ctypes.CDLL(found[0], ctypes.RTLD_GLOBAL)
    ggml = ctypes.CDLL(glob.glob(os.path.join(folder, "libggml.*so"))[0], ctypes.RTLD_GLOBAL)
    for name, result in {"model_default_params": _ModelParams, "context_default_params": _ContextParams,
                         "model_load_from_file": ctypes.c_void_p, "init_from_model": ctypes.c_void_p,
                         "model_get_vocab": ctypes.c_void_p, "get_memory": ctypes.c_void_p,
                         "get_logits": ctypes.POINTER(ctypes.c_float)}.items():
        getattr(library, "llama_" + name).restype = result
    library.llama_log_set(_silent, None)
    ggml.ggml_log_set(_silent, None)
    ggml.ggml_backend_load_all_from_path(os.fsencode(folder))
    defaults = library.llama_context_default_params()
    seen = (defaults.n_ctx, defaults.n_batch, defaults.n_ubatch, defaults.n_seq_max, defaults.n_threads,
            defaults.n_threads_batch, list(defaults.kinds), defaults.flash, list(defaults.floats), defaults.type_k,
            defaults.type_v, list(defaults.flags)[:6])
    if seen != (512, 2048, 512, 1, 4, 4, [0, -1, -1, -1], -1, [0, 0, -1, -1, -1, -1, 0, -1], 1, 1, [0, 1, 1, 1, 1, 0]):
        raise SystemExit(f"{found[0]}: not llama.cpp 0.5.0: its context parameters are {seen}")
    return library


class Llama:
    """A model and a context of `positions`. `cache`: "f16", as llama.cpp has it by default, or "f32"."""

    def __init__(self, folder, path, positions, threads, cache="f16"):
        self.library = _load(folder)
        self.library.llama_backend_init()
        self.model = ctypes.c_void_p(self.library.llama_model_load_from_file(os.fsencode(path),
                                                                             self.library.llama_model_default_params()))
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp does not load it")
        self.vocab = ctypes.c_void_p(self.library.llama_model_get_vocab(self.model))
        self.count = self.library.llama_vocab_n_tokens(self.vocab)
        params = self.library.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = positions, threads, threads
        params.type_k = params.type_v = {"f32": 0, "f16": 1}[cache]
        self.context = ctypes.c_void_p(self.library.llama_init_from_model(self.model, params))
        if not self.context:
            raise SystemExit(f"{path}: llama.cpp makes no context of {positions} positions")

    def run(self, tokens, position, every):
        """Takes tokens at a position and those that follow; the logits of each of them, or of the last alone."""
        n = len(tokens)
        sequence = ctypes.c_int32(0)
        batch = _Batch(n, (ctypes.c_int32 * n)(*tokens), None, (ctypes.c_int32 * n)(*range(position, position + n)),
                       (ctypes.c_int32 * n)(*[1] * n), None,
                       (ctypes.c_int8 * n)(*[1 if every or i + 1 == n else 0 for i in range(n)]))
        sequences = (ctypes.POINTER(ctypes.c_int32) * n)(*[ctypes.pointer(sequence)] * n)
        batch.seq_id = ctypes.cast(sequences, ctypes.c_void_p)
        if self.library.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama_decode failed")
        rows = n if every else 1
        return np.ctypeslib.as_array(self.library.llama_get_logits(self.context), (rows, self.count)).copy()

    def clear(self):
        self.library.llama_memory_clear(ctypes.c_void_p(self.library.llama_get_memory(self.context)), True)

    def tokenize(self, text):
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        n = self.library.llama_tokenize(self.vocab, data, len(data), ids, len(ids), True, False)
        return list(ids[:n])

    def close(self):
        self.library.llama_free(self.context)
        self.library.llama_model_free(self.model)
