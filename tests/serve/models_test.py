#!/usr/bin/env python3
"""When a server loads models, with what context, how long it keeps them, and which one goes for another.

models_test.py HEARTH
"""
import concurrent.futures
import datetime
import http.client
import json
import re
import sys
import tempfile
import threading
import time
import unittest

from program import Program
from store import Store, demo_bytes

HEARTH = sys.argv.pop()
# They do not end by themselves.
LONG = {"prompt": "Tell me a story", "max_tokens": 300, "ignore_eos": True, "temperature": 0}


class Models(unittest.TestCase):
    def start(self, *arguments, **more):
        program = Program(HEARTH, *arguments, **more)
        self.addCleanup(program.close)
        return program

    def store(self, names, context=None, **more):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        store = Store(folder.name)
        for name in names:
            store.add(name, demo_bytes(context), **more)
        return store.environment

    def ask(self, server, model="demo", keep_alive=None, **options):
        body = {"model": model, "prompt": "What is the capital of France?", "stream": False,
                "options": {"temperature": 0, "num_predict": 8} | options}
        if keep_alive is not None:
            body["keep_alive"] = keep_alive
        return server.request("POST", "/api/generate", body)

    def running(self, server):
        return {m["name"].removesuffix(":latest"): m for m in server.json("GET", "/api/ps")["models"]}

    def wait_for_running(self, server, names):
        deadline = time.monotonic() + 60
        while set(self.running(server)) != set(names) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(set(self.running(server)), set(names))

    def loads(self, server):
        return sum(1 for line in server.log if line and "is loaded in" in line)

    def left_seconds(self, server, model="demo"):
        expires = datetime.datetime.fromisoformat(self.running(server)[model]["expires_at"])
        return (expires - datetime.datetime.now(datetime.timezone.utc)).total_seconds()

    # The context.

    def test_neither_a_smaller_context_nor_a_larger_one_loads_again(self):
        server = self.start()
        for num_ctx in (256, 128, 512, 256, 512, 64, 512):
            self.assertEqual(self.ask(server, num_ctx=num_ctx)[0], 200)
        self.assertEqual(self.running(server)["demo"]["context_length"], 512)
        # What the model was trained for is the most that there is: more is not another context.
        for num_ctx in (1 << 20, 1024, 1 << 30):
            self.assertEqual(self.ask(server, num_ctx=num_ctx)[0], 200)
        self.assertEqual(self.running(server)["demo"]["context_length"], 1024)
        self.assertEqual(self.loads(server), 1)

    def test_users_with_different_contexts_do_not_make_it_load_back_and_forth(self):
        server = self.start()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            sizes = [256, 512, 128, 1024, 64, None] * 8
            asks = [pool.submit(self.ask, server, **({"num_ctx": n} if n else {})) for n in sizes]
            self.assertEqual({ask.result()[0] for ask in asks}, {200})
        self.assertEqual(self.running(server)["demo"]["context_length"], 1024)
        self.assertEqual(self.loads(server), 1)

    def test_a_request_without_num_ctx_has_the_default_and_not_what_another_wished(self):
        server = self.start(environment={"OLLAMA_CONTEXT_LENGTH": "512"})
        self.assertEqual(self.ask(server, num_ctx=64)[0], 200)
        self.assertEqual(self.running(server)["demo"]["context_length"], 64)
        self.assertEqual(self.ask(server)[0], 200)
        self.assertEqual(self.running(server)["demo"]["context_length"], 512)

    def test_a_default_above_what_the_model_was_trained_for_is_cut(self):
        server = self.start(environment={"OLLAMA_CONTEXT_LENGTH": "32768"})
        self.assertEqual(self.ask(server)[0], 200)
        self.assertEqual(self.running(server)["demo"]["context_length"], 1024)

    def test_num_ctx_of_a_model_counts_before_the_usual_default(self):
        server = self.start(environment=self.store(["a"], parameters={"num_ctx": 96}))
        self.assertEqual(self.ask(server, "a")[0], 200)
        self.assertEqual(self.running(server)["a"]["context_length"], 96)

    def test_a_larger_context_does_not_wait_for_those_who_use_the_smaller_one(self):
        server = self.start()
        self.ask(server, num_ctx=512)
        alone = server.json("POST", "/v1/completions", LONG | {"model": "demo"})["choices"][0]["text"]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            long = pool.submit(server.json, "POST", "/v1/completions", LONG | {"model": "demo"})
            self.wait_for_use(server)
            self.assertEqual(self.ask(server, num_ctx=1024)[0], 200)
            self.assertEqual(self.running(server)["demo"]["context_length"], 1024)
            self.assertEqual(long.result()["choices"][0]["text"], alone)
        self.assertEqual(self.loads(server), 1)

    def context_of_half_the_memory(self, server, model):
        """Tokens whose cache takes some 60 % of what there is."""
        status, _, body = self.ask(server, model, num_ctx=1 << 26)
        self.assertGreaterEqual(status, 500, body)
        cache, left = re.search(r"cache of \d+ tokens ([\d.]+ \w+).* has ([\d.]+ \w+) available", body.decode()).groups()
        unit = {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
        bytes_of = lambda text: float(text.split()[0]) * unit[text.split()[1]]
        return int((1 << 26) * 0.6 * bytes_of(left) / bytes_of(cache))

    def test_a_context_that_memory_has_no_room_for_leaves_the_model_as_it_was(self):
        server = self.start(environment=self.store(["a"], context=1 << 26) | {"OLLAMA_CONTEXT_LENGTH": "512"})
        self.assertEqual(self.ask(server, "a", keep_alive="1h")[0], 200)
        for _ in range(3):
            status, _, body = self.ask(server, "a", num_ctx=1 << 26)
            self.assertGreaterEqual(status, 500)
            self.assertRegex(json.loads(body)["error"], r"^a context of \d+ tokens is too large here: .* needs .* has ")
            self.assertEqual(self.ask(server, "a")[0], 200)
        self.assertEqual(self.running(server)["a"]["context_length"], 512)
        self.assertGreater(self.left_seconds(server, "a"), 3000)
        self.assertEqual(self.loads(server), 2, "tried once")
        self.assertEqual(self.ask(server, "a", num_ctx=1024)[0], 200, "what there is room for is another matter")

    # How long it stays.

    def test_keep_alive_in_all_forms(self):
        server = self.start()
        for keep_alive, least, most in [(90, 60, 91), (90.5, 60, 92), ("90s", 60, 91), ("1h30m", 5000, 5401),
                                        ("1.5h", 5000, 5401), (1800, 1700, 1801)]:
            self.assertEqual(self.ask(server, keep_alive=keep_alive)[0], 200, keep_alive)
            self.assertTrue(least < self.left_seconds(server) <= most, (keep_alive, self.left_seconds(server)))
        self.assertEqual(self.ask(server)[0], 200)
        self.assertGreater(self.left_seconds(server), 1700, "as it was")
        for for_ever in (-1, "-1m", -0.5, "-1s"):
            self.ask(server, keep_alive="90s")
            self.assertEqual(self.ask(server, keep_alive=for_ever)[0], 200, for_ever)
            self.assertGreater(self.left_seconds(server), 100 * 365 * 86400, for_ever)
        for wrong in ("5", "-1", "soon", "1d", [], {}, True):
            status, _, body = self.ask(server, keep_alive=wrong)
            self.assertEqual(status, 400, wrong)
            self.assertIn("keep_alive", json.loads(body)["error"])
        for at_once in (0, "0", "0s", 0.0):
            self.assertEqual(self.ask(server, keep_alive=at_once)[0], 200, at_once)
            self.wait_for_running(server, [])
        self.assertEqual(self.ask(server, keep_alive="5m")[0], 200)
        self.assertTrue(200 < self.left_seconds(server) <= 301)

    def test_idle_models_go_after_their_time_and_a_request_begins_it_anew(self):
        server = self.start(environment={"OLLAMA_KEEP_ALIVE": "2s"})
        self.ask(server)
        for _ in range(5):
            time.sleep(0.6)
            self.ask(server)
        self.assertEqual(self.loads(server), 1)
        self.wait_for_running(server, [])
        self.ask(server, keep_alive="1h")
        time.sleep(2.5)
        self.assertEqual(set(self.running(server)), {"demo"})

    def test_the_default_may_be_for_ever_or_not_at_all(self):
        server = self.start(environment={"OLLAMA_KEEP_ALIVE": "-1"})
        self.ask(server)
        self.assertGreater(self.left_seconds(server), 100 * 365 * 86400)
        server = self.start(environment={"OLLAMA_KEEP_ALIVE": "0"})
        self.ask(server)
        self.wait_for_running(server, [])

    def test_load_only_and_unload_only(self):
        server = self.start()
        for path, nothing, empty in [("/api/generate", {"prompt": ""}, {"response": ""}),
                                     ("/api/generate", {}, {"response": ""}),
                                     ("/api/chat", {"messages": []}, {"message": {"role": "assistant", "content": ""}}),
                                     ("/api/chat", {}, {"message": {"role": "assistant", "content": ""}})]:
            for keep_alive, reason, left in [("10m", "load", ["demo"]), (0, "unload", []), ("0s", "unload", [])]:
                status, headers, body = server.request(
                    "POST", path, {"model": "demo", "keep_alive": keep_alive, "stream": True} | nothing)
                reply = json.loads(body)
                self.assertEqual(status, 200)
                self.assertTrue(headers["Content-Type"].startswith("application/json"))
                self.assertEqual((reply["done"], reply["done_reason"]), (True, reason))
                self.assertEqual({k: reply[k] for k in empty}, empty)
                self.assertNotIn("total_duration", reply)
                self.wait_for_running(server, left)
        self.assertEqual(server.request("POST", "/api/generate", {"model": "nobody", "keep_alive": 0})[0], 404)

    def test_unloading_lets_those_who_use_the_model_end(self):
        server = self.start()
        self.ask(server)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            long = pool.submit(server.json, "POST", "/v1/completions", LONG | {"model": "demo"})
            self.wait_for_use(server)
            server.json("POST", "/api/generate", {"model": "demo", "keep_alive": 0})
            self.assertEqual(long.result()["usage"]["completion_tokens"], 300)
        self.wait_for_running(server, [])

    def wait_for_use(self, server, model="demo"):
        deadline = time.monotonic() + 60
        while f'hearth_model_running{{model="{model}:latest"}} 1' not in server.request("GET", "/metrics")[2].decode():
            self.assertLess(time.monotonic(), deadline)

    # Which one goes.

    def test_of_too_many_models_the_one_that_was_used_longest_ago_goes(self):
        environment = self.store(["a", "b", "c"]) | {"OLLAMA_MAX_LOADED_MODELS": "2"}
        server = self.start(environment=environment)
        for model in ("a", "b", "a", "c"):
            self.assertEqual(self.ask(server, model)[0], 200)
        self.assertEqual(set(self.running(server)), {"a", "c"})
        self.assertEqual(self.ask(server, "b")[0], 200)
        self.assertEqual(set(self.running(server)), {"b", "c"})

    def test_where_memory_is_short_the_one_that_was_used_longest_ago_goes(self):
        environment = self.store(["a", "b", "c"], context=1 << 26) | {"OLLAMA_CONTEXT_LENGTH": "64"}
        server = self.start(environment=environment)
        half = self.context_of_half_the_memory(server, "a")
        self.assertEqual(self.ask(server, "a", num_ctx=half)[0], 200)
        self.assertEqual(self.ask(server, "b")[0], 200)
        self.assertEqual(set(self.running(server)), {"a", "b"})
        self.assertEqual(self.ask(server, "c", num_ctx=half)[0], 200)
        self.assertNotIn("a", self.running(server))
        server.wait_for("a:latest is let go: c:latest needs the room", seconds=10)

    def test_what_is_in_use_is_waited_for_where_memory_is_short(self):
        environment = self.store(["a", "b"], context=1 << 26) | {"OLLAMA_CONTEXT_LENGTH": "64"}
        server = self.start("--set", "times.load=1s", environment=environment)
        half = self.context_of_half_the_memory(server, "a")
        self.assertEqual(self.ask(server, "a", num_ctx=half)[0], 200)
        gone = threading.Event()
        self.addCleanup(gone.set)
        reader = threading.Thread(target=self.read_until, args=(server, gone), daemon=True)
        reader.start()
        self.wait_for_use(server, "a")
        status, _, body = self.ask(server, "b", num_ctx=half)
        self.assertEqual(status, 504, body)
        self.assertIn("b:latest could not be loaded within 1s", json.loads(body)["error"])
        answers = []
        waits = threading.Thread(target=lambda: answers.append(self.ask(server, "b", num_ctx=half)), daemon=True)
        waits.start()
        time.sleep(0.3)
        self.assertEqual((answers, set(self.running(server))), ([], {"a"}))
        gone.set()
        waits.join(60)
        self.assertEqual(answers[0][0], 200)
        self.assertEqual(set(self.running(server)), {"b"})

    def read_until(self, server, gone):
        """Uses model a, with one endless answer after the other."""
        while not gone.is_set():
            connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
            body = {"model": "a", "prompt": "Hi", "max_tokens": 1 << 20, "ignore_eos": True, "stream": True}
            connection.request("POST", "/v1/completions", json.dumps(body))
            response = connection.getresponse()
            while not gone.is_set() and response.readline():
                pass
            connection.close()


if __name__ == "__main__":
    unittest.main()
