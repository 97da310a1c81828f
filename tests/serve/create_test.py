#!/usr/bin/env python3
"""Models that are made while a server runs: /api/create and /api/blobs, as Ollama's clients use them.

create_test.py HEARTH
"""
import hashlib
import http.client
import json
import os
import sys
import tempfile
import threading
import unittest

from checkpoint import tiny_checkpoint
from program import Program
from store import Store, demo_bytes

HEARTH = sys.argv.pop()


class Create(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.store = Store(cls.folder.name)
        cls.store.add("base", parameters={"num_predict": 8, "temperature": 0})
        cls.server = Program(HEARTH, environment=cls.store.environment)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.folder.cleanup()

    def create(self, **body):
        """Status and lines of the stream."""
        status, _, data = self.server.request("POST", "/api/create", body)
        return status, [json.loads(line) for line in data.splitlines()]

    def upload(self, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        status, _, _ = self.server.request("POST", "/api/blobs/" + digest, data)
        self.assertIn(status, (200, 201))
        return digest

    def show(self, name):
        return self.server.json("POST", "/api/show", {"model": name})

    def names(self):
        return [m["name"] for m in self.server.json("GET", "/api/tags")["models"]]

    def test_from_a_model(self):
        status, lines = self.create(model="child", **{"from": "base"}, system="Be brief.", parameters={"top_k": 3},
                                    messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}])
        self.assertEqual((status, lines[-1]), (200, {"status": "success"}))
        self.assertTrue(any(line["status"].startswith("using existing layer sha256:") for line in lines), lines)
        self.assertIn("child:latest", self.names())
        shown = self.show("child")
        self.assertEqual(shown["system"], "Be brief.")
        self.assertIn("top_k", shown["parameters"])
        self.assertIn("num_predict", shown["parameters"])
        self.assertEqual(len(shown["messages"]), 2)
        answer = self.server.json("POST", "/api/generate", {"model": "child", "prompt": "Hello", "stream": False})
        self.assertTrue(answer["done"])

    def test_a_new_recipe_counts_from_the_next_request_on(self):
        def prompt():
            body = {"model": "again", "messages": [{"role": "user", "content": "Hi"}], "_debug_render_only": True}
            return self.server.json("POST", "/api/chat", body)["_debug_info"]["rendered_template"]
        for system in ("First words.", "Second words."):
            self.assertEqual(self.create(model="again", **{"from": "base"}, system=system)[1][-1], {"status": "success"})
            self.server.json("POST", "/api/generate", {"model": "again", "prompt": "Hello", "stream": False})
            self.assertIn(system, prompt())

    def test_from_an_uploaded_file(self):
        digest = self.upload(demo_bytes(512))
        self.assertEqual(self.server.request("HEAD", "/api/blobs/" + digest)[0], 200)
        status, lines = self.create(model="up/loaded:v1", files={"demo.gguf": digest}, license="MIT")
        self.assertEqual((status, lines[-1]), (200, {"status": "success"}))
        self.assertEqual(lines[0], {"status": "parsing GGUF"})
        self.assertIn("up/loaded:v1", self.names())

    def test_a_large_upload_costs_no_memory(self):
        piece, pieces = bytes(1 << 20), 200
        digest = "sha256:" + hashlib.sha256(piece * pieces).hexdigest()
        before = self.server.memory_bytes()
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=300)
        for length in (len(piece) * pieces, None):
            connection.putrequest("POST", "/api/blobs/" + digest)
            if length is not None:
                connection.putheader("Content-Length", str(length))
                connection.endheaders()
                for _ in range(pieces):
                    connection.send(piece)
            else:
                connection.putheader("Transfer-Encoding", "chunked")
                connection.endheaders()
                for _ in range(pieces):
                    connection.send(b"100000\r\n" + piece + b"\r\n")
                connection.send(b"0\r\n\r\n")
            self.assertLess(self.server.memory_bytes() - before, 32 << 20)
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (201, b""))
            blob = os.path.join(self.folder.name, "blobs", digest.replace(":", "-"))
            self.assertEqual(os.path.getsize(blob), len(piece) * pieces)
            os.remove(blob)
        connection.close()
        self.assertEqual(os.listdir(os.path.join(self.folder.name, "hearth", "staging")), [])
        status, _, answer = self.server.request("POST", "/api/blobs/sha256:" + "a" * 64, b"data")
        self.assertEqual(status, 400, answer)
        self.assertIn("digest mismatch", json.loads(answer)["error"])

    def test_the_command_goes_through_the_server(self):
        """Whose store it is made in, whatever the command's own is."""
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/m.gguf", "wb") as file:
                file.write(demo_bytes(1024))
            with open(folder + "/Modelfile", "w") as file:
                file.write("FROM ./m.gguf\nSYSTEM Through.\nPARAMETER top_k 3\nLICENSE MIT\n")
            elsewhere = {"OLLAMA_MODELS": folder + "/models", "HOME": folder}
            done = self.server.command("create", "through", "-f", folder + "/Modelfile", environment=elsewhere)
            self.assertEqual(done.stdout, "created through:latest\n")
            self.assertFalse(os.path.exists(folder + "/models/manifests"))
            shown = self.show("through")
            self.assertEqual(shown["system"], "Through.")
            self.assertIn("top_k", shown["parameters"])
            with open(folder + "/Modelfile", "w") as file:
                file.write("FROM through\nSYSTEM Again.\n")
            self.server.command("create", "through2", "-f", folder + "/Modelfile", environment=elsewhere)
            self.assertEqual(self.show("through2")["system"], "Again.")
            with open(folder + "/Modelfile", "w") as file:
                file.write("FROM 127.0.0.1:1/library/nothing\n")
            failed = self.server.command("create", "x", "-f", folder + "/Modelfile", environment=elsewhere, check=False)
            self.assertEqual(failed.returncode, 1)
            self.assertIn("nobody answers", failed.stderr, "it is pulled")

    def test_from_uploaded_safetensors(self):
        files = {name: self.upload(data) for name, data in tiny_checkpoint().items()}
        status, lines = self.create(model="converted", files=files, quantize="q8_0")
        self.assertEqual((status, lines[-1]), (200, {"status": "success"}), lines)
        self.assertEqual(self.show("converted")["details"]["quantization_level"], "Q8_0")

    def test_refusals(self):
        def message(**body):
            status, lines = self.create(**body)
            self.assertIn("error", lines[-1], lines)
            return status, lines[-1]["error"]
        self.assertEqual(message(model="x"), (400, "neither 'from' or 'files' was specified"))
        self.assertIn("pull model manifest: ", message(model="x", **{"from": "127.0.0.1:1/library/absent"})[1])
        self.assertEqual(message(model="../x", **{"from": "base"})[0], 400)
        self.assertIn("template error", message(model="x", **{"from": "base"}, template="{{ .Promp")[1])
        self.assertIn("unknown parameter 'tempreature'", message(model="x", **{"from": "base"}, parameters={"tempreature": 1})[1])
        self.assertIn("file path must be relative", message(model="x", files={"../../a.gguf": "sha256:" + "0" * 64})[1])
        self.assertIn("upload it first", message(model="x", files={"a.gguf": "sha256:" + "0" * 64})[1])
        junk = self.upload(b"no model at all")
        self.assertIn("supplied file was not in GGUF format", message(model="x", files={"a.gguf": junk})[1])
        self.assertNotIn("x:latest", self.names())
        self.assertEqual(os.listdir(self.folder.name + "/hearth/staging"), [])

    def test_many_at_once_and_the_server_answers_meanwhile(self):
        results = []

        def make(i):
            results.append(self.create(model=f"m{i}", **{"from": "base"}, system=f"{i}"))
        threads = [threading.Thread(target=make, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        self.assertEqual(self.server.request("GET", "/api/tags")[0], 200)
        for thread in threads:
            thread.join()
        for status, lines in results:
            self.assertTrue(lines[-1] == {"status": "success"} if status == 200 else status == 503, (status, lines))
        self.assertTrue(any(status == 200 for status, _ in results))


if __name__ == "__main__":
    unittest.main()
