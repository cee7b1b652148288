# SPDX-License-Identifier: MIT
"""Tests of q8k.py. They need what it needs, and a C compiler (CC) and pkg-config for the header's layout.

    python3 test_q8k.py
"""

import ctypes
import os
import pathlib
import shlex
import subprocess
import tempfile
import threading
import unittest

import numpy as np

import q8k

STRUCTS = {"q8k_context_options": q8k.ContextOptions, "q8k_backend_info": q8k.BackendInfo,
           "q8k_matmul_args": q8k.MatmulArgs, "q8k_input_args": q8k.InputArgs, "q8k_quantize_args": q8k.QuantizeArgs,
           "q8k_dequantize_args": q8k.DequantizeArgs}
PRECISIONS = ["float", "half", "byte"]


def words(*command):
    return shlex.split(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def numbers(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def apart(array, gap):
    """The same values in rows that lie apart, with 9 in all bytes between them."""
    rows, cols = array.shape
    wide = np.empty((rows, cols + gap), array.dtype)
    wide.view(np.uint8)[:] = 9
    wide[:, :cols] = array
    return wide, wide[:, :cols]


class Layout(unittest.TestCase):
    def test_structs_are_those_of_the_header(self):
        lines, ours = [], {}
        for name, struct in STRUCTS.items():
            ours[name] = [ctypes.sizeof(struct), 0]
            lines.append(f'printf("{name} %zu 0\\n", sizeof({name}));')
            for member, kind in struct._fields_:
                ours[f"{name}.{member}"] = [ctypes.sizeof(kind), getattr(struct, member).offset]
                lines.append(f'printf("{name}.{member} %zu %zu\\n", sizeof((({name} *)0)->{member}), '
                             f'offsetof({name}, {member}));')
        source = "#include <stdio.h>\n#include <q8k/q8k.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "layout.c")
            file.write_text(source)
            cflags = words(*shlex.split(os.environ.get("PKG_CONFIG") or "pkg-config"), "--cflags", "q8k")
            compiler = shlex.split(os.environ.get("CC") or "cc")
            subprocess.run([*compiler, *cflags, "-o", file.with_suffix(""), file], check=True)
            output = subprocess.run([file.with_suffix("")], check=True, capture_output=True, text=True).stdout
        theirs = {name: [int(size), int(offset)] for name, size, offset in map(str.split, output.splitlines())}
        self.assertEqual(ours, theirs)


class Products(unittest.TestCase):
    def test_every_format_and_precision(self):
        matrix, activations = numbers(1, 40, 512), numbers(2, 3, 512)
        self.assertEqual(q8k.formats(), ["q8_k", "q4_k", "q5_k", "q6_k", "q2_k", "q3_k", "q8_0"])
        for format in q8k.formats():
            weights = q8k.quantize(matrix, format)
            decoded = q8k.dequantize(weights, format)
            error = np.sqrt(np.mean((decoded - matrix) ** 2))
            self.assertLess(error, {"q2_k": 0.3, "q3_k": 0.2}.get(format, 0.1))
            exact = activations.astype(np.float64) @ decoded.astype(np.float64).T
            size = np.abs(activations).astype(np.float64) @ np.abs(decoded).T
            for precision, bits in zip(PRECISIONS, (20, 10, 5)):
                with self.subTest(format=format, precision=precision):
                    output = q8k.matmul(weights, activations, format, precision)
                    self.assertEqual((output.dtype, output.shape), (np.float32, (3, 40)))
                    self.assertTrue((np.abs(output - exact) <= size * 2.0**-bits).all())

    def test_parts_have_the_same_bits(self):
        weights, activations = q8k.quantize(numbers(3, 70, 512), "q5_k"), numbers(4, 9, 512)
        for precision in PRECISIONS:
            whole = q8k.matmul(weights, activations, "q5_k", precision)
            prepared = q8k.Prepared(activations, precision)
            for part in reversed(range(3)):
                prepared.prepare(part, 3)
            output = np.full_like(whole, np.nan)
            for part in reversed(range(7)):
                prepared.matmul(weights, "q5_k", output, part, 7)
            self.assertEqual(output.tobytes(), whole.tobytes())

    def test_rows_that_lie_apart(self):
        matrix, activations = numbers(5, 30, 256), numbers(6, 4, 256)
        weights = q8k.quantize(matrix, "q4_k")
        self.assertTrue((q8k.quantize(apart(matrix, 5)[1], "q4_k") == weights).all())
        plain = q8k.matmul(weights, activations, "q4_k")
        wide, out = apart(np.zeros_like(plain), 3)
        between = wide[:, 30:].tobytes()
        self.assertIs(q8k.matmul(apart(weights, 7)[1], apart(activations, 1)[1], "q4_k", out=out), out)
        self.assertEqual(out.tobytes(), plain.tobytes())
        prepared = q8k.Prepared(apart(activations, 8)[1])
        prepared.prepare()
        out[:] = np.nan
        prepared.matmul(apart(weights, 11)[1], "q4_k", out)
        self.assertEqual(out.tobytes(), plain.tobytes())
        self.assertEqual(wide[:, 30:].tobytes(), between)
        decoded = apart(np.zeros_like(matrix), 2)[1]
        q8k.dequantize(apart(weights, 1)[1], "q4_k", decoded)
        self.assertEqual(decoded.tobytes(), q8k.dequantize(weights, "q4_k").tobytes())
        every_second = q8k.matmul(weights[::2], activations[::3], "q4_k")
        self.assertEqual(every_second.tobytes(), plain[::3, ::2].tobytes())

    def test_nothing_and_no_columns(self):
        weights = q8k.quantize(numbers(7, 2, 256), "q6_k")
        self.assertEqual(q8k.matmul(weights, numbers(8, 0, 256), "q6_k").shape, (0, 2))
        self.assertEqual(q8k.matmul(weights[:0], numbers(8, 3, 256), "q6_k").shape, (3, 0))
        empty = q8k.matmul(np.empty((2, 0), np.uint8), np.empty((3, 0), np.float32), "q6_k")
        self.assertEqual(empty.tolist(), [[0, 0]] * 3)


class Backends(unittest.TestCase):
    def test_contexts(self):
        found = q8k.backends()
        self.assertEqual([b.name for b in found if b.state == "selected"], [q8k.Context().backend])
        weights, activations = q8k.quantize(numbers(9, 20, 768), "q8_k"), numbers(10, 2, 768)
        usable = [b.name for b in found if b.state != "rejected"]
        products = {q8k.matmul(weights, activations, "q8_k", context=q8k.Context(name)).tobytes() for name in usable}
        self.assertEqual(len(products), 1)
        for name in usable:
            self.assertEqual(q8k.Context(name).backend, name)

    def test_a_backend_that_is_not_there(self):
        with self.assertRaises(q8k.Error) as caught:
            q8k.Context("no-such")
        self.assertEqual(caught.exception.name, "Q8K_ERROR_BACKEND")
        self.assertIn("no-such", str(caught.exception))

    def test_version(self):
        self.assertRegex(q8k.version(), r"^[0-9]+\.[0-9]+\.[0-9]+$")


class Refusals(unittest.TestCase):
    def setUp(self):
        self.weights, self.input = q8k.quantize(numbers(11, 8, 256), "q4_k"), numbers(12, 3, 256)

    def refused(self, status, text, function, *arguments, **named):
        with self.assertRaises(q8k.Error) as caught:
            function(*arguments, **named)
        self.assertEqual(caught.exception.name, status)
        self.assertIn(text, caught.exception.text)

    def test_by_the_library(self):
        self.refused("Q8K_ERROR_NAME", "q9_k", q8k.quantize, self.input, "q9_k")
        self.refused("Q8K_ERROR_NAME", "double", q8k.matmul, self.weights, self.input, "q4_k", "double")
        self.refused("Q8K_ERROR_COLUMNS", "100", q8k.quantize, numbers(13, 2, 100), "q4_k")
        matrix = numbers(14, 2, 256)
        matrix[1, 77] = np.inf
        self.refused("Q8K_ERROR_NOT_FINITE", "77", q8k.quantize, matrix, "q4_k")
        prepared = q8k.Prepared(self.input)
        out = np.empty((3, 8), np.float32)
        self.refused("Q8K_ERROR_PREPARED", "prepared", prepared.matmul, self.weights, "q4_k", out)
        self.refused("Q8K_ERROR_PART", "3", prepared.prepare, 3, 3)
        shared = np.zeros((3, 256), np.float32)
        self.refused("Q8K_ERROR_OVERLAP", "output", q8k.matmul, self.weights, shared, "q4_k", out=shared[:, :8])

    def test_each_thread_gets_its_own_text(self):
        failures, start = {}, threading.Barrier(8)

        def fail(i):
            start.wait()
            try:
                q8k.Context(f"none-{i}")
            except q8k.Error as error:
                failures[i] = error.text

        threads = [threading.Thread(target=fail, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(failures), 8)
        for i, text in failures.items():
            self.assertIn(f"none-{i}", text)

    def test_arrays_that_would_need_a_copy(self):
        def refused(kind, text, weights=self.weights, input=self.input, **named):
            with self.assertRaisesRegex(kind, text):
                q8k.matmul(weights, input, "q4_k", **named)

        refused(TypeError, "input: float64", input=self.input.astype(np.float64))
        refused(TypeError, "input: >f4|input: <f4", input=self.input.astype(self.input.dtype.newbyteorder()))
        refused(TypeError, "input: list", input=self.input.tolist())
        refused(TypeError, "weights: int8", weights=self.weights.view(np.int8))
        refused(ValueError, "input: 1 dim", input=self.input[0])
        refused(ValueError, "input: 12 bytes from column", input=np.asfortranarray(self.input))
        refused(ValueError, "input: -1024 bytes from row", input=self.input[::-1])
        refused(ValueError, "input: 0 bytes from row", input=np.broadcast_to(self.input[0], (3, 256)))
        refused(ValueError, "weights: -144 bytes from row", weights=self.weights[::-1])
        refused(ValueError, "weights: rows of 143 bytes", weights=self.weights[:, :143])
        refused(ValueError, "input: 512 columns", input=numbers(15, 3, 512))
        refused(ValueError, r"out: shape \(8, 3\)", out=np.empty((8, 3), np.float32))
        read_only = np.empty((3, 8), np.float32)
        read_only.flags.writeable = False
        refused(ValueError, "out: not writeable", out=read_only)
        odd = np.zeros(3 * 1024 + 1, np.uint8)[1:].view(np.float32).reshape(3, 256)
        refused(ValueError, "input: not aligned", input=odd)
        with self.assertRaisesRegex(ValueError, "parts: -1"):
            q8k.Prepared(self.input).prepare(0, -1)
        with self.assertRaisesRegex(ValueError, "NUL"):
            q8k.quantize(self.input, "q4_k\0")


if __name__ == "__main__":
    unittest.main()
