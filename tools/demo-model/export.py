#!/usr/bin/python3
"""export.py FOLDER OUT.gguf: writes FOLDER/model.npz and FOLDER/vocabulary.json as a GGUF file of 32-bit floats.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import argparse
import json
import pathlib
import struct

import numpy

from model import CONTEXT, EPSILON, HEAD, HEADS, INNER, KV_HEADS, LAYERS, ROPE_BASE, WIDTH
from vocabulary import CONTROL, END, PADDING, PRE

ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
NORMAL, CONTROL_TOKEN = 1, 3

# As Qwen2.5 and Hermes write tools, with fewer words: what the model was trained on.
CHAT_TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n' }}
    {%- endif %}
    {{- 'You can call these functions:\\n<tools>' }}
    {%- for tool in tools %}
        {{- '\\n' }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '\\n</tools>\\nTo call one, answer with <tool_call>{"name": ..., "arguments": {...}}</tool_call>.<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and message.tool_calls %}
        {{- '<|im_start|>assistant' }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- set call = tool_call.function if tool_call.function else tool_call %}
            {{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role != 'system' or not loop.first %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def strings(texts):
    return struct.pack("<IQ", STRING, len(texts)) + b"".join(map(string, texts))


def metadata(vocabulary):
    def u32(key, value):
        return string(key) + struct.pack("<II", U32, value)

    def text(key, value):
        return string(key) + struct.pack("<I", STRING) + string(value)

    tokens = vocabulary["tokens"]
    types = [CONTROL_TOKEN if token in CONTROL else NORMAL for token in tokens]
    return [
        text("general.architecture", "llama"), text("general.name", "hearth demo"),
        text("general.description", "The demonstration model of hearth: a small conversation, for trying and testing"),
        text("general.size_label", "4M"), u32("general.alignment", ALIGNMENT),
        u32("llama.context_length", CONTEXT), u32("llama.embedding_length", WIDTH), u32("llama.block_count", LAYERS),
        u32("llama.feed_forward_length", INNER), u32("llama.attention.head_count", HEADS),
        u32("llama.attention.head_count_kv", KV_HEADS), u32("llama.rope.dimension_count", HEAD),
        u32("llama.vocab_size", len(tokens)),
        string("llama.rope.freq_base") + struct.pack("<If", F32, ROPE_BASE),
        string("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", F32, EPSILON),
        text("tokenizer.ggml.model", "gpt2"), text("tokenizer.ggml.pre", PRE),
        string("tokenizer.ggml.tokens") + struct.pack("<I", ARRAY) + strings(tokens),
        string("tokenizer.ggml.token_type") + struct.pack("<IIQ", ARRAY, I32, len(types)) +
        struct.pack(f"<{len(types)}i", *types),
        string("tokenizer.ggml.merges") + struct.pack("<I", ARRAY) + strings(list(map(" ".join, vocabulary["merges"]))),
        u32("tokenizer.ggml.eos_token_id", END), u32("tokenizer.ggml.eot_token_id", END),
        u32("tokenizer.ggml.padding_token_id", PADDING),
        string("tokenizer.ggml.add_bos_token") + struct.pack("<I?", BOOL, False),
        text("tokenizer.chat_template", CHAT_TEMPLATE),
    ]


def tensors(weights):
    """Names and arrays as GGUF calls them; no output matrix: it is the embedding."""
    yield "token_embd.weight", weights["embedding"]
    yield "output_norm.weight", weights["last_norm"]
    q, k = HEADS * HEAD, KV_HEADS * HEAD
    for layer in range(LAYERS):
        qkv, gate_up = weights["qkv"][layer], weights["gate_up"][layer]
        parts = {"attn_norm": weights["norms"][layer, 0], "attn_q": qkv[:q], "attn_k": qkv[q:q + k],
                 "attn_v": qkv[q + k:], "attn_output": weights["output"][layer], "ffn_norm": weights["norms"][layer, 1],
                 "ffn_gate": gate_up[:INNER], "ffn_up": gate_up[INNER:], "ffn_down": weights["down"][layer]}
        for name, part in parts.items():
            yield f"blk.{layer}.{name}.weight", part


def padding(size):
    return b"\0" * (-size % ALIGNMENT)


def gguf(weights, vocabulary):
    entries, data = [], b""
    for name, array in tensors(weights):
        dimensions = array.shape[::-1]
        entries.append(string(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, 0, len(data)))
        data += numpy.ascontiguousarray(array, "<f4").tobytes()
        data += padding(len(data))
    values = metadata(vocabulary)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(entries), len(values)) + b"".join(values + entries)
    return head + padding(len(head)) + data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    options = parser.parse_args()
    vocabulary = json.loads((options.folder / "vocabulary.json").read_text(encoding="utf-8"))
    options.out.write_bytes(gguf(numpy.load(options.folder / "model.npz"), vocabulary))


if __name__ == "__main__":
    main()
