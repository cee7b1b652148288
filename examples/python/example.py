# SPDX-License-Identifier: MIT
"""Quantizes a matrix, multiplies by it, compares with NumPy in float64, and divides the product among threads.

    python3 example.py [THREADS]
"""

import concurrent.futures
import sys

import numpy as np

import q8k

FORMAT, ROWS, COLS, BATCH = "q6_k", 192, 1024, 5


def compare(weights, activations, output):
    """How large the error is, as a share of what it may be at most."""
    stored = q8k.dequantize(weights, FORMAT).astype(np.float64)
    exact = activations.astype(np.float64) @ stored.T
    # Each row is 2 spans of 128 weights for every 256: 2 * spans + 8 roundings, and one of the decoded weight; and half
    # the step of the activations, which is at most 2^-22 of a block's largest.
    spans = COLS // 128
    blocks = np.abs(activations).reshape(BATCH, -1, 256).max(axis=2)
    steps = np.repeat(blocks, 256, axis=1) * 2.0**-23
    bound = (np.abs(activations) * (2 * spans + 9) * 2.0**-24 + steps) @ np.abs(stored).T
    return np.max(np.abs(output - exact) / bound)


def multiply_in_parts(weights, activations, threads):
    """The product by a pool of threads: each part of the input, and when all are done each part of the output."""
    prepared = q8k.Prepared(activations)
    output = np.full((BATCH, ROWS), np.nan, np.float32)
    parts = 4 * threads
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        # list() waits for all of them, and raises what one of them raised.
        list(pool.map(lambda part: prepared.prepare(part, parts), range(parts)))
        list(pool.map(lambda part: prepared.matmul(weights, FORMAT, output, part, parts), range(parts)))
    return output


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    random = np.random.default_rng(1)
    matrix = random.standard_normal((ROWS, COLS), dtype=np.float32)
    activations = random.standard_normal((BATCH, COLS), dtype=np.float32)
    weights = q8k.quantize(matrix, FORMAT)
    output = q8k.matmul(weights, activations, FORMAT)

    share = compare(weights, activations, output)
    if not share <= 1:
        sys.exit(f"error {share} times what it may be")
    if multiply_in_parts(weights, activations, threads).tobytes() != output.tobytes():
        sys.exit(f"other bits on {threads} threads than on one")
    print(f"libq8k {q8k.version()}, backend {q8k.Context().backend}: {ROWS} x {COLS} weights, "
          f"{matrix.nbytes / weights.nbytes:.2f} times smaller, error at most {share:.3f} of its bound; "
          f"{threads} threads: the same bits as on one")


if __name__ == "__main__":
    main()
