#!/usr/bin/env python3
"""One GPU, a simulated one, for several models and for other programs: stacks, leases, neighbours.

sharing_test.py HEARTH SIM_FOLDER
"""
import concurrent.futures
import http.server
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import unittest

from program import Program
from store import Store, demo_bytes

SIM = sys.argv.pop()
HEARTH = sys.argv.pop()
LAYERS = 9  # of the demonstration model, with its output
ACTORS = ["coordinator", "coder", "vision"]


class Neighbour(http.server.ThreadingHTTPServer):
    """Looks like Ollama with one model. Unloading it makes a file, which frees memory in the simulator; a lying one only
    says so."""

    def __init__(self, frees=None):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self, value):
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                asked.append(self.path)
                self.reply({"models": [{"name": "llama3:8b"}]})

            def do_POST(self):
                asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                if frees:
                    open(frees, "w").close()
                self.reply({"done": True, "done_reason": "unload"})

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Sharing(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self, profile="tiny-laptop", faults="", names=("demo",), context=1024, **environment):
        store = Store(self.folder + "/models")
        for name in names:
            store.add(name, demo_bytes(8192))
        server = Program(HEARTH, gpu="auto", environment=store.environment | {
            "LD_LIBRARY_PATH": SIM, "HEARTH_SIM_PROFILE": profile, "HEARTH_SIM_FAULTS": faults,
            "HEARTH_SIM_LOG": self.folder + "/sim.log", "HEARTH_LEASE_DIR": self.folder + "/leases",
            "OLLAMA_CONTEXT_LENGTH": str(context)} | environment)
        self.addCleanup(server.close)
        return server

    def wait_for(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.05)

    def ask(self, server, model="demo", prompt="What is the capital of France?"):
        return server.json("POST", "/api/generate", {"model": model, "prompt": prompt, "stream": False,
                                                     "options": {"temperature": 0, "num_predict": 12}})["response"]

    def layers(self, server, model="demo"):
        for found in server.json("GET", "/api/ps")["models"]:
            if found["name"].removesuffix(":latest") == model:
                there = re.search(r"(\d+)/\d+ layers on GPU", found["placement"])
                return int(there[1]) if there else 0
        return None

    def metric(self, server, name):
        _, _, page = server.request("GET", "/metrics")
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in page.decode().splitlines()
                if line.startswith(name)}

    def stack(self, profile, context):
        keep = ",".join(f"{name} context={context} parallel=3" for name in ACTORS)
        return self.start(profile, names=ACTORS, HEARTH_KEEP=keep)

    def test_a_stack_that_fits_serves_three_users_with_one_load_for_each_model(self):
        for profile in ["tiny,memory_mib=192", "tiny,memory_mib=512"]:
            server = self.stack(profile, 512)
            server.wait_for("plan: all 3 models are wholly on GPUs")
            for _ in ACTORS:
                server.wait_for("is loaded in")
            self.wait_for(lambda: all(self.layers(server, name) == LAYERS for name in ACTORS), "not all are there")
            expected = {name: self.ask(server, name) for name in ACTORS}
            with concurrent.futures.ThreadPoolExecutor(3) as users:
                answers = list(users.map(lambda n: (ACTORS[n % 3], self.ask(server, ACTORS[n % 3])), range(18)))
            for name, answer in answers:
                self.assertEqual(answer, expected[name])
            loads = self.metric(server, "hearth_model_loads_total{")
            self.assertEqual(sorted(loads.values()), [1, 1, 1], loads)
            self.assertEqual(server.end(15), 0)

    def test_a_stack_that_does_not_fit_says_what_would_help(self):
        server = self.stack("tiny-laptop", 4096)
        server.wait_for("plan: not all fit; what would help, one of these:")
        server.wait_for("plan:   .* all 3 models are wholly on GPUs|plan:   .* on the CPU: the other")

    def test_a_lease_frees_memory_and_keeps_it_free_until_its_end(self):
        server = self.start("tiny,memory_mib=512")
        self.ask(server)
        self.assertEqual(self.layers(server), LAYERS)
        told = server.command("yield", "495MiB").stdout
        self.assertRegex(told, r"of GPU 0 .* are free until .* \(unloaded demo:latest \(.*\)\)")
        lease = server.json("GET", "/api/yield")["leases"][0]
        self.assertTrue(lease["complete"])
        self.assertEqual(lease["holder"], "hearth yield")
        self.assertEqual(list(self.metric(server, "hearth_leased_bytes{").values()), [495 << 20])
        self.assertEqual([(shown["holder"], shown["bytes"]) for shown in server.json("GET", "/api/ps")["leases"]],
                         [("hearth yield", 495 << 20)])
        self.assertRegex(server.command("ps").stderr, "note: 495 MiB of GPU 0 .* are kept free for hearth yield; that ends (9|10) minutes from now")
        self.ask(server)
        self.assertEqual(self.layers(server), 0, "the room is promised")
        renewed = server.json("POST", "/api/yield", {"lease": lease["lease"], "for": "1h"})
        self.assertGreater(renewed["until"], lease["until"])
        server.command("yield", "--end", lease["lease"])
        self.assertEqual(server.json("GET", "/api/yield")["leases"], [])
        self.assertEqual(server.request("DELETE", "/api/yield/" + lease["lease"])[0], 404)
        server.command("stop", "demo")
        self.wait_for(lambda: self.layers(server) is None, "demo has not gone")
        self.ask(server)
        self.assertEqual(self.layers(server), LAYERS, "the room is hearth's again")

    def test_a_program_has_the_memory_while_it_runs(self):
        server = self.start("tiny,memory_mib=512")
        self.ask(server)
        program = f"""{HEARTH} ps; ls {self.folder}/leases; curl -s {server.url}/api/yield; exit 7"""
        done = server.command("gpu", "run", "--need", "495MiB", "--", "sh", "-c", program, check=False)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("hearth unloaded demo:latest (", done.stderr)
        self.assertIn("GPU-", done.stdout)
        self.assertIn('"holder":"sh"', done.stdout)
        self.assertEqual(server.json("GET", "/api/yield")["leases"], [], "given back")
        for arguments in [["run"], ["run", "--need", "1MiB"], ["walk", "--need", "1MiB", "--", "true"]]:
            self.assertEqual(server.command("gpu", *arguments, check=False).returncode, 2, arguments)
        missing = server.command("gpu", "run", "--need", "1MiB", "--", "no-such-program", check=False)
        self.assertEqual((missing.returncode, missing.stderr.strip()),
                         (1, "hearth: cannot start no-such-program: No such file or directory"))

    def test_what_cannot_be_freed_and_what_makes_no_sense_is_told(self):
        server = self.start("tiny,memory_mib=512", faults="take mib=200 name=/usr/bin/game")
        done = server.command("yield", "400MiB", "--deadline-ms", "200", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("the rest is held by game (200 MiB)", done.stderr)
        self.assertEqual(server.json("GET", "/api/yield")["leases"], [])
        for body in [{}, {"bytes": 0}, {"bytes": "much"}, {"bytes": 1, "for": "-1m"}, {"bytes": 1 << 60}, []]:
            self.assertEqual(server.request("POST", "/api/yield", body)[0], 400, body)
        self.assertEqual(server.command("yield", check=False).returncode, 2)

    def test_a_lease_ends_by_itself(self):
        server = self.start("tiny,memory_mib=512")
        lease = server.json("POST", "/api/yield", {"bytes": 1 << 20, "for": 1})
        self.assertEqual(len(server.json("GET", "/api/yield")["leases"]), 1, lease)
        self.wait_for(lambda: server.json("GET", "/api/yield")["leases"] == [], "the lease has not ended")

    def test_an_idle_neighbour_is_asked_where_a_model_lacks_room(self):
        freed = self.folder + "/freed"
        neighbour = Neighbour(freed)
        self.addCleanup(neighbour.server_close)
        self.addCleanup(neighbour.shutdown)
        server = self.start("tiny,memory_mib=192", f"take mib=150 name=/usr/bin/ollama until-file={freed}",
                            HEARTH_NEIGHBOURS="ollama=" + neighbour.url)
        answer = self.ask(server)
        server.wait_for(r"demo:latest lacks room on the GPU: ollama at \S+ let go of llama3:8b: \S+ MiB came free")
        self.assertEqual(self.layers(server), LAYERS, "the memory was not taken at once")
        self.assertEqual(neighbour.asked, ["/api/ps", {"model": "llama3:8b", "keep_alive": 0}])
        self.assertEqual(self.ask(server), answer)

    def test_two_hearths_that_ask_each_other_come_to_rest(self):
        machine = {"HEARTH_SIM_STATE": self.folder + "/machine"}
        first = self.start("tiny,memory_mib=112", context=1024, **machine)
        self.ask(first)
        self.assertEqual(self.layers(first), LAYERS)
        second = self.start("tiny,memory_mib=112", context=1024, HEARTH_NEIGHBOURS="hearth=" + first.url, **machine)
        self.ask(second)
        second.wait_for(r"lacks room on the GPU: hearth at \S+ let go of demo:latest")
        self.wait_for(lambda: self.layers(second) == LAYERS, "the layers have not come to the GPU")
        # The first one's memory is promised now. It answers from the CPU, and asks nobody.
        self.ask(first)
        self.assertLess(self.layers(first), LAYERS)
        self.assertEqual(self.layers(second), LAYERS)
        loads = [self.metric(server, "hearth_model_loads_total{") for server in (first, second)]
        self.assertEqual([sum(counts.values()) for counts in loads], [2, 1])

    def test_a_neighbour_whose_client_loads_again_at_once_is_named_and_not_asked_again(self):
        freed = self.folder + "/freed"
        neighbour = Neighbour(freed)
        self.addCleanup(neighbour.server_close)
        self.addCleanup(neighbour.shutdown)
        server = self.start("tiny,memory_mib=192", f"take mib=150 name=/usr/bin/ollama until-file={freed};"
                            f"take mib=150 name=/usr/bin/llama-runner file={freed}",
                            HEARTH_NEIGHBOURS="ollama=" + neighbour.url)
        answer = self.ask(server)
        server.wait_for(r"no memory came free; the card's memory is held by llama-runner \(150 MiB\)")
        self.assertEqual(self.ask(server), answer)
        self.assertLess(self.layers(server), LAYERS)
        self.assertEqual(len(neighbour.asked), 2, neighbour.asked)

    def test_the_doctor_says_how_another_servers_models_would_lie_under_hearth(self):
        ollama = Neighbour()
        self.addCleanup(ollama.server_close)
        self.addCleanup(ollama.shutdown)
        server = self.start("tiny,memory_mib=512")
        server.command("cp", "demo", "llama3:8b")
        told = server.command("doctor", "--service", "ollama", "--url", ollama.url, check=False).stdout
        self.assertRegex(" ".join(told.split()), "The same under hearth: llama3:8b with 4096 tokens of context: "
                         f"{LAYERS}/{LAYERS} layers on GPU 0 .* weights, .* cache; its memory allows [0-9]+ tokens/s")
        server.command("rm", "llama3:8b")
        told = server.command("doctor", "--service", "ollama", "--url", ollama.url, "--json", check=False).stdout
        self.assertRegex(json.loads(told)["under_hearth"][0], "llama3:8b: not known: .*neither a file nor a model in")

    def test_a_neighbour_that_only_says_so_is_not_believed(self):
        neighbour = Neighbour()
        self.addCleanup(neighbour.server_close)
        self.addCleanup(neighbour.shutdown)
        server = self.start("tiny,memory_mib=192", "take mib=150 name=/usr/bin/ollama",
                            HEARTH_NEIGHBOURS="ollama=" + neighbour.url)
        self.ask(server)
        server.wait_for("said that it did, but no memory came free")
        self.assertLess(self.layers(server), LAYERS)


if __name__ == "__main__":
    if not os.path.exists(SIM + "/libcuda.so.1"):
        print("skipped: the simulated driver is not built")
        sys.exit(77)
    unittest.main()
