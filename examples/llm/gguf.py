# SPDX-License-Identifier: MIT
"""GGUF files, version 3, as far as the scripts of this folder need them: well-formed ones are read, and written."""

import struct

import numpy as np

U32, F32, STRING, ARRAY, U64, I32 = 4, 6, 8, 9, 10, 5
_FORMS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", U32: "<I", I32: "<i", F32: "<f", 7: "<?", U64: "<Q", 11: "<q", 12: "<d"}
_ALIGNMENT = 32

# Number in the file, columns and bytes of a block. Q8_K has no number: it is type i8, and two keys say what it is.
TYPES = {"f32": (0, 1, 4), "q8_0": (8, 32, 34), "q2_k": (10, 256, 84), "q3_k": (11, 256, 110), "q4_k": (12, 256, 144),
         "q5_k": (13, 256, 176), "q6_k": (14, 256, 210), "q8_k": (24, 256, 292)}


class Reader:
    """`keys`: name -> (type, value). `tensors`: name -> (type's name, rows, cols, array of its bytes, mapped)."""

    def __init__(self, path):
        self.data = np.memmap(path, np.uint8, "r")
        self.at = 0
        if bytes(self.data[:4]) != b"GGUF":
            raise ValueError(f"{path}: no GGUF file")
        self.at = 8
        tensor_count, key_count = self._number(U64), self._number(U64)
        self.keys = dict(self._key() for _ in range(key_count))
        entries = [self._tensor() for _ in range(tensor_count)]
        start = -(-self.at // _ALIGNMENT) * _ALIGNMENT
        self.tensors = {name: self._data(name, dims, number, start + offset) for name, dims, number, offset in entries}

    def _number(self, kind):
        form = _FORMS[kind]
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def _text(self):
        length = self._number(U64)
        self.at += length
        return bytes(self.data[self.at - length:self.at])

    def _value(self, kind):
        if kind == ARRAY:
            element, count = self._number(U32), self._number(U64)
            return element, [self._value(element) for _ in range(count)]
        return self._text().decode() if kind == STRING else self._number(kind)

    def _key(self):
        name, kind = self._text().decode(), self._number(U32)
        return name, (kind, self._value(kind))

    def _tensor(self):
        name = self._text().decode()
        dims = [self._number(U64) for _ in range(self._number(U32))]
        return name, dims, self._number(U32), self._number(U64)

    def _data(self, name, dims, number, offset):
        kind = next(k for k, v in TYPES.items() if v[0] == number)
        cols, rows = dims[0], int(np.prod(dims[1:]))
        if kind == "q8_k":
            if self.keys[f"q8k.tensor.{name}.format"][1] != "q8_k":
                raise ValueError(f"{name}: type i8")
            cols = self.keys[f"q8k.tensor.{name}.cols"][1]
        _, block_cols, block_bytes = TYPES[kind]
        size = rows * cols // block_cols * block_bytes
        return kind, rows, cols, self.data[offset:offset + size]


def _pack(kind, value):
    if kind == ARRAY:
        element, values = value
        return struct.pack("<IQ", element, len(values)) + b"".join(_pack(element, v) for v in values)
    if kind == STRING:
        text = value.encode() if isinstance(value, str) else value
        return struct.pack("<Q", len(text)) + text
    return struct.pack(_FORMS[kind], value)


def write(path, keys, tensors):
    """keys: name -> (type, value). tensors: (name, type's name, dims, function that makes the bytes), the latter called
    one after another so that no more than one tensor is in memory."""
    keys, entries, offset = dict(keys), b"", 0
    for name, kind, dims, _ in tensors:
        number, block_cols, block_bytes = TYPES[kind]
        row_bytes = dims[0] // block_cols * block_bytes
        if kind == "q8_k":
            keys[f"q8k.tensor.{name}.format"] = (STRING, "q8_k")
            keys[f"q8k.tensor.{name}.cols"] = (U64, dims[0])
            dims = [row_bytes, *dims[1:]]
        entries += _pack(STRING, name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, number, offset)
        offset += -(-row_bytes * int(np.prod(dims[1:])) // _ALIGNMENT) * _ALIGNMENT
    with open(path, "wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys)))
        for name, (kind, value) in keys.items():
            file.write(_pack(STRING, name) + struct.pack("<I", kind) + _pack(kind, value))
        file.write(entries)
        file.write(bytes(-file.tell() % _ALIGNMENT))
        for _, _, _, make in tensors:
            file.write(make())
            file.write(bytes(-file.tell() % _ALIGNMENT))
