#!/usr/bin/env python3
"""Batch jobs: workflows of two models that are not loaded together, through a server and without one, killed at random.

batch_test.py HEARTH; HEARTH_SEED repeats a run of the storms, BATCH_STORM_SECONDS makes them longer.
"""
import contextlib
import csv
import ctypes
import json
import os
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from program import Program
from store import Store, demo_bytes

HEARTH = sys.argv.pop()
SEED = int(os.environ.get("HEARTH_SEED", random.randrange(1 << 32)))
STORM_SECONDS = float(os.environ.get("BATCH_STORM_SECONDS", 10))

DEBATE = """
name = "debate"
items = { file = "jobs.csv", key = "id" }
step = [
  { name = "pro", model = "one", max_tokens = 8, prompt = "Argue for {{ item.title }}" },
  { name = "con", model = "two", max_tokens = 8, prompt = "Answer: {{ pro.text }}" },
  { name = "judge", model = "one", max_tokens = 8, prompt = "{{ pro.text }} --- {{ con.text }}" } ]
"""
# Steps that take so long that what a test does meanwhile comes before the end.
LONG_DEBATE = DEBATE.replace("max_tokens = 8", "max_tokens = 100")


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        store = Store(self.folder.name + "/models")
        model = demo_bytes()
        # The same weights, and two models all the same: their defaults differ.
        store.add("one", model, {"top_k": 40})
        store.add("two", model, {"top_k": 41})
        self.environment = {"OLLAMA_MODELS": self.folder.name + "/models", "HEARTH_MAX_MODELS": "1",
                            "HEARTH_STATE": self.folder.name + "/state", "HEARTH_GPU": "off"}

    def serve(self):
        program = Program(HEARTH, state=self.folder.name + "/state", environment=self.environment)
        self.addCleanup(program.close)
        return program

    def write(self, items, workflow=DEBATE):
        with open(self.path / "jobs.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["id", "title"])
            rows.writerows([f"k{i}", f"thing {i}, \"quoted\""] for i in range(items))
        (self.path / "debate.toml").write_text(workflow)
        return str(self.path / "debate.toml")

    def command(self, *arguments, check=True, input="", **more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("OLLAMA_", "HEARTH_LISTEN"))}
        done = subprocess.run([HEARTH, "batch", *arguments], capture_output=True, text=True, input=input, timeout=600,
                              env=environment | self.environment, **more)
        if check and done.returncode != 0:
            raise AssertionError(f"batch {' '.join(arguments)}: {done.returncode}: {done.stderr}")
        return done

    def wait_for_steps(self, program, key):
        for _ in range(600):
            if program.json("GET", "/hearth/jobs/" + key)["steps"].get("done", 0) > 0:
                return
            time.sleep(0.1)
        raise AssertionError("no step was done in a minute")

    def lines(self, path):
        return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


class Run(Case):
    def test_without_a_server_it_does_all_in_one_call(self):
        workflow, out = self.write(6), str(self.path / "out.jsonl")
        self.command("run", workflow, "--out", out)
        lines = self.lines(out)
        self.assertEqual([line["key"] for line in lines], [f"k{i}" for i in range(6)])
        self.assertEqual(lines[0]["item"], {"id": "k0", "title": 'thing 0, "quoted"'})
        self.assertEqual(set(lines[0]["steps"]), {"pro", "con", "judge"})
        step = lines[0]["steps"]["con"]
        self.assertEqual(set(step), {"text", "json", "finish_reason", "usage", "error"})
        self.assertTrue(step["text"])
        self.assertGreater(step["usage"]["completion_tokens"], 0)
        # Once more: it attaches, and writes the same.
        again = self.command("run", workflow)
        self.assertIn("is there already", again.stderr)
        self.assertEqual([json.loads(line) for line in again.stdout.splitlines()], lines)

    def test_a_list_of_prompts_needs_no_file(self):
        done = self.command("run", "--model", "one", "--max-tokens", "4", "--prompt", "Say {{ item.text }}", "-",
                            input="a\nb\n")
        self.assertEqual([json.loads(line)["item"]["text"] for line in done.stdout.splitlines()], ["a", "b"])

    def test_through_a_server_with_all_the_commands(self):
        program = self.serve()
        workflow = self.write(20)
        plan = self.command("submit", "--dry-run", workflow).stdout
        self.assertIn("20 items, 60 steps, 3 turns", plan)
        self.assertRegex(plan, r"largest prompt of pro: \d+ tokens, context \d+")
        self.write(20, LONG_DEBATE)
        key = self.command("submit", workflow).stdout.strip()
        self.command("pause", key)
        self.assertIn("paused", self.command("ls").stdout)
        self.command("resume", key)
        watched = self.command("watch", key)
        self.assertIn("60/60 steps", watched.stderr)
        table = self.command("results", "debate", "--format", "csv").stdout
        rows = list(csv.reader(table.splitlines()))
        self.assertEqual(rows[0], ["key", "pro", "con", "judge"])
        self.assertEqual(len(rows), 21)
        metrics = program.request("GET", "/metrics")[2].decode()
        self.assertIn('hearth_batch_steps{state="done"} 60', metrics)
        loads = sum(float(n) for n in re.findall(r'^hearth_model_loads_total\{.*\} (\S+)$', metrics, re.M))
        self.assertLessEqual(loads, 4)
        # An edit of the last step keeps the others' results.
        self.write(20, LONG_DEBATE.replace("{{ pro.text }} ---", "{{ pro.text }} +++"))
        diff = self.command("diff", workflow).stdout
        self.assertRegex(diff, r"con +20 known +0 to do")
        self.assertRegex(diff, r"judge +0 known +20 to do")

    def test_cancel_keeps_what_is_done(self):
        program = self.serve()
        key = self.command("submit", self.write(2000, LONG_DEBATE)).stdout.strip()
        self.wait_for_steps(program, key)
        self.command("cancel", key)
        self.assertIn("cancelled", self.command("ls").stdout)
        done = [line for line in self.command("results", key).stdout.splitlines() if json.loads(line)["steps"]["pro"]["text"]]
        self.assertGreater(len(done), 0)

    def test_what_is_wrong_is_refused_with_its_place(self):
        def refusal(workflow, items="id,title\n1,x\n"):
            self.write(1, workflow)
            (self.path / "jobs.csv").write_text(items)
            done = self.command("submit", "--dry-run", str(self.path / "debate.toml"), check=False)
            self.assertNotEqual(done.returncode, 0)
            return done.stderr
        self.assertIn("jobs.csv:3:", refusal(DEBATE, "id,title\n1,x\n2,\"y\n"))
        self.assertIn("jobs.csv:2:", refusal(DEBATE, "id,title\n1\n"))
        self.assertIn("debate.toml:5:", refusal(DEBATE.replace("item.title", "itm.title")))
        self.assertIn("title", refusal(DEBATE, "id,name\n1,x\n"))
        self.assertIn("nobody", refusal(DEBATE.replace('"two"', '"nobody"')))
        self.assertIn("wait for each other", refusal(DEBATE.replace("{{ item.title }}", "{{ judge.text }}")))
        self.assertIn("context of", refusal(DEBATE, "id,title\n1," + "word " * 9000 + "\n"))
        self.assertIn("max_tokens", refusal(DEBATE.replace("max_tokens = 8, prompt = \"Argue", "options = { max_tokens = \"x\" }, prompt = \"Argue")))
        self.assertIn("too many steps", refusal(DEBATE.replace("{{ con.text }}", "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{{ con.text }}")))
        self.assertIn("was there before", self.command("submit", self.duplicate(), check=False).stderr)

    def duplicate(self):
        workflow = self.write(1)
        (self.path / "jobs.csv").write_text("id,title\n1,x\n1,y\n")
        return workflow

    def test_jobs_belong_to_their_key(self):
        program = self.serve()
        ann = program.command("key", "add", "ann").stdout.strip()
        bob = program.command("key", "add", "bob").stdout.strip()
        head = json.dumps({"workflow": {"name": "w", "step": [{"name": "s", "model": "one", "prompt": "x",
                                                             "options": {"max_tokens": 2}}]}})
        body = head + '\n{"key":"1","data":{}}\n'
        as_ann, as_bob = ({"Authorization": "Bearer " + key} for key in (ann, bob))
        program.json("POST", "/hearth/jobs/j", body, as_ann)
        self.assertEqual(program.request("GET", "/hearth/jobs/j", headers=as_bob)[0], 404)
        self.assertEqual(program.json("GET", "/hearth/jobs", headers=as_bob)["jobs"], [])
        self.assertEqual(len(program.json("GET", "/hearth/jobs", headers=as_ann)["jobs"]), 1)

    def test_a_hundred_thousand_steps_in_bounded_memory(self):
        program = self.serve()
        before, items, most = program.memory_bytes(), 33_400, [0]
        over = threading.Event()

        def watch():
            while not over.wait(0.05):
                most[0] = max(most[0], program.memory_bytes())
        watcher = threading.Thread(target=watch)
        watcher.start()
        key = self.command("submit", self.write(items)).stdout.strip()
        self.assertIn("33400", self.command("ls").stdout)
        self.command("cancel", key)
        self.command("results", key, "--out", str(self.path / "out.jsonl"))
        self.command("results", key, "--format", "sqlite", "--out", str(self.path / "out.db"))
        over.set()
        watcher.join()
        with open(self.path / "out.jsonl") as file:
            self.assertEqual(sum(1 for _ in file), items)
        with sqlite3.connect(self.path / "out.db") as database:
            self.assertEqual(database.execute("SELECT count(*) FROM result").fetchone()[0], 3 * items)
        self.assertLess(most[0] - before, 300 << 20)  # the model is loaded meanwhile

    def test_people_go_first(self):
        program = self.serve()
        key = self.command("submit", self.write(2000, LONG_DEBATE)).stdout.strip()
        self.wait_for_steps(program, key)
        program.json("POST", "/api/generate", {"model": "two", "prompt": "x", "stream": False, "options": {"num_predict": 4}})
        # The other model's turn would have come after 2000 steps.
        self.assertLess(program.json("GET", "/hearth/jobs/" + key)["steps"]["done"], 1000)


class Storm(Case):
    """kill -9 at random: the results are those of an undisturbed run, each step once."""

    def setUp(self):
        super().setUp()
        print(f"HEARTH_SEED={SEED}", flush=True)
        self.chance = random.Random(SEED)

    def undisturbed(self, workflow):
        out = str(self.path / "expected.jsonl")
        state = self.environment["HEARTH_STATE"]
        self.environment["HEARTH_STATE"] = state + "-other"
        self.command("run", workflow, "--out", out)
        self.environment["HEARTH_STATE"] = state
        return self.lines(out)

    def finish(self, workflow):
        """A step that three deaths hit is taken for poison; its owner tries it again."""
        out = str(self.path / "out.jsonl")
        for _ in range(5):
            done = self.command("run", workflow, "--out", out, check=False)
            if done.returncode == 0:
                return self.lines(out)
            self.command("retry", "--failed", "debate")
        raise AssertionError(done.stderr)

    def test_of_the_command(self):
        workflow = self.write(300)
        expected = self.undisturbed(workflow)
        environment = os.environ | self.environment
        end, kills = time.monotonic() + STORM_SECONDS, 0
        while time.monotonic() < end:
            process = subprocess.Popen([HEARTH, "batch", "run", workflow, "--out", str(self.path / "out.jsonl")],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
            time.sleep(self.chance.uniform(0.3, 1.5))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        self.assertGreater(kills, 0)
        self.assertEqual(self.finish(workflow), expected)

    def test_of_the_server(self):
        workflow = self.write(300)
        expected = self.undisturbed(workflow)
        end = time.monotonic() + STORM_SECONDS
        submitted = False
        while time.monotonic() < end:
            program = self.serve()
            if not submitted:
                submitted = self.command("submit", workflow, check=False).returncode == 0
            time.sleep(self.chance.uniform(0.3, 1.5))
            program.process.kill()
            program.process.wait()
        self.serve()
        self.assertEqual(self.finish(workflow), expected)


CLONE_NEWNS = 0x20000


def private_mounts():
    """What is mounted from now on is seen by this process and its children only, and goes with them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode == 0


@unittest.skipUnless(private_mounts(), "mounting is not allowed here")
class FullDisk(Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.environment["HEARTH_STATE"])
        command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "none", self.environment["HEARTH_STATE"]]
        if subprocess.run(command, capture_output=True).returncode != 0:
            self.skipTest("tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", self.environment["HEARTH_STATE"]])

    def test_holds_the_queue_up_with_a_finding_and_loses_nothing(self):
        program = self.serve()
        workflow = self.write(200, LONG_DEBATE)
        key = self.command("submit", workflow).stdout.strip()
        filler = pathlib.Path(self.environment["HEARTH_STATE"], "filler")
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        reasons = lambda: [r["id"] for r in json.loads(program.request("GET", "/health")[2])["reasons"]]
        for _ in range(300):
            if "batch-held-up" in reasons():
                break
            time.sleep(0.1)
        self.assertIn("batch-held-up", reasons())
        self.assertLess(program.json("GET", "/hearth/jobs/" + key)["steps"].get("done", 0), 600)
        filler.unlink()
        out = str(self.path / "out.jsonl")
        self.command("run", workflow, "--out", out)
        self.assertEqual(len(self.lines(out)), 200)
        self.assertNotIn("batch-held-up", reasons())


class Dialects(Case):
    def form(self, content, purpose="batch"):
        parts = [f'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n',
                 f'--B\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n{content}\r\n--B--\r\n']
        return "".join(parts), {"Content-Type": "multipart/form-data; boundary=B"}

    def line(self, number, **more):
        body = {"model": "one", "messages": [{"role": "user", "content": f"say {number}"}], "max_tokens": 4}
        return json.dumps({"custom_id": f"c{number}", "method": "POST", "url": "/v1/chat/completions", "body": body} | more)

    def batch(self, program, content):
        file = program.json("POST", "/v1/files", *self.form(content))
        return program.json("POST", "/v1/batches", {"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
                                                    "completion_window": "24h"})

    def wait(self, program, path, done):
        for _ in range(600):
            got = program.json("GET", path)
            if done(got):
                return got
            time.sleep(0.1)
        raise AssertionError(got)

    def test_openai(self):
        program = self.serve()
        bad = json.loads(self.line(2))
        bad["body"]["temperature"] = 9
        missing = json.loads(self.line(3))
        missing["body"]["model"] = "nobody"
        batch = self.batch(program, "\n".join([self.line(1), json.dumps(bad), json.dumps(missing)]))
        done = self.wait(program, "/v1/batches/" + batch["id"], lambda b: b["status"] == "completed")
        self.assertEqual(done["request_counts"], {"total": 3, "completed": 1, "failed": 2})
        output = program.request("GET", f"/v1/files/{done['output_file_id']}/content")[2]
        self.assertEqual(json.loads(output)["custom_id"], "c1")
        self.assertEqual(json.loads(output)["response"]["body"]["object"], "chat.completion")
        file = program.json("GET", f"/v1/files/{done['output_file_id']}")
        self.assertEqual((file["bytes"], file["purpose"]), (len(output), "batch_output"))
        errors = [json.loads(line) for line in
                  program.request("GET", f"/v1/files/{done['error_file_id']}/content")[2].splitlines()]
        self.assertEqual([e["custom_id"] for e in errors], ["c2", "c3"])
        self.assertEqual([e["response"]["status_code"] for e in errors], [400, 404])
        self.assertEqual(program.request("POST", f"/v1/batches/{batch['id']}/cancel")[0], 409)
        self.assertEqual(program.json("DELETE", f"/v1/files/{done['output_file_id']}")["deleted"], True)
        self.assertEqual(program.request("GET", f"/v1/files/{done['output_file_id']}")[0], 404)
        self.assertEqual(program.json("GET", "/v1/batches")["data"][0]["id"], batch["id"])

    def test_openai_refuses_a_file_with_bad_lines(self):
        program = self.serve()
        lines = [self.line(1), "{", self.line(1), self.line(4, method="GET"), self.line(5, url="/v1/embeddings")]
        batch = self.batch(program, "\n".join(lines))
        self.assertEqual(batch["status"], "failed")
        self.assertEqual([(e["line"], e["code"]) for e in batch["errors"]["data"]],
                         [(2, "invalid_json_line"), (3, "duplicate_custom_id"), (4, "invalid_method"), (5, "mismatched_url")])
        self.assertEqual(self.batch(program, "")["status"], "failed")
        self.assertEqual(program.request("POST", "/v1/files", *self.form("x", "fine-tune"))[0], 400)
        self.assertEqual(program.request("POST", "/v1/files", "rubbish", {"Content-Type": "text/plain"})[0], 400)
        self.assertEqual(program.request("GET", "/v1/batches/batch_none")[0], 404)

    def test_anthropic(self):
        program = self.serve()
        params = {"model": "one", "max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]}
        batch = program.json("POST", "/v1/messages/batches", {"requests": [
            {"custom_id": "a", "params": params}, {"custom_id": "b", "params": params | {"model": "nobody"}}]})
        done = self.wait(program, "/v1/messages/batches/" + batch["id"], lambda b: b["processing_status"] == "ended")
        self.assertEqual((done["request_counts"]["succeeded"], done["request_counts"]["errored"]), (1, 1))
        results = [json.loads(line) for line in
                   program.request("GET", f"/v1/messages/batches/{batch['id']}/results")[2].splitlines()]
        self.assertEqual(results[0]["result"]["message"]["type"], "message")
        self.assertEqual(results[1]["result"]["error"]["type"], "error")
        self.assertEqual(program.request("POST", "/v1/messages/batches", {"requests": [
            {"custom_id": "a", "params": params}] * 2})[0], 400)
        self.assertEqual(program.json("DELETE", f"/v1/messages/batches/{batch['id']}")["type"], "message_batch_deleted")


if __name__ == "__main__":
    unittest.main()
