#!/usr/bin/env python3
"""Pictures through every API and the command line: a tiny vision model in a store, real pictures, hostile ones.

vision_test.py HEARTH SHARED
"""
import base64
import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

from program import Program
from store import Store

SHARED = sys.argv.pop()
HEARTH = sys.argv.pop()
PICTURES = f"{SHARED}/golden/vision/images"
# Text model and encoder: one whose tokens see one another, one with rows and columns, one with tiles.
MODELS = {"llava": ("tiny/llama.gguf", "llava"), "gemma3": ("tiny/gemma3.gguf", "gemma3"),
          "qwen3vl": ("vision/text-qwen3vl.gguf", "qwen3vl"), "next": ("tiny/llama.gguf", "llava-next")}


def picture(name):
    with open(f"{PICTURES}/{name}", "rb") as file:
        return base64.b64encode(file.read()).decode()


def long_picture():
    """A PNG of 49 million pixels in a few kilobytes, whose decoder has something to do."""
    side = 7000
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = zlib.compressobj(1)
    pixels = b"".join(rows.compress(bytes(side + 1)) for _ in range(side)) + rows.flush()
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) + \
        chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return base64.b64encode(file).decode()


def children_of(parent):
    """Process ids."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                if int(file.read().rsplit(")", 1)[1].split()[1]) == parent:
                    yield int(name)
        except OSError:
            pass


class Vision(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        store = cls.store = Store(cls.folder.name)
        for name, (text, encoder) in MODELS.items():
            with open(f"{SHARED}/models/{text}", "rb") as model, \
                    open(f"{SHARED}/models/vision/mmproj-{encoder}.gguf", "rb") as projector:
                store.add(name, model.read(), template="{{ .Prompt }}", projector=projector.read())
        cls.server = Program(HEARTH, environment=store.environment)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.folder.cleanup()

    def chat(self, model, *images, text="What is this?", **more):
        message = {"role": "user", "content": text, "images": list(images)}
        return self.server.json("POST", "/api/chat", {"model": model, "stream": False, "messages": [message],
                                                      "options": {"temperature": 0, "num_predict": 8}} | more)

    def test_models_that_see_say_so(self):
        for model in MODELS:
            self.assertIn("vision", self.server.json("POST", "/api/show", {"model": model})["capabilities"], model)
        self.assertNotIn("vision", self.server.json("POST", "/api/show", {"model": "demo"})["capabilities"])

    def test_the_answer_depends_on_the_picture_and_the_prompt_has_its_tokens(self):
        for model, tokens in (("llava", 16), ("gemma3", 4), ("qwen3vl", 12), ("next", 70)):
            without = self.chat(model, logprobs=True)
            photo = self.chat(model, picture("photo.png"), logprobs=True)
            portrait = self.chat(model, picture("portrait.png"), logprobs=True)
            self.assertGreaterEqual(photo["prompt_eval_count"] - without["prompt_eval_count"], tokens, model)
            # A tiny model may choose the same words, but not for the same reasons. The one of Gemma says its last word
            # again, whatever comes before.
            reasons = {tuple(token["logprob"] for token in answer["logprobs"]) for answer in (without, photo, portrait)}
            self.assertEqual(len(reasons), 1 if model == "gemma3" else 3, f"{model}: {reasons}")
            self.assertEqual(self.chat(model, picture("photo.png"))["message"], photo["message"], model)

    def test_the_same_conversation_computes_its_picture_once(self):
        text = "Tell me what you see here, and take your time for it, since there is much to see. " * 3
        first = self.chat("next", picture("baseline.jpg"), text=text)
        again = self.chat("next", picture("baseline.jpg"), text=text)
        self.assertEqual(first.get("prompt_eval_cached_count", 0), 0)
        self.assertGreaterEqual(again["prompt_eval_cached_count"], 64)
        other = self.chat("next", picture("square.png"), text=text)
        self.assertLess(other.get("prompt_eval_cached_count", 0), 64)

    def test_every_dialect_gives_the_same_answer(self):
        expected = self.chat("llava", picture("photo.png"))["message"]["content"]
        url = "data:image/png;base64," + picture("photo.png")
        completion = self.server.json("POST", "/v1/chat/completions", {
            "model": "llava", "temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is this?"}]}]})
        self.assertEqual(completion["choices"][0]["message"]["content"], expected)
        response = self.server.json("POST", "/v1/responses", {
            "model": "llava", "temperature": 0, "max_output_tokens": 8, "input": [{"role": "user", "content": [
                {"type": "input_image", "image_url": url}, {"type": "input_text", "text": "What is this?"}]}]})
        self.assertEqual(response["output"][-1]["content"][0]["text"], expected)
        message = self.server.json("POST", "/v1/messages", {
            "model": "llava", "temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture("photo.png")}},
                {"type": "text", "text": "What is this?"}]}]})
        self.assertEqual("".join(block.get("text", "") for block in message["content"]), expected)
        generated = self.server.json("POST", "/api/generate", {
            "model": "llava", "prompt": "What is this?", "images": [picture("photo.png")], "stream": False,
            "options": {"temperature": 0, "num_predict": 8}})
        self.assertEqual(generated["response"], expected)

    def test_several_pictures_and_every_kind_of_file(self):
        two = self.chat("llava", picture("photo.png"), picture("baseline.jpg"))
        self.assertGreater(two["prompt_eval_count"], self.chat("llava", picture("photo.png"))["prompt_eval_count"])
        for name in ("progressive.jpg", "cmyk.jpg", "turned-6.jpg", "lossy.webp", "frames.gif", "rgb.bmp", "gray-alpha.png"):
            self.chat("llava", picture(name))

    def test_what_is_no_picture_is_refused_by_name_and_the_server_goes_on(self):
        for name, words in (("bomb.png", "60000 x 60000"), ("cut.png", "broken PNG"), ("lying.png", "broken PNG"),
                            ("zero.png", "broken PNG"), ("text.png", "no PNG, JPEG"), ("cut.jpg", "broken JPEG")):
            status, _, body = self.server.request("POST", "/api/chat", {
                "model": "llava", "messages": [{"role": "user", "content": "a", "images": [picture("photo.png"), picture(name)]}]})
            self.assertEqual(status, 400, name)
            self.assertIn("picture 2", json.loads(body)["error"], name)
            self.assertIn(words, json.loads(body)["error"], name)
        status, _, body = self.server.request("POST", "/v1/chat/completions", {
            "model": "llava", "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}]}]})
        self.assertEqual(status, 400)
        self.assertIn(b"not fetched", body)
        self.assertTrue(self.chat("llava", picture("photo.png"))["done"])

    def test_a_decoder_that_crashes_costs_one_request(self):
        body = {"model": "llava", "messages": [{"role": "user", "content": "a", "images": [long_picture()]}]}
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.server.request("POST", "/api/chat", body)))
        asking.start()
        while not answers and not (decoders := list(children_of(self.server.process.pid))):
            time.sleep(0.001)
        os.kill(decoders[0], signal.SIGSEGV)
        asking.join()
        status, _, answer = answers[0]
        self.assertEqual(status, 400)
        self.assertIn("picture 1: a picture that its decoder could not read", json.loads(answer)["error"])
        self.server.wait_for("decoder of a picture ended by signal 11")
        self.assertTrue(self.chat("llava", picture("photo.png"))["done"])
        self.assertEqual(list(children_of(self.server.process.pid)), [])

    def test_addresses_lead_to_no_private_network_whoever_allows_them(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
            server = Program(HEARTH, "--set", "pictures_from=http://127.0.0.1:*,https://example.org/",
                             environment=self.store.environment)
            try:
                for path, source in (("/v1/chat/completions", {"type": "image_url", "image_url": {"url": url}}),
                                     ("/v1/messages", {"type": "image", "source": {"type": "url", "url": url}})):
                    status, _, body = server.request("POST", path, {
                        "model": "llava", "max_tokens": 4, "messages": [{"role": "user", "content": [source]}]})
                    self.assertEqual(status, 400, body)
                    self.assertIn(b"is at 127.0.0.1, where no connection may go", body)
                status, _, body = server.request("POST", "/v1/chat/completions", {
                    "model": "llava", "messages": [{"role": "user", "content": [
                        {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]}]})
                self.assertEqual(status, 400, body)
                self.assertIn(b"pictures of https://example.com are not fetched here", body)
            finally:
                server.close()
            self.assertRaises(BlockingIOError, listener.accept)

    def test_decoders_are_confined_and_nobody_is_told_otherwise(self):
        self.chat("llava", picture("square.png"))
        self.assertFalse([line for line in self.server.log if "confine" in line and "sanitizer" not in line])

    def test_a_model_that_does_not_see_says_so(self):
        status, _, body = self.server.request("POST", "/api/chat", {
            "model": "demo", "messages": [{"role": "user", "content": "a", "images": [picture("photo.png")]}]})
        self.assertEqual(status, 400)
        self.assertIn("does not see pictures", json.loads(body)["error"])
        # In a tool's result it would stand in the way of the whole conversation.
        status, headers, _ = self.server.request("POST", "/v1/messages", {
            "model": "demo", "max_tokens": 4, "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture("photo.png")}}]}]}]})
        self.assertEqual(status, 200)

    def test_requests_at_once_get_their_own_answers(self):
        names = ["photo.png", "portrait.png", "square.png", "tall.png", "wide.png", "lossy.webp", "rgb.bmp", "small.png"]
        ask = lambda server, model, name: server.json("POST", "/api/chat", {
            "model": model, "stream": False, "logprobs": True, "options": {"temperature": 0, "num_predict": 4},
            "messages": [{"role": "user", "content": "What is this?", "images": [picture(name)]}]})
        reasons = lambda answer: [token["logprob"] for token in answer["logprobs"]]
        jobs = [(model, name) for model in ("next", "qwen3vl") for name in names]
        other = Program(HEARTH, environment=self.store.environment)  # which has seen none of them
        try:
            with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
                together = list(pool.map(lambda job: ask(other, *job), jobs))
        finally:
            other.close()
        for job, answer in zip(jobs, together):
            alone = ask(self.server, *job)
            self.assertEqual(answer["prompt_eval_count"], alone["prompt_eval_count"], job)
            for one, two in zip(reasons(answer), reasons(alone), strict=True):
                self.assertAlmostEqual(one, two, 4, job)

    def test_a_client_that_goes_away_disturbs_nobody(self):
        ask = {"model": "next", "stream": False, "options": {"temperature": 0, "num_predict": 4},
               "messages": [{"role": "user", "content": "a", "images": [picture("large.png"), picture("tall.png")]}]}
        for _ in range(4):
            connection = http.client.HTTPConnection(self.server.host, self.server.port)
            connection.request("POST", "/api/chat", json.dumps(ask))
            connection.close()
        self.assertTrue(self.server.json("POST", "/api/chat", ask)["done"])

    def test_counting_tokens_counts_those_of_pictures(self):
        for model in MODELS:
            messages = [{"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture("wide.png")}},
                {"type": "text", "text": "What is this?"}]}]
            counted = self.server.json("POST", "/v1/messages/count_tokens", {"model": model, "messages": messages})
            usage = self.server.json("POST", "/v1/messages", {"model": model, "max_tokens": 1, "messages": messages})["usage"]
            self.assertEqual(counted["input_tokens"], usage["input_tokens"] + usage["cache_read_input_tokens"], model)
        status, _, body = self.server.request("POST", "/v1/messages/count_tokens", {"model": "demo", "messages": messages})
        self.assertEqual(status, 400)
        self.assertIn(b"does not see pictures", body)

    def test_pictures_are_items_of_a_workflow(self):
        names = ["photo.png", "baseline.jpg"]
        expected = [self.chat("llava", picture(name))["message"]["content"] for name in names]
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/photos")
            for name in names:
                shutil.copy(f"{PICTURES}/{name}", f"{folder}/photos/{name}")
            step = 'step = [{ name = "see", model = "llava", max_tokens = 8, options = { temperature = 0 }, ' \
                   'prompt = "What is this?", images = ["{{ item.%s }}"] }]\n'
            def run(items, member):
                with open(f"{folder}/work.toml", "w") as file:
                    file.write(f'name = "see"\nitems = {items}\n' + step % member)
                done = self.server.command("batch", "run", f"{folder}/work.toml", "--out", f"{folder}/out.jsonl",
                                           environment={"OLLAMA_HOST": self.server.url}, check=False)
                if done.returncode != 0:
                    return done, {}
                with open(f"{folder}/out.jsonl") as file:
                    return done, {line["key"]: line["steps"]["see"]["text"] for line in map(json.loads, file)}
            with open(f"{folder}/photos.csv", "w") as file:
                file.write("id,photo\n" + "".join(f"{i},photos/{name}\n" for i, name in enumerate(names)))
            done, texts = run('{ file = "photos.csv", key = "id", images = "photo" }', "photo")
            self.assertEqual(texts, {"0": expected[0], "1": expected[1]}, done.stderr)
            done, texts = run('{ folder = "photos" }', "image")
            self.assertEqual(texts, dict(zip(names, expected)), done.stderr)
            # The same name, another picture: what was answered is not taken for it.
            shutil.copy(f"{PICTURES}/baseline.jpg", f"{folder}/photos/photo.png")
            done, texts = run('{ folder = "photos" }', "image")
            self.assertEqual(texts, dict(zip(names, [expected[1]] * 2)), done.stderr)
            for content, words in (("0,photos/nothing.png", "cannot read"), ("0,photos.csv", "no picture"), ("0,", "path of a picture")):
                with open(f"{folder}/photos.csv", "w") as file:
                    file.write("id,photo\n" + content + "\n")
                done, _ = run('{ file = "photos.csv", key = "id", images = ["photo"] }', "photo")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)

    def ended(self, path, member, wanted):
        for _ in range(600):
            batch = self.server.json("GET", path)
            if batch[member] == wanted:
                return batch
            time.sleep(0.1)
        raise AssertionError(batch)

    def test_pictures_in_batches_of_the_dialects(self):
        expected = self.chat("llava", picture("photo.png"))["message"]["content"]
        url = "data:image/png;base64," + picture("photo.png")
        body = {"model": "llava", "temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is this?"}]}]}
        line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body})
        form = ('--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
                f'--B\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n{line}\r\n--B--\r\n')
        file = self.server.json("POST", "/v1/files", form, {"Content-Type": "multipart/form-data; boundary=B"})
        batch = self.server.json("POST", "/v1/batches", {"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
                                                         "completion_window": "24h"})
        done = self.ended("/v1/batches/" + batch["id"], "status", "completed")
        answer = json.loads(self.server.request("GET", f"/v1/files/{done['output_file_id']}/content")[2])
        self.assertEqual(answer["response"]["body"]["choices"][0]["message"]["content"], expected)
        params = {"model": "llava", "temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture("photo.png")}},
            {"type": "text", "text": "What is this?"}]}]}
        batch = self.server.json("POST", "/v1/messages/batches", {"requests": [{"custom_id": "a", "params": params}]})
        path = "/v1/messages/batches/" + batch["id"]
        self.ended(path, "processing_status", "ended")
        message = json.loads(self.server.request("GET", path + "/results")[2])["result"]["message"]
        self.assertEqual("".join(block.get("text", "") for block in message["content"]), expected)

    def test_the_command_takes_paths_in_the_prompt(self):
        model = [f"{SHARED}/models/tiny/llama.gguf", "--mmproj", f"{SHARED}/models/vision/mmproj-llava.gguf"]
        options = ["--gpu", "off", "--temperature", "0", "--num-predict", "8", "--raw"]
        run = lambda *words: subprocess.run([HEARTH, "run", *model, *words, *options[:-1]], stdin=subprocess.DEVNULL,
                                            capture_output=True, text=True, timeout=120)
        named = run("What is this?", "--image", f"{PICTURES}/photo.png")
        self.assertEqual(named.returncode, 0, named.stderr)
        timed = run("What is this?", "--image", f"{PICTURES}/photo.png", "--verbose").stderr
        self.assertRegex(timed, r"pictures duration: +\d")
        among = run("What is this?", f"{PICTURES}/photo.png")
        within = run(f"What is this? {PICTURES}/photo.png")
        self.assertEqual(among.stdout, named.stdout)
        self.assertEqual(within.stdout, named.stdout)
        other = run("What is this?", f"{PICTURES}/bomb.png")
        self.assertNotEqual(other.returncode, 0)
        self.assertIn("60000 x 60000", other.stderr)
        missing = run("What is this?", "--image", f"{PICTURES}/nothing.png")
        self.assertNotEqual(missing.returncode, 0)
        self.assertIn("nothing.png", missing.stderr)


if not os.path.isdir(PICTURES):
    if os.environ.get("HEARTH_REQUIRE_SHARED"):
        sys.exit(f"shared material not found: {PICTURES}")
    print(f"SKIPPED: shared material not found: {PICTURES}")
    sys.exit(77)
unittest.main()
