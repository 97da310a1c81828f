"""The demonstration model from its GGUF file, computed in 64-bit floats with NumPy: slow, exact, and independent of
hearth's own code. What `hearth selftest` expects comes from here."""

import struct

import numpy

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
F32, F16, Q8_0 = 0, 1, 8
EPSILON = 1e-5


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, code):
        value, = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def string(self):
        size = self.scalar("Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            element, count = self.scalar("I"), self.scalar("Q")
            return [self.value(element) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def decoded(data, offset, kind, shape):
    """A tensor's values; shape as in the file, the innermost dimension first."""
    count = int(numpy.prod(shape))
    if kind == Q8_0:
        blocks = numpy.frombuffer(data, numpy.dtype([("scale", "<f2"), ("values", "i1", 32)]), count // 32, offset)
        values = blocks["scale"].astype(float)[:, None] * blocks["values"]
    elif kind in (F32, F16):
        values = numpy.frombuffer(data, "<f4" if kind == F32 else "<f2", count, offset).astype(float)
    else:
        raise ValueError(f"tensor type {kind} is not known here")
    return values.reshape(shape[::-1])


class Reference:
    def __init__(self, path):
        data = path.read_bytes()
        reader = Reader(data)
        reader.at = 8
        tensors, values = reader.scalar("Q"), reader.scalar("Q")
        self.metadata = {}
        for _ in range(values):
            key = reader.string()
            self.metadata[key] = reader.value(reader.scalar("I"))
        infos = []
        for _ in range(tensors):
            name = reader.string()
            shape = [reader.scalar("Q") for _ in range(reader.scalar("I"))]
            infos.append((name, shape, reader.scalar("I"), reader.scalar("Q")))
        start = -(-reader.at // 32) * 32
        self.tensors = {name: decoded(data, start + offset, kind, shape) for name, shape, kind, offset in infos}

    def key(self, name):
        return self.metadata["llama." + name]

    def norm(self, x, name):
        return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * self.tensors[name + ".weight"]

    def rotated(self, x):
        """x is [tokens, heads, head]; adjacent values turn together."""
        head = x.shape[-1]
        angles = numpy.outer(numpy.arange(len(x)), self.key("rope.freq_base") ** (-numpy.arange(0, head, 2) / head))
        turned = (x[..., 0::2] + 1j * x[..., 1::2]) * numpy.exp(1j * angles)[:, None]
        return numpy.stack([turned.real, turned.imag], -1).reshape(x.shape)

    def attention(self, x, layer):
        heads, kv_heads = self.key("attention.head_count"), self.key("attention.head_count_kv")
        q, k, v = ((x @ self.tensors[f"blk.{layer}.attn_{name}.weight"].T).reshape(len(x), count, -1)
                   for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)))
        k, v = (numpy.repeat(part, heads // kv_heads, 1) for part in (self.rotated(k), v))
        scores = numpy.einsum("ihd,jhd->hij", self.rotated(q), k) / numpy.sqrt(q.shape[-1])
        scores = numpy.where(numpy.tri(len(x), dtype=bool), scores, -numpy.inf)
        weights = numpy.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return numpy.einsum("hij,jhd->ihd", weights, v).reshape(len(x), -1)

    def logits(self, tokens):
        """Of every position: [tokens, vocabulary]."""
        weights = self.tensors
        x = weights["token_embd.weight"][tokens]
        for layer in range(self.key("block_count")):
            block = f"blk.{layer}."
            x = x + self.attention(self.norm(x, block + "attn_norm"), layer) @ weights[block + "attn_output.weight"].T
            y = self.norm(x, block + "ffn_norm")
            gate = y @ weights[block + "ffn_gate.weight"].T
            x = x + (gate / (1 + numpy.exp(-gate)) * (y @ weights[block + "ffn_up.weight"].T)) @ \
                weights[block + "ffn_down.weight"].T
        return self.norm(x, "output_norm") @ weights["token_embd.weight"].T
