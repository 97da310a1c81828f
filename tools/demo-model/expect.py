#!/usr/bin/python3
"""expect.py DEMO.gguf OUT.json: writes what `hearth selftest` expects of the demonstration model.

For each prompt the tokens of prompt and answer, and of every answer position some logits: those of the four likeliest
tokens and every 80th of the rest. All are computed by reference.py. Questions whose answer hangs on a difference that
a correct computation could turn round are left out, and named.
"""

import argparse
import json
import pathlib

import numpy

from reference import Reference
from vocabulary import END, START, Vocabulary

LEAST_MARGIN = 0.8  # logits between the likeliest token and the next
LEAST_CASES = 5
LIKELIEST, STRIDE = 4, 80
LONGEST = 60

QUESTIONS = ["Who are you?", "What is the capital of France?", "What is the opposite of hot?", "What colour is snow?",
             "Thank you.", "Repeat these words: apple, river, stone", "What is 7 + 5?"]
TALK = [("What is the capital of Spain?", "The capital of Spain is Madrid."),
        ("What is the opposite of big?", "The opposite of big is small."), ("What is 9 - 4?", "9 - 4 = 5."),
        ("What colour is snow?", "Snow is white."), ("Reverse these words: moon, river, bread", "bread, river, moon"),
        ("What is the capital of Japan?", "The capital of Japan is Tokyo."), ("What is 12 + 3?", "12 + 3 = 15."),
        ("How are you?", "I am fine, thank you. How can I help you?"), ("What colour is grass?", "Grass is green.")]


def chat(*turns):
    roles = ["user", "assistant"]
    text = "".join(f"<|im_start|>{roles[at % 2]}\n{turn}<|im_end|>\n" for at, turn in enumerate(turns))
    return text + "<|im_start|>assistant\n"


class Recorder:
    def __init__(self, path):
        self.model = Reference(path)
        self.vocabulary = Vocabulary(self.model.metadata["tokenizer.ggml.tokens"],
                                     [merge.split(" ") for merge in self.model.metadata["tokenizer.ggml.merges"]])

    def tokens(self, turns):
        out = []
        for at, turn in enumerate(turns):
            out += self.vocabulary.turn({"role": ["user", "assistant"][at % 2], "content": turn})[0]
        return out + [START, *self.vocabulary.encode("assistant\n")]

    def answer(self, tokens):
        """The greedy continuation, with the token that ends it."""
        out = []
        while not out or (out[-1] != END and len(out) < LONGEST):
            out.append(int(self.model.logits(tokens + out)[-1].argmax()))
        return out

    def case(self, turns):
        tokens = self.tokens(turns)
        answer = self.answer(tokens)
        rows = self.model.logits(tokens + answer)[len(tokens) - 1:-1]
        best = numpy.sort(rows, -1)
        margin = (best[:, -1] - best[:, -2]).min()
        if answer[-1] != END or margin < LEAST_MARGIN:
            print(f"left out: {turns[-1]!r} -> {self.vocabulary.decode(answer)!r}, least margin {margin:.2f}")
            return None
        return {"prompt": chat(*turns), "prompt_tokens": tokens, "answer_tokens": answer,
                "answer": self.vocabulary.decode(answer), "logits": [self.sample(row) for row in rows]}

    @staticmethod
    def sample(row):
        likeliest = numpy.argsort(row)[-LIKELIEST:][::-1]
        ids = [int(token) for token in [*likeliest, *range(0, len(row), STRIDE)]]
        return {"tokens": ids, "values": [round(float(row[token]), 4) for token in ids]}


def checksum(data):
    """FNV-1a of 64 bits: https://datatracker.ietf.org/doc/draft-eastlake-fnv/"""
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    options = parser.parse_args()
    recorder = Recorder(options.model)
    talk = [text for pair in TALK * 3 for text in pair]  # several hundred tokens
    chats = [*([question] for question in QUESTIONS), *([*talk, question] for question in QUESTIONS[1:4])]
    cases = [case for case in map(recorder.case, chats) if case]
    if len(cases) < LEAST_CASES or not any(len(case["prompt_tokens"]) > 300 for case in cases):
        raise SystemExit("too few questions are left")
    data = options.model.read_bytes()
    lines = ",\n".join(json.dumps(case) for case in cases)
    options.out.write_text(f'{{"bytes": {len(data)}, "fnv1a": "{checksum(data)}", "cases": [\n{lines}\n]}}\n',
                           encoding="utf-8")


if __name__ == "__main__":
    main()
