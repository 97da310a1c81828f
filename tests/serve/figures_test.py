#!/usr/bin/env python3
"""The figures of a server are those of what was sent to it: a known load through a simulated GPU, and Prometheus, which
scrapes the server and knows the alerts and every series of the dashboards.

figures_test.py HEARTH SIM_FOLDER
"""
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from program import Program
from store import Store, demo_bytes

SIM = sys.argv.pop()
HEARTH = sys.argv.pop()
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def series(text):
    """{'name{labels}': value} of a page for Prometheus."""
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", text, re.M)}


class Figures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        store = Store(cls.folder.name + "/models")
        store.add("demo", demo_bytes(1024))
        environment = store.environment | {
            "LD_LIBRARY_PATH": SIM, "HEARTH_SIM_PROFILE": "tiny-laptop", "HEARTH_SIM_LOG": cls.folder.name + "/sim.log"}
        cls.simulated = os.path.exists(SIM + "/libcuda.so.1")
        cls.server = Program(HEARTH, gpu="auto", environment=environment if cls.simulated else store.environment)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def metrics(self):
        return self.server.request("GET", "/metrics")[2].decode()

    def figures(self):
        return self.server.json("GET", "/hearth/figures")

    def test_1_nothing_is_known_that_a_client_made_up(self):
        for name in ("phantom", "ph\"antom}\n"):
            self.server.request("POST", "/api/generate", {"model": name, "prompt": "x"})
        self.assertNotIn("antom", self.metrics())

    def test_2_counters_are_what_was_answered(self):
        before = series(self.metrics())
        sums = {"prompt_eval_count": 0, "eval_count": 0}
        lock = threading.Lock()

        def ask(number):
            # By other spellings of the name, which are the same model.
            answer = self.server.json("POST", "/api/generate", {
                "model": ("demo", "DEMO", "demo:latest")[number % 3], "prompt": f"Number {number}: tell me a story",
                "stream": False, "options": {"num_predict": 10 + number, "temperature": 0}})
            with lock:
                for name in sums:
                    sums[name] += answer[name]

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        text = self.metrics()
        after = series(text)

        def grown(name):
            return after.get(name, 0) - before.get(name, 0)

        prompt = sum(grown(f'hearth_tokens_total{{model="demo:latest",kind="{kind}"}}') for kind in ("prompt", "cached"))
        self.assertEqual(prompt, sums["prompt_eval_count"])
        self.assertEqual(grown('hearth_tokens_total{model="demo:latest",kind="generated"}'), sums["eval_count"])
        answers = sum(grown(name) for name in after if name.startswith('hearth_answers_total{model="demo:latest"'))
        self.assertEqual(answers, 6)
        for name in ("first_token", "answer", "token", "queue"):
            self.assertEqual(grown(f'hearth_{name}_seconds_count{{model="demo:latest"}}'), 6, name)
        self.assertEqual(after['hearth_model_tokens_total{model="demo:latest",kind="generated"}'], sums["eval_count"])
        self.assertEqual(after['hearth_model_loads_total{model="demo:latest",why="request"}'], 1)
        self.assertNotIn("DEMO", text)
        model = self.figures()["models"][0]
        self.assertEqual(model["tokens_generated"], sums["eval_count"])
        self.assertEqual((model["running"], model["waiting"]), (0, 0))
        steps = after['hearth_model_steps_total{model="demo:latest"}']
        read = after['hearth_model_weights_read_bytes_total{model="demo:latest"}']
        size = len(demo_bytes())
        self.assertTrue(0.5 * size < read / steps < size, (read, steps, size))

    def test_3_the_gpu_shows_its_owners_and_the_time_that_it_worked(self):
        if not self.simulated:
            self.skipTest("the simulated driver is not built")
        figures = self.figures()
        gpu = figures["gpus"][0]
        parts = {(part["owner"], part["kind"]): part["bytes"] for part in gpu["parts"]}
        model = figures["models"][0]
        self.assertEqual(model["layers_on_gpu"], model["layers"])
        self.assertEqual(sum(bytes for (owner, _), bytes in parts.items() if owner == "demo:latest"), model["gpu_bytes"])
        self.assertEqual(parts[("Xorg", "process")], 4 << 20)
        self.assertLessEqual(sum(parts.values()), gpu["total_bytes"] - gpu["free_bytes"])
        self.assertEqual(gpu["temperature_celsius"], 52)
        before, start = gpu["busy_seconds"], time.monotonic()
        self.assertGreater(before, 0)
        time.sleep(0.2)
        self.assertEqual(self.figures()["gpus"][0]["busy_seconds"], before, "it has had nothing to do")
        self.server.generate("Tell me a story", options={"num_predict": 30})
        busy = self.figures()["gpus"][0]["busy_seconds"] - before
        self.assertTrue(0 < busy < time.monotonic() - start, busy)

    def test_4_a_stream_has_a_line_a_second_and_the_history_first(self):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)
        connection.request("GET", "/hearth/figures?stream=1")
        response = connection.getresponse()
        lines = [json.loads(response.readline()) for _ in range(3)]
        connection.close()
        self.assertIn("history", lines[0])
        self.assertNotIn("history", lines[1])
        self.assertGreater(len(lines[0]["history"]["tokens_per_second"]), 0)
        self.assertLess(lines[0]["time"], lines[1]["time"])
        self.assertLess(lines[1]["time"], lines[2]["time"])

    def test_5_requests_are_seen_and_ended_by_their_number(self):
        ends = []

        def ask():
            ends.append(self.server.request("POST", "/api/generate", {
                "model": "demo", "prompt": "Tell me a story", "options": {"num_predict": 900, "repeat_penalty": 1.5}}))

        thread = threading.Thread(target=ask)
        thread.start()
        deadline = time.monotonic() + 60
        requests = []
        while not (requests and requests[0]["state"] == "running") and time.monotonic() < deadline:
            requests = self.server.json("GET", "/hearth/requests")["requests"]
        self.assertEqual((len(requests), requests[0]["model"]), (1, "demo:latest"))
        self.assertIn("demo:latest", self.server.command("top", "--once").stdout)
        self.server.command("top", "--cancel", requests[0]["id"])
        thread.join(60)
        self.assertIn(b"request canceled", ends[0][2])
        self.assertEqual(self.server.json("GET", "/hearth/requests")["requests"], [])
        again = self.server.command("top", "--cancel", requests[0]["id"], check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("no request", again.stderr)
        elsewhere = self.server.request("GET", "/hearth/requests", headers={"X-Forwarded-For": "192.0.2.7"})
        self.assertEqual(elsewhere[0], 401)

    def test_6_the_terminal_shows_the_same(self):
        figures = json.loads(self.server.command("gpu", "--json").stdout)
        self.assertEqual(figures["models"][0]["name"], "demo:latest")
        for arguments in ([], ["--url", self.server.url]):
            text = self.server.command("gpu", "--once", *arguments).stdout
            self.assertRegex(text, r"demo:latest +9/9" if self.simulated else r"demo:latest +0/9")
            self.assertLessEqual(max(len(line) for line in text.splitlines()), 80)
        wrong = self.server.command("gpu", "--url", "http://127.0.0.1:9", check=False)
        self.assertEqual(wrong.returncode, 1)

    def test_7_prometheus_takes_all_of_it(self):
        for program in ("promtool", "prometheus"):
            if not shutil.which(program):
                self.skipTest(program + " is not installed")
        # The names of others, by which routers choose a server, follow no rule.
        own = "".join(line for line in self.metrics().splitlines(True) if "vllm:" not in line)
        checked = subprocess.run(["promtool", "check", "metrics"], input=own, text=True, capture_output=True)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        for what in (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"],
                     ["test", "rules", "alerts_test.yml"]):
            done = subprocess.run(["promtool", *what], cwd=ROOT + "/deploy/prometheus", text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_8_a_scrape_has_every_series_of_the_dashboards_and_alerts(self):
        if not shutil.which("prometheus"):
            self.skipTest("prometheus is not installed")
        with open(ROOT + "/deploy/prometheus/prometheus.yml") as file:
            config = file.read().replace("127.0.0.1:11434", f"{self.server.host}:{self.server.port}")
        config = config.replace("15s", "1s").replace("alerts.yml", os.path.abspath(ROOT + "/deploy/prometheus/alerts.yml"))
        folder = self.folder.name
        with open(folder + "/prometheus.yml", "w") as file:
            file.write(config)
        prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             "--web.listen-address=127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
        try:
            url = None
            for line in prometheus.stderr:
                found = re.search(r'Listening on" address=(\S+)|msg="Listening on" address=(\S+)', line)
                if found:
                    url = "http://" + (found[1] or found[2])
                    break
            self.assertIsNotNone(url, "prometheus does not start")
            threading.Thread(target=prometheus.stderr.read, daemon=True).start()

            def ask(path, **query):
                with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=30) as reply:
                    return json.load(reply)["data"]

            def scraped():
                try:
                    return ask("query", query='up{job="hearth"} == 1')["result"]
                except urllib.error.HTTPError:  # it is not ready yet
                    return []

            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not scraped():
                time.sleep(0.2)
            known = set(ask("label/__name__/values"))
        finally:
            prometheus.terminate()
            prometheus.wait(30)
            prometheus.stderr.close()
        self.assertTrue(set(name.partition("{")[0] for name in series(self.metrics())) <= known)
        used = set()
        for path in [ROOT + "/deploy/prometheus/alerts.yml",
                     *(entry.path for entry in os.scandir(ROOT + "/deploy/grafana/dashboards"))]:
            with open(path) as file:
                used |= set(re.findall(r"\bhearth_[a-z_]+", file.read()))
        # What there is only while something of the kind goes on, or is wrong.
        at_times = {"hearth_transfer_bytes", "hearth_findings", "hearth_model_not_on_gpu", "hearth_model_unloads_total"}
        if not self.simulated:
            at_times |= {name for name in used if name.startswith("hearth_gpu_")}
            at_times |= {"hearth_model_promised_bytes", "hearth_model_taken_bytes", "hearth_model_read_limit_bytes_per_second"}
        self.assertEqual(used - known - at_times, set())
        with open(ROOT + "/docs/runbook.md") as file:
            sections = {line[3:].strip().lower() for line in file if line.startswith("## ")}
        with open(ROOT + "/deploy/prometheus/alerts.yml") as file:
            linked = set(re.findall(r"runbook_url: docs/runbook.md#(\w+)", file.read()))
        self.assertEqual(linked, sections)


if __name__ == "__main__":
    unittest.main()
