"""The weights that the training starts from.

A small model learns most of what it does quickly, but it takes very long to find how to take over words from the
question: that needs heads of two layers that only help together (Olsson et al. 2022, "In-context Learning and
Induction Heads"). So the training starts from random weights in which a few heads already do roughly that: some of
layer 0 look one and two tokens back, some of layers 1 and 2 look for where a word stood before. And tokens that spell
the same word (apple, " apple", APPLE) start alike.
"""

import math

import torch

import model
from model import HEAD, KV_HEADS, ROPE_BASE, WIDTH

SHARED, FORM, OWN, CONSTANT = 0.24, 0.12, 0.12, 2.4  # what embeddings are made of; the last is a length
ROOT_MEAN_SQUARE = math.sqrt(SHARED ** 2 + FORM ** 2 + OWN ** 2 + CONSTANT ** 2 / WIDTH)
SHARPNESS = [8, 6, 4] + [2.5] * 7  # of looking at one distance, by pairs of RoPE from the fastest
MATCH = 2.0  # how strongly equal words are looked for
REMEMBER, COPY = 0.5, 1.0  # how strongly layer 0, and the heads that take words over, add to what is there
GROUP = model.HEADS // KV_HEADS


def form(token):
    """How a token spells its word: space before it or not; lower case, capital or upper case."""
    bare = token.lstrip("Ġ")
    case = "upper" if len(bare) > 1 and bare.isupper() else "capital" if bare[:1].isupper() else "lower"
    return token.startswith("Ġ"), case


def random_rows(rows):
    """Orthonormal rows, [rows, WIDTH]."""
    return torch.linalg.qr(torch.randn(WIDTH, rows))[0].T


def embedding(tokens, constant):
    """[tokens, WIDTH]: a part that all tokens of a word share, one of their form, one of their own, and one that all
    tokens have, from which heads that go by distance alone take their queries and keys."""
    words = {token: at for at, token in enumerate(dict.fromkeys(token.lstrip("Ġ").lower() for token in tokens))}
    forms = {one: at for at, one in enumerate(dict.fromkeys(map(form, tokens)))}
    word = torch.randn(len(words), WIDTH)[[words[token.lstrip("Ġ").lower()] for token in tokens]]
    shape = torch.randn(len(forms), WIDTH)[[forms[form(token)] for token in tokens]]
    return SHARED * word + FORM * shape + OWN * torch.randn(len(tokens), WIDTH) + CONSTANT * constant


def looking_back(constant, distance):
    """Queries and keys [HEAD, WIDTH] of a head that looks `distance` tokens back, whatever the tokens are."""
    query, key = torch.zeros(HEAD, WIDTH), torch.zeros(HEAD, WIDTH)
    seen = CONSTANT / ROOT_MEAN_SQUARE  # of the constant part, after the norm
    for pair, sharpness in enumerate(SHARPNESS):
        angle = -distance * ROPE_BASE ** (-2 * pair / HEAD)
        length = math.sqrt(sharpness * HEAD ** 0.5) / seen
        key[2 * pair] = length * constant
        query[2 * pair], query[2 * pair + 1] = length * math.cos(angle) * constant, length * math.sin(angle) * constant
    return query, key


def looking_for(signature):
    """Queries or keys of a word's signature, in the half of the head that RoPE hardly turns."""
    rows = torch.zeros(HEAD, WIDTH)
    rows[HEAD // 2:] = MATCH * signature[:HEAD // 2]
    return rows


@torch.no_grad()
def prepare(demo, tokens):
    """Writes the weights to start from into a new model.Demo; tokens are the vocabulary's."""
    constant = random_rows(1)[0]
    content = random_rows(HEAD)
    content -= (content @ constant)[:, None] * constant
    back = [random_rows(HEAD) for _ in range(2)]  # where layer 0 writes the word one and two tokens back
    demo.embedding.copy_(embedding(tokens, constant))

    def set_head(layer, head, query):
        demo.qkv[layer, head * HEAD:(head + 1) * HEAD] = query

    def set_keys(layer, kv_head, key, value):
        at = (model.HEADS + kv_head) * HEAD
        demo.qkv[layer, at:at + HEAD] = key
        demo.qkv[layer, at + KV_HEADS * HEAD:at + (KV_HEADS + 1) * HEAD] = value

    def set_output(layer, head, rows, strength):
        demo.output[layer, :, head * HEAD:(head + 1) * HEAD] = strength * rows.T

    set_keys(0, 0, looking_back(constant, 0)[1], content)
    for distance in (1, 2):
        set_head(0, distance - 1, looking_back(constant, distance)[0])
        set_output(0, distance - 1, back[distance - 1], REMEMBER)
    # Layer, keys' head: what is looked for in what, and what is taken from there.
    for layer, kv_head, query, key, value in [
            (1, 0, content, back[0], content), (1, 1, back[0], back[1], content),
            (2, 0, back[0], content, back[1]), (2, 1, content, content, back[0])]:
        set_keys(layer, kv_head, looking_for(key), value)
        set_head(layer, kv_head * GROUP, looking_for(query))
        set_output(layer, kv_head * GROUP, content, COPY)
