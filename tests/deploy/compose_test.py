#!/usr/bin/env python3
"""compose_test.py HEARTH: deploy/compose, and the compose files of two users of Ollama's (tests/deploy/users), in which
the image's name is the one thing to change. There need be no container engine: what an engine would give a container (the
image's environment and the service's, the volume at /root/.ollama, a user) is given to a process in name spaces of its own.
"""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import yaml

from image import ROOT, Image

sys.path.insert(0, os.path.join(ROOT, "tests", "serve"))
from store import Store  # noqa: E402

HEARTH = os.path.abspath(sys.argv.pop())
NOT_PERMITTED = 77
USERS = os.path.join(ROOT, "tests", "deploy", "users")
COMPOSE = os.path.join(ROOT, "deploy", "compose")


def read(path):
    with open(path) as file:
        return yaml.safe_load(file)


def environment_of(service):
    given = service.get("environment", {})
    return dict(pair.split("=", 1) for pair in given) if isinstance(given, list) else given


def judged(path):
    """What the doctor says of a compose file: (exit code, ids of causes)"""
    done = subprocess.run([HEARTH, "doctor", "--json", "--compose", path], capture_output=True, text=True)
    return done.returncode, [finding["id"] for finding in json.loads(done.stdout)["findings"]]


def other_address():
    """Of this machine, and not the loopback's: who comes from there is not of this machine to hearth."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # nothing is sent
            return one.getsockname()[0]
        except OSError:
            return None


class Container:
    """A process with the environment and the folders of a compose service, as the user whom the image names."""
    # The system's folders read-only as the image would have its own; /root and the state are the container's.
    SETUP = """set -e
mount --make-rprivate /
mount -t tmpfs none /root && chmod 755 /root
mkdir -p /root/.ollama && mount --bind "$VOLUME" /root/.ollama
mount -t tmpfs none /var/lib && mkdir -p /var/lib/hearth && chown $OWNER:$OWNER /var/lib/hearth
mount --bind "$BINARY" /mnt && cd /
exec setpriv --reuid $OWNER --regid $OWNER --clear-groups env -i $SETTINGS "$@"
"""

    def __init__(self, service, volume, user=10001):
        self.image = Image()
        self.folder = tempfile.mkdtemp()
        shutil.copy(HEARTH, self.folder + "/hearth")
        shutil.copy(os.path.join(ROOT, "data", "demo.gguf"), self.folder + "/demo.gguf")
        os.symlink("hearth", self.folder + "/ollama")
        os.chmod(self.folder, 0o755)
        self.settings = self.image.environment | environment_of(service)
        with socket.socket() as one:  # a port that is free, as the engine would have one
            one.bind(("", 0))
            self.port = one.getsockname()[1]
        self.settings["OLLAMA_HOST"] = f"0.0.0.0:{self.port}"
        self.settings["PATH"] = "/mnt:/usr/bin:/bin"
        self.volume, self.user = volume, user
        self.log = open(self.folder + "/log", "w+")
        self.process = self.run([os.path.basename(self.image.entrypoint[0]), *self.image.command], subprocess.Popen,
                                stderr=self.log)
        deadline = time.monotonic() + 120
        while "Listening on" not in self.text() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def run(self, command, how, join=(), **more):
        environment = os.environ | {"VOLUME": self.volume, "OWNER": str(self.user), "BINARY": self.folder,
                                    "SETTINGS": " ".join(f"{k}={v}" for k, v in self.settings.items() if " " not in v)}
        return how(["unshare", "--mount", *join, "bash", "-c", self.SETUP, "setup", *command], env=environment, **more)

    def execute(self, *command):
        """docker exec: in the same name spaces."""
        pid = str(self.process.pid)
        settings = [f"{k}={v}" for k, v in self.settings.items()]
        return subprocess.run(["nsenter", "--target", pid, "--mount", "setpriv", "--reuid", str(self.user), "--regid",
                               str(self.user), "--clear-groups", "env", "-i", *settings, *command], capture_output=True,
                              text=True, timeout=120, stdin=subprocess.DEVNULL)

    def text(self):
        with open(self.folder + "/log") as file:
            return file.read()

    def ask(self, host, path, body=None):
        connection = http.client.HTTPConnection(host, self.port, timeout=120)
        try:
            connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)


class Image_(unittest.TestCase):
    def test_the_image_is_as_ollamas_users_know_it_and_runs_as_nobody_special(self):
        image = Image()
        self.assertRegex(image.base, r"^debian:bookworm-slim$")
        self.assertNotIn(image.user, ("root", "0"))
        self.assertEqual(image.ports, ["11434"])
        self.assertEqual(image.environment["OLLAMA_HOST"], "0.0.0.0:11434")
        self.assertEqual(image.environment["HOME"], "/root")
        self.assertEqual((os.path.basename(image.entrypoint[0]), image.command), ("hearth", ["serve"]))
        self.assertEqual(image.health[-2:], ["/usr/bin/hearth", "health"])
        self.assertEqual(len(image.stages), 2)


class Compose(unittest.TestCase):
    def test_our_files_publish_this_machine_alone_and_say_that_they_are_open(self):
        for name in ("cpu.yaml", "gpu.yaml", "stack.yaml"):
            services = read(os.path.join(COMPOSE, name))["services"]
            for service in services.values():
                for port in service["ports"]:
                    self.assertRegex(port, r"^127\.0\.0\.1:", name)
            self.assertEqual(environment_of(services["hearth"])["HEARTH_OPEN"], "true", name)
            self.assertIn("models:/root/.ollama", services["hearth"]["volumes"], name)
            for service in services.values():  # what is mounted from here is here
                for volume in service["volumes"]:
                    if volume.startswith("."):
                        self.assertTrue(os.path.exists(os.path.join(COMPOSE, volume.split(":")[0])), volume)

    def test_the_doctor_finds_what_is_wrong_and_nothing_else(self):
        self.assertEqual(judged(os.path.join(COMPOSE, "gpu.yaml")), (0, []))
        self.assertEqual(judged(os.path.join(COMPOSE, "stack.yaml")), (0, []))
        self.assertEqual(judged(os.path.join(COMPOSE, "cpu.yaml")), (1, ["container-without-gpu"]))

    def test_the_settings_in_our_files_are_settings(self):
        for name in ("cpu.yaml", "gpu.yaml", "stack.yaml"):
            given = environment_of(read(os.path.join(COMPOSE, name))["services"]["hearth"])
            done = subprocess.run([HEARTH, "config"], capture_output=True, text=True, check=True,
                                  env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | given)
            self.assertEqual(done.stderr, "", name)
            for variable in given:
                self.assertIn(f"# {variable}", done.stdout, name)


class Users(unittest.TestCase):
    def test_one_line_is_changed_and_the_model_of_the_volume_answers(self):
        for name, before in (("seed0.yaml", (0, [])),
                             ("seed2.yaml", (1, ["llm-library-name-mismatch", "no-op-settings-trusted"]))):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(USERS, name)
                self.assertEqual(judged(path), before)
                with open(path) as file:
                    text = file.read()
                changed, count = re.subn(r"image: ollama/ollama:latest", "image: hearth", text)
                self.assertEqual(count, 1)
                translated = os.path.join(folder, "compose.yaml")
                with open(translated, "w") as file:
                    file.write(changed)
                self.assertEqual(judged(translated), (0, []))
                self.answers(read(translated)["services"]["ollama"], folder)

    def answers(self, service, folder):
        # The volume of an Ollama that ran as root: others may read it, and not write.
        volume = os.path.join(folder, "volume")
        Store(volume + "/models").add("mistral")
        os.chmod(folder, 0o755)
        container = Container(service, volume)
        self.addCleanup(container.close)
        host = other_address()
        for address in ["127.0.0.1", host] if host else ["127.0.0.1"]:
            status, answer = container.ask(address, "/api/generate", {
                "model": "mistral", "prompt": "What is the capital of France?", "stream": False,
                "options": {"temperature": 0}})
            self.assertEqual(status, 200, f"{address}: {answer}\n{container.text()}")
            self.assertIn("Paris", answer["response"])
        if host:  # who comes over the network uses models and manages none
            self.assertIn(container.ask(host, "/api/copy", {"source": "mistral", "destination": "x"})[0], (401, 403))
        listed = container.execute("ollama", "list")
        self.assertIn("mistral:latest", listed.stdout, listed.stderr)
        ran = container.execute("ollama", "run", "mistral", "--temperature", "0", "What is the capital of France?")
        self.assertIn("Paris", ran.stdout, ran.stderr)
        health = container.execute("hearth", "health")
        self.assertEqual(health.returncode, 0, health.stderr)
        self.assertNotIn("state-unavailable", health.stdout)
        # What the volume cannot take goes to the container's own store.
        copied = container.execute("ollama", "cp", "mistral", "mine")
        self.assertEqual(copied.returncode, 0, copied.stderr)
        self.assertFalse(os.path.exists(volume + "/models/manifests/registry.ollama.ai/library/mine"))
        disk = container.execute("hearth", "disk")
        self.assertRegex(disk.stdout, r"/root/.ollama/models .*read-only")
        self.assertIn("/var/lib/hearth/models", disk.stdout, disk.stderr)


if __name__ == "__main__":
    if os.getuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        print("skipped: only root can mount here")
        sys.exit(NOT_PERMITTED)
    unittest.main()
