#!/usr/bin/env python3
"""What clients and machines do to a server that it must survive.

fault_test.py HEARTH
"""
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from program import Program
from store import Store, demo_bytes

HEARTH = sys.argv.pop()
ASK = {"model": "demo", "prompt": "What is the capital of France?", "options": {"temperature": 0}}
LONG = {"model": "demo", "prompt": "Tell me a story", "options": {"num_predict": 100000, "temperature": 1}}


def http_text(path, body, *more):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(data)}", *more, "", ""]
    return "\r\n".join(lines).encode() + data


class Faults(unittest.TestCase):
    def start(self, *arguments, **more):
        program = Program(HEARTH, *arguments, **more)
        self.addCleanup(program.close)
        return program

    def connect(self, server, receive_bytes=0):
        connection = socket.socket()
        self.addCleanup(connection.close)
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(120)
        connection.connect((server.host, server.port))
        return connection

    def read_all(self, connection):
        data = b""
        while piece := connection.recv(65536):
            data += piece
        return data

    def running(self, server):
        page = server.request("GET", "/metrics")[2].decode()
        lines = [l for l in page.splitlines() if l.startswith("hearth_model_running{")]
        return sum(int(l.rsplit(" ", 1)[1]) for l in lines)

    def wait_until_idle(self, server, seconds=60):
        deadline = time.monotonic() + seconds
        while self.running(server) > 0:
            self.assertLess(time.monotonic(), deadline, "a request runs on for nobody")
            time.sleep(0.02)

    def still_answers(self, server):
        self.assertIn("Paris", server.generate(ASK["prompt"])["response"])

    def test_a_client_that_goes_or_closes_its_side_cancels(self):
        server = self.start()
        for leave in (lambda c: c.close(), lambda c: c.shutdown(socket.SHUT_WR), lambda c: c.shutdown(socket.SHUT_RDWR)):
            connection = self.connect(server)
            connection.sendall(http_text("/api/generate", LONG))
            self.assertIn(b"200", connection.recv(4096))
            leave(connection)
            self.wait_until_idle(server)
        self.still_answers(server)

    def test_pipelined_requests_cancel_nothing(self):
        server = self.start()
        connection = self.connect(server)
        whole = dict(ASK, stream=False)
        connection.sendall(http_text("/api/generate", whole) * 2 + http_text("/api/generate", whole, "Connection: close"))
        answers = self.read_all(connection)
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), 3)
        self.assertEqual(answers.count(b"Paris"), 3)

    def test_a_client_that_stops_reading_holds_up_nobody_and_is_let_go(self):
        server = self.start("--set", "times.write_progress=1s")
        body = dict(LONG, logprobs=True, top_logprobs=20)  # many bytes for each token
        connection = self.connect(server, receive_bytes=4096)
        connection.sendall(http_text("/api/generate", body))
        connection.recv(100)
        self.still_answers(server)
        self.wait_until_idle(server)
        self.still_answers(server)

    def test_slow_requests_are_ended(self):
        server = self.start("--set", "times.header=1s", "--set", "times.body_progress=1s")
        header = self.connect(server)
        header.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nX: ")
        body = self.connect(server)
        body.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
        self.assertIn(b"408", self.read_all(header))
        self.assertIn(b"408", self.read_all(body))
        self.still_answers(server)

    def test_huge_bodies_are_refused_without_being_read(self):
        server = self.start()
        before = server.memory_bytes()
        connection = self.connect(server)
        connection.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        self.assertIn(b"413", connection.recv(4096))
        chunked = self.connect(server)
        chunked.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(1000):
                chunked.sendall(piece)
        except OSError:
            pass  # it has closed; else it has thrown away what came
        self.assertLess(server.memory_bytes() - before, 64 << 20)
        self.still_answers(server)

    def test_a_large_body_waits_on_disk(self):
        server = self.start()
        server.generate("Hi")
        padded = json.dumps(dict(ASK, stream=False, padding="x" * (20 << 20)))
        status, _, answer = server.request("POST", "/api/generate", padded)
        self.assertEqual(status, 200, answer[:200])
        self.assertIn(b"Paris", answer)

    def test_what_is_no_request_is_refused(self):
        server = self.start()
        bodies = [b"[" * 100000, b"{" + b'"a":{' * 100000, b'{"model":"demo","prompt":"\xff\xfe"}', b"nonsense", b"",
                  b'{"model":"demo","messages":[{"role":"user","content":"\xc3("}]}', b'{"model":' + b"9" * 100000 + b"}"]
        for path in ("/api/generate", "/api/chat"):
            for body in bodies:
                status, _, answer = server.request("POST", path, body)
                self.assertEqual(status, 400, (path, body[:60], answer[:200]))
                self.assertIn("error", json.loads(answer))
        for text in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100,
                     b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"):
            connection = self.connect(server)
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            answer = self.read_all(connection)
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 4"), (text, answer[:100]))
        self.still_answers(server)

    def test_a_model_file_that_is_replaced_or_deleted_while_it_is_loaded(self):
        folder = self.start().folder
        path = os.path.join(folder, "bin")
        os.mkdir(path)
        for name in ("hearth", "demo.gguf"):
            shutil.copy(os.path.join(os.path.dirname(HEARTH), name), path)
        server = Program(path + "/hearth")
        self.addCleanup(server.close)
        self.still_answers(server)
        model = path + "/demo.gguf"
        os.rename(model, model + ".old")
        self.assertEqual(server.request("POST", "/api/generate", ASK)[0], 404)
        shutil.copy(model + ".old", model)
        self.still_answers(server)
        with open(model, "r+b") as file:  # cut while it is in use: an error, or the answer, never a crash
            file.truncate(1000)
        self.assertNotEqual(server.request("POST", "/api/generate", dict(ASK, stream=False))[0], 0)
        os.rename(model + ".old", model)
        self.still_answers(server)

    def test_it_gets_over_a_lack_of_file_descriptors(self):
        server = self.start()
        server.generate("Hi")
        used = server.open_files()
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 5, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        connections = [self.connect(server) for _ in range(20)]
        server.wait_for("Too many open files")
        for connection in connections:
            connection.close()
        self.still_answers(server)

    def test_killed_under_load_it_starts_again_with_its_state(self):
        server = self.start()
        state = server.environment["HEARTH_STATE"]
        key = server.command("key", "add", "anna").stdout.strip()
        threads = [threading.Thread(target=self.ask_and_ignore, args=(server,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while self.running(server) == 0 and time.monotonic() < deadline:
            pass
        server.end(signal.SIGKILL)
        for thread in threads:
            thread.join(60)
        again = self.start(host=f"127.0.0.1:{server.port}", state=state)
        headers = {"X-Forwarded-For": "203.0.113.5", "x-api-key": key}
        self.assertEqual(again.request("GET", "/api/tags", None, headers)[0], 200)
        self.still_answers(again)

    def ask_and_ignore(self, server):
        try:
            server.request("POST", "/api/generate", LONG)
        except Exception:
            pass

    def test_too_many_requests_are_told_to_come_again(self):
        server = self.start("--parallel", "1", "--set", "queue=1")
        server.generate("Hi")
        # One runs, one waits, and others come at once where one of them has ended.
        over = threading.Event()
        self.addCleanup(over.set)
        fillers = [threading.Thread(target=self.ask_until, args=(server, over)) for _ in range(4)]
        for filler in fillers:
            filler.start()
        chat = {"model": "demo", "messages": [{"role": "user", "content": "Hi"}]}
        for path, body, expected in [("/api/generate", ASK, 503), ("/v1/chat/completions", chat, 429)]:
            status, headers, reply = self.first_refusal(server, path, body)
            self.assertEqual(status, expected, reply)
            self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        over.set()
        for filler in fillers:
            filler.join(60)
        self.wait_until_idle(server)
        self.still_answers(server)

    def ask_until(self, server, over):
        while not over.is_set():
            self.ask_and_ignore(server)

    def first_refusal(self, server, path, body):
        deadline = time.monotonic() + 60
        while True:
            status, headers, reply = server.request("POST", path, body)
            if status != 200:
                return status, headers, reply
            self.assertLess(time.monotonic(), deadline, "nothing was refused")

    def test_a_deadline_ends_an_answer(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        store = Store(folder.name)
        store.add("large", demo_bytes(1 << 26))  # else the context would end it
        server = self.start("--set", "times.deadline=1s", environment=store.environment | {"OLLAMA_CONTEXT_LENGTH": "200000"})
        server.json("POST", "/api/generate", {"model": "large"})
        endless = {"model": "large", "max_tokens": 10**6, "ignore_eos": True, "temperature": 0}
        text, chat = {"prompt": "x"}, {"messages": [{"role": "user", "content": "x"}]}
        for path, body in [("/v1/completions", text), ("/v1/chat/completions", chat)]:
            begin = time.monotonic()
            status, _, data = server.request("POST", path, endless | body)
            self.assertEqual(status, 504, data)
            self.assertIn("error", json.loads(data))
            self.assertTrue(0.9 < time.monotonic() - begin < 20)
            # What has begun to stream ends with an error, and never as if it were whole.
            status, _, data = server.request("POST", path, endless | body | {"stream": True})
            self.assertEqual(status, 200)
            last = data.decode().rstrip().rsplit("\n\n", 1)[-1]
            self.assertIn('"error"', last)
            self.assertNotIn(b"[DONE]", data)
        self.wait_until_idle(server, 5)
        # Anthropic's form of it.
        status, _, data = server.request("POST", "/v1/messages", chat | {
            "model": "large", "max_tokens": 10**6, "stream": True, "stop_sequences": ["\0"],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "array", "minItems": 99999,
                                                                           "items": {"const": "word"}}}}})
        self.assertEqual(status, 200, data[:300])
        events = [line for line in data.decode().splitlines() if line.startswith("event: ")]
        self.assertEqual(events[-1], "event: error")
        self.assertNotIn("event: message_stop", events)
        self.still_answers(server)


if __name__ == "__main__":
    unittest.main()
