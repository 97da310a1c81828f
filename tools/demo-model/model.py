"""The demonstration model in PyTorch: a llama (Touvron et al. 2023) of 8 layers and 3.8 million parameters."""

import math

import torch
import torch.nn.functional as F

WIDTH, INNER, LAYERS, HEADS, KV_HEADS, HEAD, CONTEXT = 256, 256, 8, 4, 2, 64, 1024
EPSILON, ROPE_BASE = 1e-5, 10000.0


def rotation(length):
    """Cosines and sines of the rotary positions (Su et al. 2021), [length, 1, HEAD / 2]."""
    frequencies = ROPE_BASE ** (-torch.arange(0, HEAD, 2) / HEAD)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), frequencies)
    return angles.cos()[:, None], angles.sin()[:, None]


def rotate(x, cos, sin):
    """Rotates adjacent pairs: x is [tokens, heads, HEAD]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def norm(x, weight):
    return x * (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt() * weight


class Demo(torch.nn.Module):
    """Matrices of all layers lie in one tensor per kind: [LAYERS, rows, columns]."""

    def __init__(self, tokens):
        super().__init__()
        small, end = WIDTH ** -0.5, (WIDTH * 2 * LAYERS) ** -0.5
        matrices = {"qkv": (HEADS * HEAD + 2 * KV_HEADS * HEAD, WIDTH, small), "output": (WIDTH, WIDTH, end),
                    "gate_up": (2 * INNER, WIDTH, small), "down": (WIDTH, INNER, end)}
        for name, (rows, columns, scale) in matrices.items():
            setattr(self, name, torch.nn.Parameter(torch.randn(LAYERS, rows, columns) * scale))
        # As large as what the layers add to it, so that words are not lost among that; the last norm makes up for it.
        self.embedding = torch.nn.Parameter(torch.randn(tokens, WIDTH) * 0.3)
        self.norms = torch.nn.Parameter(torch.ones(LAYERS, 2, WIDTH))
        self.last_norm = torch.nn.Parameter(torch.full((WIDTH,), 0.2))

    def matrix_blocks(self):
        """The projections as the optimizer takes them: views of the parameters, [count, rows, columns]."""
        q, k = HEADS * HEAD, KV_HEADS * HEAD
        return [(self.qkv, slice(0, q)), (self.qkv, slice(q, q + k)), (self.qkv, slice(q + k, q + 2 * k)),
                (self.output, slice(None)), (self.gate_up, slice(0, INNER)), (self.gate_up, slice(INNER, 2 * INNER)),
                (self.down, slice(None))]

    def forward(self, tokens, positions, mask, cache=None):
        """Hidden states [rows, length, WIDTH] of tokens [rows, length] at positions [rows, length]; mask
        [rows, length, keys] is added to the scores. A cache is a list that keeps keys and values per layer."""
        rows, length = tokens.shape
        cos, sin = (table[positions.reshape(-1)] for table in rotation(CONTEXT))
        x = F.embedding(tokens, self.embedding).reshape(-1, WIDTH)
        mask = mask[:, None]
        for layer in range(LAYERS):
            qkv = F.linear(norm(x, self.norms[layer, 0]), self.qkv[layer]).view(-1, HEADS + 2 * KV_HEADS, HEAD)
            rotated = rotate(qkv[:, :HEADS + KV_HEADS], cos, sin).view(rows, length, -1, HEAD).transpose(1, 2)
            q, k = rotated[:, :HEADS] * HEAD ** -0.5, rotated[:, HEADS:]
            v = qkv[:, HEADS + KV_HEADS:].reshape(rows, length, KV_HEADS, HEAD).transpose(1, 2)
            if cache is not None:
                k, v = self.remember(cache, layer, k, v)
            mixed = attend(q, k, v, mask).transpose(1, 2).reshape(-1, HEADS * HEAD)
            x = x + F.linear(mixed, self.output[layer])
            gate, up = F.linear(norm(x, self.norms[layer, 1]), self.gate_up[layer]).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, self.down[layer])
        return norm(x, self.last_norm).view(rows, length, WIDTH)

    @staticmethod
    def remember(cache, layer, k, v):
        if layer < len(cache):
            k, v = (torch.cat(both, 2) for both in zip(cache[layer], (k, v)))
            cache[layer] = (k, v)
        else:
            cache.append((k, v))
        return k, v

    def logits(self, hidden):
        return F.linear(hidden, self.embedding)


def attend(q, k, v, mask):
    """Grouped-query attention: q [rows, HEADS, length, HEAD], k and v with KV_HEADS heads."""
    rows, _, length, _ = q.shape
    group = HEADS // KV_HEADS
    q = q.reshape(rows, KV_HEADS, group * length, HEAD)
    scores = (q @ k.transpose(-1, -2)).view(rows, HEADS, length, -1) + mask
    weights = scores.softmax(-1).view(rows, KV_HEADS, group * length, -1)
    return (weights @ v).view(rows, HEADS, length, HEAD)


@torch.no_grad()
def answers(model, prompts, end, most=90):
    """Greedy continuations of prompts (lists of tokens), all at once, each up to `end`."""
    rows, longest = len(prompts), max(map(len, prompts))
    tokens = torch.zeros(rows, longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt):] = torch.tensor(prompt)
    start = torch.tensor([longest - len(prompt) for prompt in prompts])
    at = torch.arange(longest + most)
    visible = at[None] >= start[:, None]
    positions = (at[None] - start[:, None]).clamp(min=0)
    causal = torch.full((longest, longest), -1e9).triu(1)[None]
    mask = causal + torch.where(visible[:, None, :longest], 0.0, -1e9)
    cache, out, done = [], [[] for _ in prompts], [False] * rows
    hidden = model(tokens, positions[:, :longest], mask, cache)[:, -1]
    for step in range(most):
        chosen = model.logits(hidden).argmax(-1)
        for row, token in enumerate(chosen.tolist()):
            done[row] = done[row] or token == end
            if not done[row]:
                out[row].append(token)
        if all(done):
            break
        here = longest + step
        mask = torch.where(visible[:, None, :here + 1], 0.0, -1e9)
        hidden = model(chosen[:, None], positions[:, here:here + 1], mask, cache)[:, -1]
    return out
