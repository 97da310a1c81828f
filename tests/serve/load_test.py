#!/usr/bin/env python3
"""Many clients at once on the demonstration model: no error, each answer the one that is given alone, memory flat.

load_test.py HEARTH [--clients N] [--seconds N] [--gpu]

--gpu: on the GPUs that there are (tests/CMakeLists.txt runs it on a simulated one).
"""
import argparse
import http.client
import json
import os
import sys
import threading
import time

from program import Program

QUESTIONS = ["What is the capital of France?", "What is the capital of Italy?", "What is the capital of Spain?",
             "Tell me a story about a fox named Milo.", "Hello", "What is 2 plus 3?", "What is the capital of Norway?"]


class Client(threading.Thread):
    """Asks one question after another on one connection, streaming."""

    def __init__(self, server, number, expected, end):
        super().__init__(daemon=True)
        self.server, self.number, self.expected, self.end = server, number, expected, end
        self.answers, self.tokens, self.faults = 0, 0, []

    def run(self):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=300)
        turn = self.number
        while not self.answers or time.monotonic() < self.end:
            question = QUESTIONS[turn % len(QUESTIONS)]
            turn += 1
            try:
                text = self.ask(connection, question)
            except Exception as fault:
                self.faults.append(f"{question}: {fault!r}")
                return
            if text != self.expected[question]:
                self.faults.append(f"{question}: {text!r} instead of {self.expected[question]!r}")
                return
            self.answers += 1
        connection.close()

    def ask(self, connection, question):
        connection.request("POST", "/api/chat", json.dumps({
            "model": "demo", "messages": [{"role": "user", "content": question}], "options": {"temperature": 0}}))
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status} {response.read()!r}")
        text, last = "", {}
        for line in response:
            last = json.loads(line)
            if "error" in last:
                raise RuntimeError(last["error"])
            text += last["message"]["content"]
        if not last.get("done"):
            raise RuntimeError("the stream broke off")
        self.tokens += last["eval_count"]
        return text


def alone(server, question):
    answer = server.json("POST", "/api/chat", {"model": "demo", "messages": [{"role": "user", "content": question}],
                                               "stream": False, "options": {"temperature": 0}})
    return answer["message"]["content"]


def run(server, count, seconds):
    expected = {question: alone(server, question) for question in QUESTIONS}
    start = time.monotonic()
    clients = [Client(server, n, expected, start + seconds) for n in range(count)]
    for client in clients:
        client.start()
    # When all have had an answer, everything that grows with the number of clients has grown.
    while any(c.is_alive() and not c.answers for c in clients):
        time.sleep(0.05)
    before = server.memory_bytes()
    for client in clients:
        client.join()
    took = time.monotonic() - start
    grown = server.memory_bytes() - before
    faults = [fault for client in clients for fault in client.faults]
    answers, tokens = sum(c.answers for c in clients), sum(c.tokens for c in clients)
    print(f"{count} clients, {took:.1f} s: {answers} answers, {tokens / took:.0f} tokens/s, "
          f"memory {before >> 20} MiB, {grown / 2**20:+.1f} MiB during the load")
    assert not faults, f"{len(faults)} faults: {faults[:5]}"
    assert grown < 32 << 20, f"memory has grown by {grown >> 20} MiB"
    return answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hearth")
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--gpu", action="store_true")
    options = parser.parse_args()
    server = Program(options.hearth, "--parallel", "32", gpu="require" if options.gpu else "off")
    try:
        files = server.open_files()
        run(server, options.clients, options.seconds)
        deadline = time.monotonic() + 30
        while server.open_files() > files + 8 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.open_files() <= files + 8, f"{server.open_files()} open files, {files} before"
        assert server.end(15) == 0
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
