#!/usr/bin/env python3
"""hearth as a service: what it tells systemd (sd_notify(3)), sockets that are handed over, `hearth health`, and the name
"ollama".

service_test.py HEARTH
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from program import Program

HEARTH = sys.argv.pop()


class Manager:
    """What a service manager hears."""

    def __init__(self, abstract=False):
        self.folder = tempfile.TemporaryDirectory()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"\0hearth-test-{os.getpid()}-{time.monotonic_ns()}" if abstract else self.folder.name + "/notify"
        self.socket.bind(name)
        self.socket.settimeout(60)
        self.name = name.replace("\0", "@")

    def hear(self):
        """The next datagram, as {name: value}."""
        return dict(line.split("=", 1) for line in self.socket.recv(65536).decode().split("\n"))

    def wait_for(self, name):
        while True:
            heard = self.hear()
            if name in heard:
                return heard

    def close(self):
        self.socket.close()
        self.folder.cleanup()


class Service(unittest.TestCase):
    def start(self, *arguments, **more):
        program = Program(HEARTH, *arguments, **more)
        self.addCleanup(program.close)
        return program

    def manager(self, **more):
        manager = Manager(**more)
        self.addCleanup(manager.close)
        return manager

    def test_the_service_manager_is_told_what_happens(self):
        for abstract in (False, True):
            manager = self.manager(abstract=abstract)
            server = self.start(environment={"NOTIFY_SOCKET": manager.name})
            heard = manager.hear()
            self.assertEqual(heard["READY"], "1")
            self.assertIn(f"127.0.0.1:{server.port}", heard["STATUS"])
            self.assertEqual(server.request("GET", "/health/live")[0], 200)  # it does answer when it says so
            server.process.send_signal(signal.SIGHUP)
            reloading = manager.hear()
            self.assertEqual(reloading["RELOADING"], "1")
            self.assertAlmostEqual(int(reloading["MONOTONIC_USEC"]) / 1e6, time.monotonic(), delta=60)
            self.assertEqual(manager.hear()["READY"], "1")
            server.process.send_signal(signal.SIGTERM)
            stopping = manager.hear()
            self.assertEqual(stopping["STOPPING"], "1")
            self.assertGreater(int(stopping["EXTEND_TIMEOUT_USEC"]), 15e6)
            self.assertEqual(server.end(), 0)

    def test_the_watchdog_hears_often_enough_and_only_who_is_watched(self):
        manager = self.manager()
        server = self.start(environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "8000000"})
        times = []
        while len(times) < 3:
            manager.wait_for("WATCHDOG")
            times.append(time.monotonic())
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), 8)
        server.process.send_signal(signal.SIGSTOP)  # it hangs: nobody says that it is alive
        manager.socket.settimeout(5)
        with self.assertRaises(TimeoutError):
            while True:
                manager.hear()
        server.process.send_signal(signal.SIGCONT)
        other = self.manager()
        self.start(environment={"NOTIFY_SOCKET": other.name, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
        self.assertEqual(other.hear()["READY"], "1")
        other.socket.settimeout(3)
        with self.assertRaises(TimeoutError):
            other.hear()

    def test_a_manager_that_is_not_there_changes_nothing(self):
        for name in ("/nonexistent/notify", "relative", "@" + "x" * 200):
            server = self.start(environment={"NOTIFY_SOCKET": name})
            server.wait_for("cannot be told")
            self.assertEqual(server.request("GET", "/health/live")[0], 200)

    def test_sockets_are_taken_over_from_who_opened_them(self):
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        port = listening.getsockname()[1]

        # (The process id is known only there.)
        script = f'exec 3<&{listening.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --gpu off'
        with tempfile.TemporaryDirectory() as state:
            process = subprocess.Popen(["bash", "-c", script, HEARTH], stderr=subprocess.PIPE, text=True,
                                       pass_fds=[listening.fileno()], env=os.environ | {"HEARTH_STATE": state})
            line = next(line for line in process.stderr if "Listening on" in line)
            self.assertIn(f"127.0.0.1:{port}", line)
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertIn(b" 200 ", connection.recv(65536))
            connection.close()
            process.terminate()
            self.assertEqual(process.wait(60), 0)
            process.stderr.close()

    def test_health_says_how_the_server_is(self):
        server = self.start()
        done = server.command("health")
        self.assertEqual(done.stdout, "ok\n")
        self.assertEqual(json.loads(server.command("health", "--json").stdout)["ready"], True)
        self.assertEqual(server.command("health", "--live").stdout, "ok\n")
        poor = self.start(state="/proc/nowhere")  # no folder can be made there
        where = {"OLLAMA_HOST": f"127.0.0.1:{poor.port}"}
        done = poor.command("health", environment=where)
        self.assertRegex(done.stdout, r"^degraded\nstate-unavailable: .*\n$")
        server.end(signal.SIGTERM)
        gone = server.command("health", check=False)
        self.assertEqual(gone.returncode, 1)
        self.assertIn("no hearth serves here", gone.stderr)

    def test_a_server_that_can_take_no_requests_is_not_healthy(self):
        server = self.start()
        server.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        done = server.command("health", environment={"OLLAMA_HOST": f"127.0.0.1:{server.port}"}, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertLess(time.monotonic() - started, 30)  # of a check's time limit
        server.process.send_signal(signal.SIGCONT)

    def test_by_the_name_ollama_it_does_the_same(self):
        server = self.start()
        with tempfile.TemporaryDirectory() as folder:
            ollama = folder + "/ollama"
            os.symlink(os.path.abspath(HEARTH), ollama)

            def run(*arguments):
                return subprocess.run([ollama, *arguments], capture_output=True, text=True, timeout=120,
                                      env=server.environment, stdin=subprocess.DEVNULL, check=True).stdout
            self.assertIn("demo:latest", run("list"))
            self.assertIn("demo:latest", run("ls"))
            self.assertIn("Paris", run("run", "demo", "--temperature", "0", "What is the capital of France?"))
            self.assertIn("demo:latest", run("ps"))
            self.assertIn("architecture", run("show", "demo"))
            self.assertIn("Usage: hearth run", run("help", "run"))
            self.assertIn("Subcommands", run("help"))

    def test_the_version_says_what_it_was_made_from(self):
        short = subprocess.run([HEARTH, "--version"], capture_output=True, text=True, check=True).stdout
        long = subprocess.run([HEARTH, "--version", "--verbose"], capture_output=True, text=True, check=True).stdout
        self.assertTrue(long.startswith(short))
        self.assertNotIn("commit", short)
        self.assertRegex(long, r"\ncommit: ([0-9a-f]{40}(, with changes)?|unknown)\n")
        libraries = re.search(r"\nlibraries: (.*)\n", long)[1]
        for name in ("Boost 1.", "OpenSSL 3.", "SQLite 3.", "fmt ", "zstd ", "yaml-cpp ", "RE2 "):
            self.assertRegex(libraries, re.escape(name) + r"[\d.]*\d")
        if "not in this build" not in short:
            self.assertRegex(long, r"\nPTX: 7\.5, ")


if __name__ == "__main__":
    unittest.main()
