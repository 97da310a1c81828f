"""Small models in the forms in which they come from elsewhere."""
import json
import struct


def safetensors(tensors):
    """Of F32 numbers, all the same: name, shape, number."""
    header, data = {}, b""
    for name, shape, number in tensors:
        count = 1
        for n in shape:
            count *= n
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack("<f", number) * count
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tiny_checkpoint():
    """The files of a folder of Hugging Face, by name."""
    layer = "model.layers.0."
    weights = safetensors(
        [("model.embed_tokens.weight", [4, 32], 1), ("model.norm.weight", [32], 1),
         (layer + "input_layernorm.weight", [32], 1), (layer + "post_attention_layernorm.weight", [32], 1)] +
        [(layer + part + ".weight", [32, 32], 0.5) for part in
         ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
          "mlp.up_proj", "mlp.down_proj")])
    config = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1, "hidden_size": 32,
              "intermediate_size": 32, "num_attention_heads": 1, "vocab_size": 4, "tie_word_embeddings": True}
    tokenizer = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
                 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}}
    return {"model.safetensors": weights, "config.json": json.dumps(config).encode(),
            "tokenizer.json": json.dumps(tokenizer).encode()}


def split_gguf(count):
    """The files of a split set, each with one tensor of its own."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    def part(number):
        pairs = [text("split.no") + struct.pack("<IH", 2, number), text("split.count") + struct.pack("<IH", 2, count),
                 text("split.tensors.count") + struct.pack("<Ii", 5, count)]
        if number == 0:
            pairs.append(text("general.architecture") + struct.pack("<I", 8) + text("llama"))
        tensor = text(f"blk.{number}.attn_norm.weight") + struct.pack("<IQIQ", 1, 32, 0, 0)
        head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs)) + b"".join(pairs) + tensor
        return head + bytes(-len(head) % 32) + struct.pack("<f", number + 0.5) * 32
    return [part(number) for number in range(count)]
