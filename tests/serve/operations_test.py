#!/usr/bin/env python3
"""What a server's administrator sees of it: settings, keys, health, figures, certificates, and the commands that go
through it.

operations_test.py HEARTH
"""
import fcntl
import http.client
import json
import os
import pty
import re
import select
import signal
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

from program import Program
from store import Store, demo_bytes

HEARTH = sys.argv.pop()


class Operations(unittest.TestCase):
    def start(self, *arguments, **more):
        program = Program(HEARTH, *arguments, **more)
        self.addCleanup(program.close)
        return program

    def test_commands_go_through_the_server(self):
        server = self.start()
        self.assertIn("demo:latest", server.command("list").stdout)
        self.assertEqual(server.command("ps").stdout.split(), ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"])
        alone = subprocess.run([HEARTH, "run", "demo", "--gpu", "off", "--temperature", "0", "What is the capital of France?"],
                               capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True,
                               env=server.environment | {"HEARTH_STATE": server.folder + "/none", "OLLAMA_HOST": "127.0.0.1:9"})
        through = server.command("run", "demo", "--temperature", "0", "What is the capital of France?")
        self.assertEqual(through.stdout, alone.stdout)
        rows = server.command("ps").stdout.splitlines()
        self.assertRegex(rows[1], r"^demo:latest +\S+ +\d.* [KM]B +100% CPU +\d+ +\d+ minutes from now")
        server.command("stop", "demo")
        deadline = time.monotonic() + 60
        while len(server.command("ps").stdout.splitlines()) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(len(server.command("ps").stdout.splitlines()), 1)
        wrong = server.command("run", "nobody", "hello", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("nobody", wrong.stderr)

    # A server that is not there: commands work by themselves.
    ALONE = {"HEARTH_STATE": "/nonexistent", "OLLAMA_HOST": "127.0.0.1:9"}

    def test_show_prints_the_same_page_through_the_server(self):
        server = self.start()
        for more in ([], ["--ctx", "100", "--kv-type", "q8_0"], ["--tensors"]):
            alone = server.command("show", "demo", *more, environment=self.ALONE).stdout
            through = server.command("show", "demo", *more).stdout
            steady = lambda page: re.sub(r"[\d.]+ .iB available", "", page)  # memory that is free now
            self.assertEqual(steady(through), steady(alone))
            self.assertIn("architecture      llama", through)
        asked = lambda: sum("/api/show" in line for line in server.log if line)
        deadline = time.monotonic() + 60
        while asked() < 3 and time.monotonic() < deadline:
            time.sleep(0.05)  # what it logs comes through a pipe
        self.assertEqual(asked(), 3)
        wrong = server.command("show", "nobody", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("nobody", wrong.stderr)
        self.assertEqual(server.command("show", "demo", "--ctx", "100000", check=False).returncode, 2)

    def chat(self, server, lines, environment=None, options=()):
        """What `hearth run demo` shows on a terminal, without what is typed."""
        parent, child = pty.openpty()
        self.addCleanup(os.close, parent)
        process = subprocess.Popen([HEARTH, "run", "demo", "--temperature", "0", *options], stdin=child, stdout=child,
                                   stderr=child, start_new_session=True,  # and the terminal is its own: Ctrl-C reaches it
                                   preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                   env=server.environment | {"TERM": "dumb", "HEARTH_HISTORY": server.folder + "/history"}
                                   | (environment or {}))
        os.close(child)
        shown = ""

        def read_until(text):
            nonlocal shown
            begin, deadline = len(shown), time.monotonic() + 60
            while text not in shown[begin:] and time.monotonic() < deadline:
                if select.select([parent], [], [], 1)[0]:
                    try:
                        shown += os.read(parent, 65536).decode(errors="replace")
                    except OSError:
                        break
            self.assertIn(text, shown[begin:])

        read_until(">>> ")
        for line in lines:
            if callable(line):
                line(process, parent, read_until)
                continue
            os.write(parent, line.encode() + b"\n")
            read_until(">>> ")
        os.write(parent, b"/bye\n")
        self.assertEqual(process.wait(60), 0)
        return re.sub(r"\r", "", shown)

    def test_an_interactive_chat_goes_through_the_server_and_shows_the_same(self):
        server = self.start()
        lines = ["What is the capital of France?", "And of Italy?", "/set system You are a pirate.",
                 "What is 2 plus 3?", "/clear", "What is 2 plus 3?", "/show system", "/show template",
                 "/set parameter top_k 7", "/set parameter nonsense 1", "/nonsense", "/set parameter num_predict 2",
                 "Tell me a story"]
        through = self.chat(server, lines)
        alone = self.chat(server, lines, self.ALONE)
        self.assertEqual(through, alone)
        self.assertIn("Paris", through)
        asked = [line for line in server.log if line and "/api/chat" in line]
        self.assertEqual(len(asked), 5)
        shown = self.chat(server, ["hi", "/show info", "/show parameters", "/set verbose", "hi"])
        self.assertRegex(shown, r"context +1024 of 1024 tokens\n")
        self.assertIn(server.url, shown)
        self.assertRegex(shown, r"num_ctx +1024\n")
        self.assertRegex(shown, r"eval rate: +[\d.]+ tokens/s")

    def test_control_c_stops_an_answer_through_the_server_at_once(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        store = Store(folder.name)
        store.add("demo", demo_bytes(1 << 20), parameters={"num_ctx": 1 << 20})
        server = self.start("--parallel", "1", environment=store.environment)
        busy = http.client.HTTPConnection(server.host, server.port, timeout=60)
        self.addCleanup(busy.close)
        busy.request("POST", "/v1/completions", json.dumps({"model": "demo", "prompt": "x", "max_tokens": 1 << 19,
                                                            "ignore_eos": True}))

        def requests(state):
            page = server.request("GET", "/metrics")[2].decode()
            return float(re.search(rf"^hearth_requests_{state} (\S+)$", page, re.MULTILINE)[1])

        def wait_for(state, count):
            deadline = time.monotonic() + 60
            while requests(state) != count and time.monotonic() < deadline:
                time.sleep(0.01)

        def interrupt(process, terminal, read_until):
            wait_for("running", 1)
            os.write(terminal, b"hello\n")
            wait_for("waiting", 1)
            os.write(terminal, b"\x03")
            read_until(">>> ")
            wait_for("waiting", 0)
            self.assertEqual((requests("running"), requests("waiting")), (1, 0), "the other is still answered")
            busy.close()

        shown = self.chat(server, [interrupt, "What is the capital of France?"])
        self.assertIn("Paris", shown)

    def test_a_command_never_goes_through_another_kind_of_server(self):
        server = self.start()
        stranger = subprocess.Popen([sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=server.folder,
                                    env=os.environ | {"PYTHONUNBUFFERED": "1"})
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        self.addCleanup(stranger.stdout.close)
        port = re.search(r"port (\d+)", stranger.stdout.readline())[1]
        done = server.command("ps", check=False, environment={"OLLAMA_HOST": f"127.0.0.1:{port}"})
        self.assertEqual(done.returncode, 3)
        self.assertIn("is no hearth", done.stderr)
        done = server.command("ps", check=False, environment={"OLLAMA_HOST": "127.0.0.1:9"})
        self.assertIn("no hearth serves here; start one: hearth serve", done.stderr)

    def test_a_taken_port_names_its_holder_and_the_ways_out(self):
        server = self.start()
        done = server.command("serve", "--host", f"127.0.0.1:{server.port}", check=False,
                              environment={"HEARTH_STATE": server.folder + "/other"})
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, rf"hearth \(process {server.process.pid}\) has the port")
        self.assertIn(f"hearth serve --host 127.0.0.1:{server.port + 1}", done.stderr)

    def test_keys_open_what_their_role_allows(self):
        server = self.start()
        text = {}
        for role in ("infer", "manage", "admin"):
            text[role] = server.command("key", "add", "for-" + role, "--role", role).stdout.strip()
        self.assertEqual([l.split()[:2] for l in server.command("key", "list").stdout.splitlines()[1:]],
                         [["for-admin", "admin"], ["for-infer", "infer"], ["for-manage", "manage"]])

        def status(role, method, path, body=None):
            # (A proxy's header: the request counts as one from elsewhere.)
            headers = {"X-Forwarded-For": "203.0.113.5"}
            if role:
                headers["Authorization"] = "Bearer " + text.get(role, role)
            return server.request(method, path, body, headers)[0]
        self.assertEqual(status(None, "GET", "/"), 200)
        self.assertEqual(status(None, "GET", "/health"), 200)
        self.assertEqual(status(None, "GET", "/api/tags"), 401)
        self.assertEqual(status("hearth-made-up", "GET", "/api/tags"), 401)
        self.assertEqual(status("infer", "GET", "/api/tags"), 200)
        self.assertEqual(status("infer", "POST", "/api/copy", {}), 403)
        self.assertNotIn(status("manage", "POST", "/api/copy", {}), (401, 403))
        self.assertEqual(status("manage", "GET", "/hearth/keys"), 403)
        self.assertEqual(status("admin", "GET", "/hearth/keys"), 200)
        server.command("key", "revoke", "for-infer")
        self.assertEqual(status("infer", "GET", "/api/tags"), 401)
        self.assertEqual(server.command("key", "revoke", "for-infer", check=False).returncode, 1)

    def test_a_wrong_key_is_refused_in_the_words_of_each_dialect(self):
        server = self.start()
        asks = {"/api/chat": {"model": "demo", "messages": []},  # loads the model, no more
                "/v1/chat/completions": {"model": "demo", "messages": [{"role": "user", "content": "hi"}],
                                         "max_tokens": 1},
                "/v1/messages": {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}}
        dummy = {"Authorization": "Bearer ollama", "x-api-key": "ollama"}
        for path, ask in asks.items():
            self.assertEqual(server.request("POST", path, ask, dummy)[0], 200, "there are no keys yet")
        key = server.command("key", "add", "anna").stdout.strip()
        answers = {}
        for path, ask in asks.items():
            self.assertEqual(server.request("POST", path, ask, {"x-api-key": key})[0], 200)
            self.assertEqual(server.request("POST", path, ask)[0], 200, "this machine needs none")
            status, _, data = server.request("POST", path, ask, dummy)
            self.assertEqual(status, 401, path)
            answers[path] = json.loads(data)
        self.assertIn("not known here", answers["/api/chat"]["error"])
        self.assertEqual(answers["/v1/chat/completions"]["error"]["code"], "invalid_api_key")
        self.assertEqual(answers["/v1/messages"]["error"]["type"], "authentication_error")

    def test_a_keys_limits_hold(self):
        server = self.start()
        few = server.command("key", "add", "few", "--requests-per-minute", "2").stdout.strip()
        other = server.command("key", "add", "other", "--model", "other").stdout.strip()
        ask = {"model": "demo", "prompt": "Hi", "stream": False, "options": {"num_predict": 1}}
        statuses = [server.request("POST", "/api/generate", ask, {"Authorization": "Bearer " + few})[0] for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 429])
        _, headers, _ = server.request("POST", "/api/generate", ask, {"x-api-key": few})
        self.assertTrue(1 <= int(headers["Retry-After"]) <= 31, headers["Retry-After"])
        status, _, body = server.request("POST", "/api/generate", ask, {"Authorization": "Bearer " + other})
        self.assertEqual(status, 404, body)
        one = server.command("key", "add", "one", "--parallel", "1").stdout.strip()
        for _ in range(3):  # one after another: each lets go of its place
            self.assertEqual(server.request("POST", "/api/generate", ask, {"x-api-key": one})[0], 200)

    def test_state_is_kept_copied_and_private(self):
        server = self.start()
        state = server.environment["HEARTH_STATE"]
        text = server.command("key", "add", "anna").stdout.strip()
        self.assertEqual(os.stat(state).st_mode & 0o777, 0o700)
        copy = server.folder + "/copy.db"
        server.command("backup", copy)
        self.assertEqual(sqlite3.connect(copy).execute("SELECT name FROM keys").fetchall(), [("anna",)])
        self.assertEqual(server.command("backup", copy, check=False).returncode, 2)
        self.assertEqual(server.end(signal.SIGTERM), 0)
        self.assertIn("anna", server.command("key", "list").stdout, "without a server")
        again = self.start(state=state)
        headers = {"X-Forwarded-For": "203.0.113.5", "Authorization": "Bearer " + text}
        self.assertEqual(again.request("GET", "/api/tags", None, headers)[0], 200)
        again.end(signal.SIGTERM)
        database = sqlite3.connect(state + "/state.db")
        database.execute("PRAGMA user_version=99")
        database.commit()
        database.close()
        refused = server.command("serve", "--host", "127.0.0.1:0", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("was written by a newer hearth (schema 99", refused.stderr)

    def test_a_second_server_serves_without_the_state_and_says_so(self):
        first = self.start()
        second = self.start(state=first.environment["HEARTH_STATE"])
        health = second.json("GET", "/health")
        self.assertEqual((health["status"], health["ready"]), ("degraded", True))
        self.assertEqual([r["id"] for r in health["reasons"]], ["state-unavailable"])
        self.assertIn(f"process {first.process.pid}", health["reasons"][0]["cause"])
        self.assertEqual(second.request("GET", "/hearth/keys")[0], 503)

    def test_settings_are_read_again_at_a_sighup(self):
        folder = self.start().folder
        path = folder + "/config.toml"
        with open(path, "w") as file:
            file.write('origins = ["http://a.example"]\nparallel = 2\n')
        server = self.start("--config", path)
        origin = lambda name: server.request("GET", "/api/version", None, {"Origin": f"http://{name}.example"})[0]
        self.assertEqual((origin("a"), origin("b")), (200, 403))
        with open(path, "w") as file:
            file.write('origins = ["http://b.example"]\nparallel = 3\n')
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("parallel stays \"2\" until hearth is started again")
        deadline = time.monotonic() + 30
        while origin("b") != 200 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual((origin("a"), origin("b")), (403, 200))
        with open(path, "w") as file:
            file.write("paralel = 3\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for('the settings stay as they were: .*line 1: there is no setting "paralel"; did you mean "parallel"')

    def test_figures_tell_what_was_answered(self):
        server = self.start()
        usage = server.generate("What is the capital of France?")
        page, deadline = "", time.monotonic() + 30
        while 'path="/api/generate"' not in page and time.monotonic() < deadline:  # a moment after the client has it all
            page = server.request("GET", "/metrics")[2].decode()
        figures = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        self.assertEqual(figures['hearth_answers_total{model="demo:latest",reason="stop"}'], "1")
        self.assertEqual(int(figures['hearth_tokens_total{model="demo:latest",kind="generated"}']), usage["eval_count"])
        self.assertEqual(figures['hearth_http_requests_total{path="/api/generate",status="200"}'], "1")
        self.assertEqual(figures['hearth_first_token_seconds_count{model="demo:latest"}'], "1")
        self.assertGreater(float(figures['hearth_model_bytes{model="demo:latest",place="host"}']), 0)
        self.assertEqual(figures["hearth_ready"], "1")

    def make_certificate(self, folder, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=" + name, "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
                        "-keyout", folder + "/key.new", "-out", folder + "/cert.new"],
                       check=True, capture_output=True)
        os.rename(folder + "/key.new", folder + "/key.pem")
        os.rename(folder + "/cert.new", folder + "/cert.pem")

    def peer_name(self, server):
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(server.host, server.port, context=context, timeout=60)
        connection.request("GET", "/health")
        health = connection.getresponse().read()
        certificate = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(True))
        connection.close()
        subject = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=certificate, text=True,
                                 capture_output=True, check=True).stdout
        return re.search(r"CN ?= ?(\S+)", subject)[1], health

    def test_certificates_are_taken_as_they_change_and_broken_ones_are_not(self):
        folder = self.start().folder
        self.make_certificate(folder, "first")
        server = self.start("--set", f"tls.certificate={folder}/cert.pem", "--set", f"tls.key={folder}/key.pem")
        self.assertEqual(self.peer_name(server)[0], "first")
        verified = ssl.create_default_context(cafile=folder + "/cert.pem")
        connection = http.client.HTTPSConnection(server.host, server.port, context=verified, timeout=60)
        connection.request("POST", "/api/generate", '{"model":"demo","prompt":"Hi","options":{"num_predict":5}}')
        self.assertIn(b'"done":true', connection.getresponse().read(), "a stream")
        connection.close()
        self.assertIn("demo", server.command("ps").stdout, "the command trusts the certificate of its own server")
        abroad = server.command("ps", environment={"HEARTH_STATE": "", "OLLAMA_HOST": f"https://127.0.0.1:{server.port}"}, check=False)
        self.assertIn("SSL_CERT_FILE", abroad.stderr)
        self.make_certificate(folder, "second")
        server.wait_for("encrypted with the new certificate")
        self.assertEqual(self.peer_name(server)[0], "second")
        with open(folder + "/cert.pem", "w") as file:
            file.write("nonsense")
        server.wait_for("tls-certificate: the new certificate cannot be used")
        name, health = self.peer_name(server)
        self.assertEqual(name, "second")
        self.assertIn(b"tls-certificate", health)
        status = server.command("serve", "--set", f"tls.certificate={folder}/cert.pem", "--set",
                                f"tls.key={folder}/key.pem", check=False)
        self.assertIn("no certificate in PEM form", status.stderr)

    def ask_endlessly(self, results, most, *arguments):
        """A server with an answer of so many tokens on its way."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        store = Store(folder.name)
        store.add("large", demo_bytes(1 << 26))  # else the context would end it
        server = self.start(*arguments, environment=store.environment | {"OLLAMA_CONTEXT_LENGTH": "200000"})
        server.json("POST", "/api/generate", {"model": "large"})
        body = {"model": "large", "prompt": "x", "max_tokens": most, "ignore_eos": True, "temperature": 0, "stream": True}

        def ask():
            try:
                results.append(server.request("POST", "/v1/completions", body))
            except Exception as broken:
                results.append(broken)

        asking = threading.Thread(target=ask)
        asking.start()
        self.addCleanup(asking.join)
        deadline = time.monotonic() + 60
        while b'hearth_model_running{model="large:latest"} 1' not in server.request("GET", "/metrics")[2]:
            self.assertLess(time.monotonic(), deadline)
            self.assertEqual(results, [])
        return server

    def test_sigterm_lets_answers_end_and_takes_no_new_ones(self):
        results = []
        server = self.ask_endlessly(results, 2000)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("requests that run have")
        with self.assertRaises(OSError):
            while not results:  # it says so before it has closed its ears
                server.request("GET", "/api/version", timeout=5)
        self.assertEqual(results, [], "it still runs")
        self.assertEqual(server.end(), 0)
        while not results:
            time.sleep(0.01)
        self.assertTrue(results[0][2].endswith(b"data: [DONE]\n\n"), "the whole answer")

    def test_a_second_sigterm_ends_it_at_once(self):
        results = []
        server = self.ask_endlessly(results, 10**6)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("requests that run have")
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.end(), -signal.SIGTERM)
        self.assertLess(time.monotonic() - begin, 3, "not the 15 s that answers have")

    def test_answers_that_take_too_long_are_cut_when_it_ends(self):
        results = []
        server = self.ask_endlessly(results, 10**6, "--set", "times.drain=1s")
        self.assertEqual(server.end(signal.SIGTERM), 0)
        while not results:
            time.sleep(0.01)
        self.assertFalse(isinstance(results[0], tuple) and b"[DONE]" in results[0][2], "it is not whole")


if __name__ == "__main__":
    unittest.main()
