# SPDX-License-Identifier: MIT
"""libq8k for Python: ctypes and NumPy, nothing to build.

    weights = q8k.quantize(matrix, "q4_k")              # float32 (rows, cols) -> uint8 (rows, bytes of a row)
    output = q8k.matmul(weights, activations, "q4_k")   # float32 (batch, cols) -> float32 (batch, rows)

The library is libq8k.so.0 as the dynamic linker finds it, or the file that Q8K_LIBRARY names. Weights are arrays of
uint8 with a row of blocks in each row, as numpy.memmap gives them from a model file. Arrays are never copied or
converted: their rows may lie apart, within a row there are no gaps, and another dtype is a TypeError. What the library
itself refuses is an Error with its text. While the library computes, Python's other threads run.
"""

import collections
import ctypes
import os
import weakref

import numpy as np

__all__ = ["Backend", "Context", "Error", "Prepared", "backends", "dequantize", "formats", "matmul", "quantize",
           "version"]

# ------------------------------------------------------------------------------------- as in the header q8k/q8k.h ---

_size, _pointer, _text = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p


class _Struct(ctypes.Structure):
    """Everything is zero but what is given, and `size` is as the library wants it."""

    def __init__(self, **members):
        super().__init__(size=ctypes.sizeof(self), **members)


class ContextOptions(_Struct):
    _fields_ = [("size", _size), ("backend", _text)]


class BackendInfo(_Struct):
    _fields_ = [("size", _size), ("name", _text), ("file", _text), ("needs", _text), ("reason", _text),
                ("state", ctypes.c_int32)]


class MatmulArgs(_Struct):
    _fields_ = [("size", _size), ("format", ctypes.c_uint32), ("precision", ctypes.c_uint32), ("out_features", _size),
                ("in_features", _size), ("batch", _size), ("weights", _pointer), ("weights_bytes", _size),
                ("weights_stride", _size), ("input", _pointer), ("input_stride", _size), ("output", _pointer),
                ("output_stride", _size)]


class InputArgs(_Struct):
    _fields_ = [("size", _size), ("precision", ctypes.c_uint32), ("in_features", _size), ("batch", _size),
                ("input", _pointer), ("input_stride", _size)]


class QuantizeArgs(_Struct):
    _fields_ = [("size", _size), ("format", ctypes.c_uint32), ("rows", _size), ("cols", _size), ("input", _pointer),
                ("input_stride", _size), ("weights", _pointer), ("weights_bytes", _size), ("weights_stride", _size)]


class DequantizeArgs(_Struct):
    _fields_ = [("size", _size), ("format", ctypes.c_uint32), ("rows", _size), ("cols", _size), ("weights", _pointer),
                ("weights_bytes", _size), ("weights_stride", _size), ("output", _pointer), ("output_stride", _size)]


# Of each function the result and the arguments; those that return a status raise Error by themselves.
_to = ctypes.POINTER
_functions = {
    "q8k_version": (_text, []),
    "q8k_status_name": (_text, [ctypes.c_int32]),
    "q8k_last_error": (_text, []),
    "q8k_format_count": (_size, []),
    "q8k_format_at": (ctypes.c_uint32, [_size]),
    "q8k_format_name": (_text, [ctypes.c_uint32]),
    "q8k_format_from_name": ("status", [_text, _to(ctypes.c_uint32)]),
    "q8k_format_block_columns": (_size, [ctypes.c_uint32]),
    "q8k_format_block_bytes": (_size, [ctypes.c_uint32]),
    "q8k_row_bytes": (_size, [ctypes.c_uint32, _size]),
    "q8k_precision_from_name": ("status", [_text, _to(ctypes.c_uint32)]),
    "q8k_context_create": ("status", [_to(_pointer), _to(ContextOptions)]),
    "q8k_context_destroy": (None, [_pointer]),
    "q8k_context_backend": (_text, [_pointer]),
    "q8k_backend_list_create": ("status", [_to(_pointer), _to(ContextOptions)]),
    "q8k_backend_list_destroy": (None, [_pointer]),
    "q8k_backend_list_count": (_size, [_pointer]),
    "q8k_backend_list_get": ("status", [_pointer, _size, _to(BackendInfo)]),
    "q8k_matmul": ("status", [_pointer, _to(MatmulArgs)]),
    "q8k_input_bytes": ("status", [_pointer, _to(InputArgs), _to(_size)]),
    "q8k_input_prepare": ("status", [_pointer, _to(InputArgs), _pointer, _size, _size, _size]),
    "q8k_matmul_prepared": ("status", [_pointer, _to(MatmulArgs), _pointer, _size, _size, _size]),
    "q8k_quantize": ("status", [_to(QuantizeArgs)]),
    "q8k_dequantize": ("status", [_pointer, _to(DequantizeArgs)]),
}


class Error(Exception):
    """What the library refused: the status, its name, and a text that names the argument, its value and the limit."""

    def __init__(self, status, name, text):
        super().__init__(f"{text} ({name})")
        self.status, self.name, self.text = status, name, text


def _check(status, _function, _arguments):
    # The text is the calling thread's own, so it cannot be another call's.
    if status != 0:
        text = _lib.q8k_last_error().decode(errors="backslashreplace")
        raise Error(status, _lib.q8k_status_name(status).decode(), text)


def _load():
    library = ctypes.CDLL(os.environ.get("Q8K_LIBRARY") or "libq8k.so.0")
    for name, (result, arguments) in _functions.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = ctypes.c_int32 if result == "status" else result
        if result == "status":
            function.errcheck = _check
    return library


_lib = _load()

# ------------------------------------------------------------------------------------------------------ arguments ---


def _encoded(name, text):
    if "\0" in text:
        raise ValueError(f"{name}: {text!r} holds a NUL")
    return text.encode()


def _count(name, number):
    """ctypes would make a very large number of a negative one."""
    if not 0 <= number <= _size(-1).value:
        raise ValueError(f"{name}: {number} is not between 0 and {_size(-1).value}")
    return number


def _named(function, what, name):
    number = ctypes.c_uint32()
    function(_encoded(what, name), ctypes.byref(number))
    return number.value


def _format(name):
    return _named(_lib.q8k_format_from_name, "format", name)


def _precision(name):
    return _named(_lib.q8k_precision_from_name, "precision", name)


def _stride(name, array, dtype, written=False):
    """The step from row to row, in elements, of an array that the library can use as it is."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"{name}: {found}, not a NumPy array of {np.dtype(dtype)} in this machine's byte order")
    if array.ndim != 2:
        raise ValueError(f"{name}: {array.ndim} dimensions instead of 2, rows and columns")
    if not array.flags.aligned:
        raise ValueError(f"{name}: not aligned to its elements of {array.itemsize} bytes")
    if written and not array.flags.writeable:
        raise ValueError(f"{name}: not writeable")
    rows, cols = array.shape
    if cols > 1 and rows > 0 and array.strides[1] != array.itemsize:
        raise ValueError(f"{name}: {array.strides[1]} bytes from column to column instead of {array.itemsize}")
    if rows < 2 or cols == 0:
        return 0
    # A stride of 0 would mean rows without a gap to the library, which knows no negative ones.
    if array.strides[0] <= 0 or array.strides[0] % array.itemsize != 0:
        raise ValueError(f"{name}: {array.strides[0]} bytes from row to row, not {array.itemsize} or a multiple of it")
    return array.strides[0] // array.itemsize


def _bytes(array):
    """Bytes from the start to the end of the last row."""
    rows, row_bytes = array.shape
    return (rows - 1) * array.strides[0] + row_bytes if rows > 1 else array.size


def _weights(weights, format):
    """The members that describe weights, the format's number and the columns that the rows hold."""
    stride, number = _stride("weights", weights, np.uint8), _format(format)
    block_bytes = _lib.q8k_format_block_bytes(number)
    if weights.shape[1] % block_bytes != 0:
        raise ValueError(f"weights: rows of {weights.shape[1]} bytes, not a multiple of {format}'s {block_bytes}")
    cols = weights.shape[1] // block_bytes * _lib.q8k_format_block_columns(number)
    return cols, dict(format=number, weights=weights.ctypes.data, weights_bytes=_bytes(weights), weights_stride=stride)


def _output(out, shape):
    """The array to write, a new one if there is none, and its stride."""
    if out is None:
        out = np.empty(shape, np.float32)
    stride = _stride("out", out, np.float32, written=True)
    if out.shape != shape:
        raise ValueError(f"out: shape {out.shape} instead of {shape}")
    return out, stride


def _handle(context):
    return None if context is None else context._handle


# ------------------------------------------------------------------------------------------------------ functions ---


def version():
    """The version of the library in use, such as "0.9.0"."""
    return _lib.q8k_version().decode()


def formats():
    """The names of the weight formats."""
    return [_lib.q8k_format_name(_lib.q8k_format_at(i)).decode() for i in range(_lib.q8k_format_count())]


class Context:
    """A chosen backend: by name, or what Q8K_BACKEND names, or the best. Any number of threads may use one. Everywhere
    else None stands for a default that the process shares."""

    def __init__(self, backend=None):
        handle = _pointer()
        options = ContextOptions(backend=None if backend is None else _encoded("backend", backend))
        _lib.q8k_context_create(ctypes.byref(handle), ctypes.byref(options))
        self._handle = handle.value
        weakref.finalize(self, _lib.q8k_context_destroy, self._handle)

    @property
    def backend(self):
        """The name of the backend."""
        return _lib.q8k_context_backend(self._handle).decode()


Backend = collections.namedtuple("Backend", "name file needs state reason")


def backends():
    """What became of every backend: a list of Backend, whose state is "selected", "available" or "rejected"."""
    handle = _pointer()
    _lib.q8k_backend_list_create(ctypes.byref(handle), None)
    found = []
    try:
        for i in range(_lib.q8k_backend_list_count(handle)):
            info = BackendInfo()
            _lib.q8k_backend_list_get(handle, i, ctypes.byref(info))
            state = ("selected", "available", "rejected")[info.state]
            found.append(Backend(info.name.decode(), os.fsdecode(info.file), info.needs.decode(), state,
                                 info.reason.decode(errors="backslashreplace")))
    finally:
        _lib.q8k_backend_list_destroy(handle)
    return found


def quantize(matrix, format):
    """Weights in a format, from float32 (rows, cols), cols a multiple of 256: uint8 (rows, bytes of a row)."""
    stride, number = _stride("matrix", matrix, np.float32), _format(format)
    rows, cols = matrix.shape
    weights = np.empty((rows, _lib.q8k_row_bytes(number, cols)), np.uint8)
    args = QuantizeArgs(format=number, rows=rows, cols=cols, input=matrix.ctypes.data, input_stride=stride,
                        weights=weights.ctypes.data, weights_bytes=weights.nbytes)
    _lib.q8k_quantize(ctypes.byref(args))
    return weights


def dequantize(weights, format, out=None, context=None):
    """The weights as float32 (rows, cols), each rounded once."""
    cols, members = _weights(weights, format)
    out, stride = _output(out, (weights.shape[0], cols))
    args = DequantizeArgs(rows=weights.shape[0], cols=cols, output=out.ctypes.data, output_stride=stride, **members)
    _lib.q8k_dequantize(_handle(context), ctypes.byref(args))
    return out


def matmul(weights, input, format, precision="float", out=None, context=None):
    """input * transpose(weights) on this thread: float32 (batch, cols) -> float32 (batch, rows of the weights)."""
    input_stride, (cols, members) = _stride("input", input, np.float32), _weights(weights, format)
    if input.shape[1] != cols:
        raise ValueError(f"input: {input.shape[1]} columns, and {cols} of the weights")
    out, stride = _output(out, (input.shape[0], weights.shape[0]))
    args = MatmulArgs(precision=_precision(precision), out_features=weights.shape[0], in_features=cols,
                      batch=input.shape[0], input=input.ctypes.data, input_stride=input_stride, output=out.ctypes.data,
                      output_stride=stride, **members)
    _lib.q8k_matmul(_handle(context), ctypes.byref(args))
    return out


class Prepared:
    """An input made ready for any number of products, for callers with threads of their own. First every part is
    prepared, prepared.prepare(part, parts) for part = 0 to parts - 1 on any threads; then every part of a product is
    computed, prepared.matmul(weights, format, out, part, parts). The number of parts may be another one."""

    def __init__(self, input, precision="float", context=None):
        stride = _stride("input", input, np.float32)
        self._input, self._context = input, context
        self._args = InputArgs(precision=_precision(precision), in_features=input.shape[1], batch=input.shape[0],
                               input=input.ctypes.data, input_stride=stride)
        count = _size()
        _lib.q8k_input_bytes(_handle(context), ctypes.byref(self._args), ctypes.byref(count))
        # Zeros: what was never prepared is known as such.
        self._buffer = np.zeros(count.value, np.uint8)

    def prepare(self, part=0, parts=1):
        """Prepares one part of the input."""
        _lib.q8k_input_prepare(_handle(self._context), ctypes.byref(self._args), self._buffer.ctypes.data,
                               self._buffer.nbytes, _count("part", part), _count("parts", parts))

    def matmul(self, weights, format, out, part=0, parts=1):
        """Computes one part of a product into `out`, float32 (batch, rows of the weights)."""
        cols, members = _weights(weights, format)
        if self._args.in_features != cols:
            raise ValueError(f"input: {self._args.in_features} columns, and {cols} of the weights")
        out, stride = _output(out, (self._args.batch, weights.shape[0]))
        args = MatmulArgs(precision=self._args.precision, out_features=weights.shape[0], in_features=cols,
                          batch=self._args.batch, output=out.ctypes.data, output_stride=stride, **members)
        _lib.q8k_matmul_prepared(_handle(self._context), ctypes.byref(args), self._buffer.ctypes.data,
                                 self._buffer.nbytes, _count("part", part), _count("parts", parts))
