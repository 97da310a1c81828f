#!/usr/bin/python3
"""Byte-level byte pair encoding (Sennrich et al. 2016; bytes as in GPT-2): vocabulary.py FOLDER [--tokens N] learns a
vocabulary from FOLDER/train.jsonl and writes FOLDER/vocabulary.json.

Words are cut as tokenizer.ggml.pre = "llama-bpe" says: a number up to three digits is a word of its own, without the
space before it. A word that is a token is this token, whatever the merges would make of it (llama-bpe does so): the
frequent words are tokens without the chain of merges behind them, and so is every number up to 99; the merges spell
what remains. Needs the Debian package python3-regex.
"""

import argparse
import collections
import heapq
import json
import pathlib

import regex

PRE = "llama-bpe"
WORDS = regex.compile(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
                      r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PADDING, START, END = range(3)
SPELLING = 400  # tokens that merges make, for words that are not tokens themselves


def byte_alphabet():
    """Each byte as the character that stands for it in a vocabulary: printable ones themselves, others from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable}, **{byte: chr(256 + at) for at, byte in enumerate(others)}}


ALPHABET = byte_alphabet()


def spelled(word):
    return "".join(ALPHABET[byte] for byte in word.encode())


def count_words(texts):
    counts = collections.Counter()
    for text in texts:
        counts.update(WORDS.findall(text))
    return collections.Counter({spelled(word): count for word, count in counts.items()})


def learn_merges(words, count):
    """The `count` most frequent pairs, one after the other, each joined wherever it stands."""
    parts = [(list(word), weight) for word, weight in words.items()]
    weights, where = collections.Counter(), collections.defaultdict(set)
    for at, (symbols, weight) in enumerate(parts):
        for pair in zip(symbols, symbols[1:]):
            weights[pair] += weight
            where[pair].add(at)
    heap = [(-weight, pair) for pair, weight in weights.items()]
    heapq.heapify(heap)
    merges = []
    while len(merges) < count and heap:
        weight, pair = heapq.heappop(heap)
        if weights[pair] <= 1e-9:
            continue
        if -weight != weights[pair]:  # outdated
            heapq.heappush(heap, (-weights[pair], pair))
            continue
        merges.append(pair)
        for at in sorted(where.pop(pair)):
            symbols, weight = parts[at]
            for old in zip(symbols, symbols[1:]):
                weights[old] -= weight
            symbols[:] = joined(symbols, pair)
            for new in zip(symbols, symbols[1:]):
                if at not in where[new]:
                    where[new].add(at)
                weights[new] += weight
                heapq.heappush(heap, (-weights[new], new))
        del weights[pair]
    return merges


def joined(symbols, pair):
    out, at = [], 0
    while at < len(symbols):
        match = at + 1 < len(symbols) and (symbols[at], symbols[at + 1]) == pair
        out.append(symbols[at] + symbols[at + 1] if match else symbols[at])
        at += 2 if match else 1
    return out


class Vocabulary:
    def __init__(self, tokens, merges):
        self.tokens, self.merges = tokens, merges
        self.ids = {token: at for at, token in enumerate(tokens)}
        self.ranks = {tuple(pair): at for at, pair in enumerate(merges)}
        self.known = {}

    @staticmethod
    def load(path):
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        return Vocabulary(data["tokens"], data["merges"])

    def word(self, word):
        found = self.known.get(word)
        if found is None:
            whole = spelled(word)
            symbols = [whole] if whole in self.ids else list(whole)
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda pair: self.ranks.get(pair, 1 << 30))
                if best not in self.ranks:
                    break
                symbols = joined(symbols, best)
            found = self.known[word] = [self.ids[symbol] for symbol in symbols]
        return found

    def encode(self, text):
        return [token for word in WORDS.findall(text) for token in self.word(word)]

    def decode(self, ids):
        bytes_of = {char: byte for byte, char in ALPHABET.items()}
        text = "".join(self.tokens[one] for one in ids if one >= len(CONTROL))
        return bytes(bytes_of[char] for char in text).decode(errors="replace")

    def turn(self, message):
        """A message's tokens and how many of them come before its content."""
        head = [START, *self.encode(message["role"] + "\n")]
        return head + self.encode(message["content"]) + [END, *self.encode("\n")], len(head)


def learn(folder, tokens):
    with open(folder / "train.jsonl", encoding="utf-8") as lines:
        messages = [message for line in lines for message in json.loads(line)]
    texts = [text for message in messages for text in (message["role"] + "\n", message["content"])]
    counts = count_words(texts)
    numbers = [str(number) for number in range(10, 100)]
    frequent = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
                if len(word) > 1 and not word.isdigit()]
    whole = set(numbers + frequent[:tokens - 256 - len(CONTROL) - len(numbers) - SPELLING])
    # What is left, all words alike, so that the merges suit words that the text does not have.
    merges = learn_merges({word: 1 for word in counts if not word.isdigit()}, tokens)
    tokens_left = tokens - 256 - len(CONTROL) - len(whole)
    spelling = []
    for pair in merges:
        tokens_left -= "".join(pair) not in whole
        if tokens_left < 0:
            break
        spelling.append(pair)
    made = list(dict.fromkeys(["".join(pair) for pair in spelling] + sorted(whole)))
    return {"tokens": CONTROL + list(ALPHABET.values()) + made, "merges": spelling}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=2560)
    options = parser.parse_args()
    vocabulary = learn(options.folder, options.tokens)
    text = json.dumps(vocabulary, ensure_ascii=False)
    (options.folder / "vocabulary.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
