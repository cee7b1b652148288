# SPDX-License-Identifier: MIT
"""The plain truth about a model: its graph in float64, over weights decoded by the definitions of their formats.

It shares nothing with the program: neither code nor the library. Needs NumPy.
"""

import numpy as np

from gguf import Reader

# --------------------------------------------------------------------------------------------- blocks to weights ---


def _half(blocks, at):
    return blocks[:, at:at + 2].copy().view("<f2").astype(np.float64)


def _q8_k(b):
    scale = np.repeat(b[:, 256:272], 2, axis=1).astype(int)
    scale[:, 1::2] >>= 4
    q = b[:, :256].copy().view(np.int8).astype(int)
    return _half(b, 288) * np.repeat(scale & 15, 8, axis=1) * q + _half(b, 290)


def _six_bits(s):
    """Eight scales and eight mins out of twelve bytes."""
    scale = np.concatenate([s[:, :4] & 63, (s[:, 8:] & 15) | (s[:, :4] >> 6) << 4], axis=1)
    least = np.concatenate([s[:, 4:8] & 63, s[:, 8:] >> 4 | (s[:, 4:8] >> 6) << 4], axis=1)
    return np.repeat(scale, 32, axis=1), np.repeat(least, 32, axis=1)


def _nibbles(qs):
    """Of each 32 bytes first all low ones, then all high ones."""
    qs = qs.reshape(len(qs), -1, 1, 32)
    return np.concatenate([qs & 15, qs >> 4], axis=2).reshape(len(qs), -1)


def _q4_k(b, fifth=0):
    scale, least = _six_bits(b[:, 4:16].astype(int))
    q = _nibbles(b[:, -128:].astype(int)) + 16 * fifth
    return _half(b, 0) * scale * q - _half(b, 2) * least


def _q5_k(b):
    bits = b[:, None, 16:48].astype(int) >> np.arange(8)[:, None] & 1
    return _q4_k(b, bits.reshape(len(b), 256))


def _q6_k(b):
    low, high, scale = b[:, :128].astype(int), b[:, 128:192].astype(int), b[:, 192:208].copy().view(np.int8).astype(int)
    low = low.reshape(-1, 2, 1, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    high = high.reshape(-1, 2, 1, 32) >> np.arange(0, 8, 2)[:, None] & 3
    q = (low | high << 4).reshape(-1, 256) - 32
    return _half(b, 208) * np.repeat(scale, 16, axis=1) * q


def _q8_0(b):
    return _half(b, 0) * b[:, 2:].copy().view(np.int8).astype(int)


def _q2_k(b):
    scale = np.repeat(b[:, :16].astype(int), 16, axis=1)
    q = b[:, 16:80].astype(int).reshape(-1, 2, 1, 32) >> np.arange(0, 8, 2)[:, None] & 3
    return _half(b, 80) * (scale & 15) * q.reshape(-1, 256) - _half(b, 82) * (scale >> 4)


def _q3_k(b):
    s = b[:, 96:108].astype(int)
    low = np.concatenate([s[:, :8] & 15, s[:, :8] >> 4], axis=1)
    high = np.concatenate([s[:, 8:] >> shift & 3 for shift in (0, 2, 4, 6)], axis=1)
    scale = np.repeat((low | high << 4) - 32, 16, axis=1)
    q = (b[:, 32:96].astype(int).reshape(-1, 2, 1, 32) >> np.arange(0, 8, 2)[:, None] & 3).reshape(-1, 256)
    third = (b[:, None, :32].astype(int) >> np.arange(8)[:, None] & 1).reshape(-1, 256)
    return _half(b, 108) * scale * (q - 4 * (1 - third))


_DECODERS = {"q8_k": (292, _q8_k), "q4_k": (144, _q4_k), "q5_k": (176, _q5_k), "q6_k": (210, _q6_k),
             "q8_0": (34, _q8_0), "q2_k": (84, _q2_k), "q3_k": (110, _q3_k)}


def decode(kind, rows, cols, data):
    if kind == "f32":
        weights = data.copy().view("<f4").astype(np.float64)
    else:
        block_bytes, decoder = _DECODERS[kind]
        weights = decoder(data.reshape(-1, block_bytes))
    return weights.reshape(rows, cols)


# ------------------------------------------------------------------------------------------------------ the graph ---


def _normalized(x, weights, epsilon):
    return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + epsilon) * weights


def _rotated(x, base, width, halves, factors):
    """x: positions x heads x head's width. Pairs become complex numbers."""
    angle = np.arange(len(x))[:, None] * base ** (-np.arange(0, width, 2) / width) / factors
    turned, turn = x.copy(), np.exp(1j * angle)[:, None, :]
    first, second = (slice(0, width // 2), slice(width // 2, width)) if halves else (slice(0, width, 2),
                                                                                    slice(1, width, 2))
    z = (x[..., first] + 1j * x[..., second]) * turn
    turned[..., first], turned[..., second] = z.real, z.imag
    return turned


class Oracle:
    def __init__(self, path):
        self.file = Reader(path)
        self.arch = self.file.keys["general.architecture"][1]
        self.layers, self.heads = self._key("block_count"), self._key("attention.head_count")
        self.kv_heads = self._key("attention.head_count_kv")
        self.epsilon = self._key("attention.layer_norm_rms_epsilon")

    def _key(self, name):
        return self.file.keys[f"{self.arch}.{name}"][1]

    def _weights(self, name):
        return decode(*self.file.tensors[name])

    def _product(self, x, name):
        y = x @ self._weights(name + ".weight").T
        return y + self._weights(name + ".bias") if name + ".bias" in self.file.tensors else y

    def _attention(self, x, layer):
        query, key, value = (self._product(x, f"{layer}attn_{part}") for part in "qkv")
        width = query.shape[1] // self.heads
        query, key, value = (part.reshape(len(x), -1, width) for part in (query, key, value))
        factors = self._weights("rope_freqs.weight")[0] if "rope_freqs.weight" in self.file.tensors else 1
        rope = self._key("rope.freq_base"), self._key("rope.dimension_count"), self.arch == "qwen2", factors
        query, key = _rotated(query, *rope), _rotated(key, *rope)
        output, hidden = np.empty_like(query), np.triu(np.full((len(x), len(x)), -np.inf), 1)
        for head in range(self.heads):
            kv = head // (self.heads // self.kv_heads)
            score = query[:, head] @ key[:, kv].T / np.sqrt(width) + hidden
            weight = np.exp(score - score.max(axis=1, keepdims=True))
            output[:, head] = weight / weight.sum(axis=1, keepdims=True) @ value[:, kv]
        return self._product(output.reshape(len(x), -1), layer + "attn_output")

    def _feed_forward(self, x, layer):
        gate, up = self._product(x, layer + "ffn_gate"), self._product(x, layer + "ffn_up")
        return self._product(gate / (1 + np.exp(-gate)) * up, layer + "ffn_down")

    def logits(self, tokens):
        """positions x vocabulary, float64."""
        x = self._weights("token_embd.weight")[tokens]
        for layer in (f"blk.{i}." for i in range(self.layers)):
            x = x + self._attention(_normalized(x, self._weights(layer + "attn_norm.weight"), self.epsilon), layer)
            x = x + self._feed_forward(_normalized(x, self._weights(layer + "ffn_norm.weight"), self.epsilon), layer)
        x = _normalized(x, self._weights("output_norm.weight"), self.epsilon)
        return self._product(x, "output" if "output.weight" in self.file.tensors else "token_embd")
