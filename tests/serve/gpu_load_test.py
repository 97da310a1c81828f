#!/usr/bin/env python3
"""Clients of a server on a simulated GPU whose memory another program takes and gives back while they are answered:
layers come and leave, no request notices, and each answer is the one that is given alone.

gpu_load_test.py HEARTH SIM_FOLDER
"""
import argparse
import os
import re
import sys
import tempfile
import time

import load_test
from program import Program
from store import Store, demo_bytes

LAYERS = 9  # of the demonstration model, with its output
QUESTIONS = ["What is the capital of France?", "What is the capital of Italy?", "What is 2 plus 3?", "Hello"]


def layers_on_gpu(server):
    models = server.json("GET", "/api/ps")["models"]
    found = re.search(r"(\d+)/\d+ layers on GPU", models[0]["placement"]) if models else None
    return int(found[1]) if found else 0


def wait_for(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def grow_the_cache(hearth, environment):
    """On a card with room a larger context is there without a new load, and what was said stays in the cache."""
    server = Program(hearth, gpu="auto", environment=environment)
    try:
        answers = [server.json("POST", "/api/chat", {
            "model": "demo", "stream": False, "messages": [{"role": "user", "content": " ".join(QUESTIONS * 3)}],
            "options": {"temperature": 0, "num_ctx": num_ctx, "num_predict": 8}}) for num_ctx in (256, 2048)]
        assert answers[0]["message"] == answers[1]["message"], answers
        assert answers[1].get("prompt_eval_cached_count", 0) > 0, answers[1]
        model = server.json("GET", "/api/ps")["models"][0]
        assert model["context_length"] == 2048 and model["size"] == model["size_vram"], model
        assert sum("is loaded in" in line for line in server.log if line) == 1, server.log
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hearth")
    parser.add_argument("sim")
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    if not os.path.exists(options.sim + "/libcuda.so.1"):
        print("skipped: the simulated driver is not built")
        return 77
    folder = tempfile.TemporaryDirectory()
    store = Store(folder.name + "/models")
    store.add("demo", demo_bytes(4096))
    # The cache is what takes the memory: some 48 of the card's 96 MiB. One program is there at the start and leaves,
    # another one comes then.
    left, came = folder.name + "/left", folder.name + "/came"
    takes = f"take mib=60 name=/usr/bin/game until-file={left};take mib=60 name=/usr/bin/film file={came}"
    environment = store.environment | {
        "LD_LIBRARY_PATH": options.sim, "HEARTH_SIM_PROFILE": "tiny-laptop", "HEARTH_SIM_FAULTS": takes,
        "HEARTH_SIM_LOG": folder.name + "/sim.log", "OLLAMA_CONTEXT_LENGTH": "3000"}
    grow_the_cache(options.hearth, environment | {"HEARTH_SIM_PROFILE": "rtx-3050-laptop-6gb", "HEARTH_SIM_FAULTS": ""})
    server = Program(options.hearth, "--parallel", "4", gpu="auto", environment=environment)
    load_test.QUESTIONS[:] = QUESTIONS
    try:
        expected = {question: load_test.alone(server, question) for question in QUESTIONS}
        at_first = layers_on_gpu(server)
        assert 0 < at_first < LAYERS, server.json("GET", "/api/ps")
        start = time.monotonic()
        clients = [load_test.Client(server, n, expected, start + 1e9) for n in range(options.clients)]
        for client in clients:
            client.start()
        open(left, "w").close()
        wait_for(lambda: layers_on_gpu(server) > at_first + 2, "the layers have not come to the GPU")
        at_most = layers_on_gpu(server)
        open(came, "w").close()
        wait_for(lambda: layers_on_gpu(server) < at_most - 2, "no layer has left the GPU")
        at_last = layers_on_gpu(server)
        for client in clients:
            client.end = 0
        for client in clients:
            client.join(120)
        faults = [fault for client in clients for fault in client.faults]
        answers = sum(client.answers for client in clients)
        print(f"{options.clients} clients, {time.monotonic() - start:.1f} s: {answers} answers; "
              f"{at_first}, {at_most} and {at_last} of {LAYERS} layers on the GPU")
        assert not faults, faults[:5]
        assert answers >= options.clients and not any(client.is_alive() for client in clients)
        assert server.end(15) == 0
    finally:
        server.close()
        folder.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main())
