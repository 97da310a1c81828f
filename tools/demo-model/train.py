#!/usr/bin/python3
"""train.py FOLDER --minutes M [...]: trains the demonstration model.

Reads FOLDER's train.jsonl, test.jsonl and vocabulary.json, writes FOLDER/model.npz and, every few minutes, what a
sample of the test set gives. The schedule follows the clock: however fast the machine is, the training takes M
minutes. Only answers count in the loss. Matrices are trained with Muon (Jordan et al. 2024), the rest with AdamW
(Loshchilov and Hutter 2017). Needs the Debian packages python3-torch and libopenblas0-pthread.

Processes of one thread each share every batch: on a machine that others use too, threads that meet after
every operation mostly wait for each other (five times slower where this was made), processes that meet twice a step
do not. The weights lie in shared memory; each process updates its share of them.
"""

import argparse
import json
import math
import multiprocessing
import pathlib
import random
import time

import numpy
import torch
import torch.nn.functional as F

import check
from model import Demo, answers
from start import prepare
from vocabulary import END, START, Vocabulary

ROW_TOKENS, BATCH_TOKENS = 256, 2048  # the batch of all processes
LONG_EVERY = 20  # steps between those whose rows are long, so that far positions are trained too
LONG_ROW_TOKENS = 1024
MUON_RATE, EMBEDDING_RATE, NORM_RATE = 6e-3, 4e-3, 2e-3
WARM_UP_MINUTES = 0.4
CLIP = 1.0


class Chats:
    """The training conversations as tokens, packed into rows of one length; over and over."""

    def __init__(self, path, vocabulary):
        self.chats, self.queue = [], []
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                tokens, counts = [], []
                for message in json.loads(line):
                    turn, head = vocabulary.turn(message)
                    answer = message["role"] == "assistant"
                    counts += [False] * head + [answer] * (len(turn) - head - 1) + [False]
                    tokens += turn
                self.chats.append((numpy.array(tokens), numpy.array(counts)))

    def share(self, rank, processes, seed):
        """From now on only this process's part of the conversations, shuffled."""
        self.chats = self.chats[rank::processes]
        self.rng = random.Random(f"{seed} {rank}")

    def next(self):
        if not self.queue:
            self.queue = list(range(len(self.chats)))
            self.rng.shuffle(self.queue)
        return self.chats[self.queue.pop()]

    def one_chat(self, length):
        """Several conversations as one: tokens and what counts, of exactly this length or less."""
        tokens, counts = self.next()
        while len(tokens) < length:
            more = self.next()
            tokens, counts = numpy.concatenate([tokens, more[0]]), numpy.concatenate([counts, more[1]])
        return tokens[:length], counts[:length]

    def batch(self, length, rows, joined):
        """Tokens, targets (-1: does not count), positions and mask. Conversations in a row do not see each other,
        unless they are `joined`: then a row is one long conversation."""
        tokens = numpy.zeros((rows, length + 1), int)
        counts, owner, positions = (numpy.zeros((rows, length + 1), int) for _ in range(3))
        for row in range(rows):
            at, number = 0, 0
            while at < length:
                new, valid = self.one_chat(length + 1) if joined else self.next()
                new, valid = new[:length + 1 - at], valid[:length + 1 - at]
                end = at + len(new)
                tokens[row, at:end], counts[row, at:end] = new, valid
                owner[row, at:end], positions[row, at:end] = number, numpy.arange(len(new))
                at, number = end, number + 1
        targets = numpy.where(counts[:, 1:] & (owner[:, 1:] == owner[:, :-1]), tokens[:, 1:], -1)
        owner = torch.from_numpy(owner[:, :-1])
        seen = (owner[:, :, None] == owner[:, None]) & torch.ones(length, length, dtype=torch.bool).tril()
        mask = torch.where(seen, 0.0, -1e9)
        return torch.from_numpy(tokens[:, :-1]), torch.from_numpy(targets), torch.from_numpy(positions[:, :-1]), mask


def orthogonal(x):
    """The nearest matrices with singular values about 1, by a Newton-Schulz iteration; x is [count, rows, columns]."""
    flipped = x.size(1) > x.size(2)
    x = x.transpose(1, 2) if flipped else x
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for a, b, c in [(3.4445, -4.7750, 2.0315)] * 5:
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(1, 2) if flipped else x


class Muon:
    """Blocks are (parameter, rows): the matrices parameter[:, rows]."""

    def __init__(self, blocks, decay=0.01, momentum=0.95):
        self.blocks, self.decay, self.momentum = blocks, decay, momentum
        self.averages = [torch.zeros_like(parameter[:, rows]) for parameter, rows in blocks]

    @torch.no_grad()
    def step(self, rate):
        for (parameter, rows), average in zip(self.blocks, self.averages):
            gradient = parameter.grad[:, rows]
            average.lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(average, self.momentum))
            scale = max(1, update.size(1) / update.size(2)) ** 0.5
            parameter[:, rows] -= rate * (self.decay * parameter[:, rows] + scale * update)


class Together:
    """The processes' gradients, in shared memory."""

    def __init__(self, parameters, processes):
        self.gradients = [[torch.zeros_like(one).share_memory_() for one in parameters] for _ in range(processes)]
        self.barrier = multiprocessing.Barrier(processes)
        self.over = torch.zeros(1).share_memory_()  # part of the time that is over, as process 0 sees it

    def average(self, rank, parameters):
        for mine, parameter in zip(self.gradients[rank], parameters):
            mine.copy_(parameter.grad)
        self.barrier.wait()
        for index, parameter in enumerate(parameters):
            parameter.grad = sum(theirs[index] for theirs in self.gradients) / len(self.gradients)


class Trainer:
    def __init__(self, options):
        self.folder, self.minutes, self.seed = options.folder, options.minutes, options.seed
        self.processes = options.processes
        torch.manual_seed(options.seed)
        self.vocabulary = Vocabulary.load(self.folder / "vocabulary.json")
        self.chats = Chats(self.folder / "train.jsonl", self.vocabulary)
        with open(self.folder / "test.jsonl", encoding="utf-8") as lines:
            self.tests = [json.loads(line) for line in lines]
        self.model = Demo(len(self.vocabulary.tokens))
        prepare(self.model, self.vocabulary.tokens)
        self.model.share_memory()
        self.parameters = list(self.model.parameters())
        self.together = Together(self.parameters, self.processes)

    def begin(self, rank):
        self.rank = rank
        self.chats.share(rank, self.processes, self.seed)
        blocks = self.model.matrix_blocks()
        self.muon = Muon(blocks[rank::self.processes])
        rest = [{"params": [self.model.embedding], "rate": EMBEDDING_RATE},
                {"params": [self.model.norms, self.model.last_norm], "rate": NORM_RATE}]
        self.adam = torch.optim.AdamW(rest, betas=(0.9, 0.95), weight_decay=0.0) if rank == 0 else None

    def schedule(self, part):
        """Factor of the learning rates when this part of the time is over."""
        warm = min(1.0, part * self.minutes / WARM_UP_MINUTES + 0.01)
        return warm * (1 - part)

    def step(self, number, part):
        joined = number % LONG_EVERY == LONG_EVERY - 1
        length = LONG_ROW_TOKENS if joined else ROW_TOKENS
        tokens, targets, positions, mask = self.chats.batch(length, BATCH_TOKENS // self.processes // length, joined)
        counted = targets >= 0
        hidden = self.model(tokens, positions, mask)
        loss = F.cross_entropy(self.model.logits(hidden[counted]), targets[counted])
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        self.together.average(self.rank, self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        factor = self.schedule(part)
        self.muon.step(MUON_RATE * factor)
        if self.adam:
            for group in self.adam.param_groups:
                group["lr"] = group["rate"] * factor
            self.adam.step()
        return float(loss)

    def evaluate(self, count):
        sample = random.Random(0).sample(self.tests, min(count, len(self.tests)))
        sample.sort(key=lambda test: (test["skill"], len(str(test["messages"]))))
        results = []
        for at in range(0, len(sample), 64):
            part = sample[at:at + 64]
            prompts = [sum((self.vocabulary.turn(one)[0] for one in test["messages"]), []) +
                       [START, *self.vocabulary.encode("assistant\n")] for test in part]
            for test, out in zip(part, answers(self.model, prompts, END)):
                answer = self.vocabulary.decode(out)
                results.append((test["skill"], check.right(answer, test["check"])))
                if not results[-1][1] and random.random() < 0.2:
                    say(f"  wrong: {test['skill']}: {test['messages'][-1]['content']!r} -> {answer!r}")
        say(check.Table(results))

    def save(self):
        weights = {name: value.numpy() for name, value in self.model.state_dict().items()}
        numpy.savez(self.folder / "model.npz", **weights)

    def follow(self, rank):
        """What the processes but the first do: every step, until the time is over."""
        torch.set_num_threads(1)
        self.begin(rank)
        step = 0
        while True:
            self.together.barrier.wait()
            if (part := float(self.together.over)) >= 1:
                return
            self.step(step, part)
            step += 1

    def run(self, every_minutes):
        others = [multiprocessing.Process(target=self.follow, args=(rank,), daemon=True)
                  for rank in range(1, self.processes)]
        for other in others:
            other.start()
        self.begin(0)
        begin, step, next_look, average = time.monotonic(), 0, every_minutes, None
        while (minutes := (time.monotonic() - begin) / 60) < self.minutes:
            self.together.over.fill_(minutes / self.minutes)
            self.together.barrier.wait()
            loss = self.step(step, float(self.together.over))
            average = loss if average is None else 0.95 * average + 0.05 * loss
            step += 1
            if step % 20 == 0:
                say(f"{minutes:6.1f} min  step {step}  loss {average:.4f}  "
                    f"{step * BATCH_TOKENS / (minutes * 60):.0f} tokens/s")
            if minutes > next_look:
                next_look += every_minutes
                self.save()
                self.evaluate(144)
        self.together.over.fill_(1)
        self.together.barrier.wait()
        for other in others:
            other.join()
        self.save()
        say(f"trained for {step} steps, {step * BATCH_TOKENS} tokens, in {minutes:.1f} minutes")
        self.evaluate(360)


def say(line):
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--look", type=float, default=10, help="minutes between evaluations")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trainer = Trainer(options)
    say(f"{sum(p.numel() for p in trainer.model.parameters())} parameters, {len(trainer.chats.chats)} conversations")
    trainer.run(options.look)


if __name__ == "__main__":
    main()
