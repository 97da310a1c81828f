#!/usr/bin/env python3
"""hearth pull and push against registries: one that lies, Debian's docker-registry with both ways of signing in, a
Hugging Face of our own, and another hearth.

pull_test.py HEARTH
"""
import base64
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "serve"))
from checkpoint import split_gguf, tiny_checkpoint  # noqa: E402
from lying_registry import Registry, digest  # noqa: E402

HEARTH = sys.argv.pop()
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Store(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hearth-pull-"))
        self.models = self.folder / "models"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OLLAMA_MODELS": str(self.models),
                            "OLLAMA_HOST": "127.0.0.1:1", "HEARTH_DISK_RESERVE": "0"}

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def hearth(self, *arguments, **environment):
        return subprocess.run([HEARTH, *arguments], capture_output=True, text=True, timeout=120,
                              env=self.environment | environment)

    def pulls(self, name, *options, **environment):
        done = self.hearth("pull", name, *options, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refuses(self, name, words, code=1, **environment):
        done = self.hearth("pull", name, **environment)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)
        manifests = self.models / "manifests"
        self.assertEqual([p for p in manifests.rglob("*") if p.is_file()] if manifests.exists() else [], [],
                         "no model appears")
        return done

    def blobs(self):
        return sorted(p.name for p in (self.models / "blobs").iterdir())

    def partials(self):
        folder = self.models / "hearth" / "partial"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []

    def check_whole(self, registry):
        for name in self.blobs():
            data = (self.models / "blobs" / name).read_bytes()
            self.assertEqual("sha256-" + hashlib.sha256(data).hexdigest(), name)
        self.assertIn(digest(registry.weights).replace(":", "-"), self.blobs())
        self.assertEqual(self.partials(), [])
        reservations = self.models / "hearth" / "reservations"
        left = [p.name for p in reservations.iterdir() if p.name != "lock"] if reservations.exists() else []
        self.assertEqual(left, [], "the ledger is empty")


class Lies(Store):
    def setUp(self):
        super().setUp()
        self.registry = Registry()
        self.name = f"{self.registry.host}/library/"

    def tearDown(self):
        self.registry.shutdown()
        self.registry.server_close()
        super().tearDown()

    def test_a_whole_model_arrives_and_its_manifest_is_kept_byte_for_byte(self):
        done = self.pulls(self.name + "whole")
        self.assertIn("success", done.stderr)
        self.check_whole(self.registry)
        manifest = self.models / "manifests" / self.registry.host / "library" / "whole" / "latest"
        self.assertEqual(manifest.read_bytes(), self.registry.manifest("whole"))
        before = len(self.registry.requests)
        self.pulls(self.name + "whole")
        self.assertEqual(len(self.registry.requests), before + 1, "the second time only the manifest is asked for")

    def test_faults_that_pass_are_got_over(self):
        for fault in ("cut", "busy", "redirect", "no-ranges", "wrong-hash-once"):
            with self.subTest(fault):
                shutil.rmtree(self.models, ignore_errors=True)
                self.pulls(self.name + fault)
                self.check_whole(self.registry)

    def test_redirects_take_no_credentials_along(self):
        config = self.folder / ".docker" / "config.json"
        config.parent.mkdir()
        config.write_text(json.dumps({"auths": {self.registry.host: {"auth": base64.b64encode(b"a:b").decode()}}}))
        self.pulls(self.name + "redirect")
        for method, path, headers in self.registry.requests:
            if path.startswith("/cdn/"):
                self.assertNotIn("Authorization", headers)

    def test_faults_that_stay_are_named(self):
        for fault, words in (("absent", "file does not exist"),
                             ("web-page", "a web page"),
                             ("no-json", "no valid JSON"),
                             ("evil-digest", "digest is not sha256"),
                             ("many-bytes", "which no disk holds"),
                             ("tensors", "requires MLX"),
                             ("too-large", "needs 32"),
                             ("shorter-than-said", "in place of the"),
                             ("page-for-blob", "a web page in place of the file"),
                             ("gone-416", "(416)"),
                             ("too-much", "more than the"),
                             ("wrong-hash", "digest mismatch, file must be downloaded again")):
            with self.subTest(fault):
                shutil.rmtree(self.models, ignore_errors=True)
                self.refuses(self.name + fault, words)
        self.refuses("../../etc/passwd", "no valid model name", code=2)

    def test_too_large_is_refused_before_a_byte_with_three_ways_out(self):
        done = self.refuses(self.name + "too-large", "1. make room:")
        self.assertIn("hearth store move --all --to", done.stderr)
        self.assertIn("smaller quantisation", done.stderr)
        self.assertFalse([r for r in self.registry.requests if "/blobs/" in r[1]], "nothing was asked for")

    def test_nobody_there(self):
        self.refuses("127.0.0.1:1/library/x", "nobody answers")

    def test_what_was_begun_goes_on(self):
        self.registry.delay = 0.02
        process = subprocess.Popen([HEARTH, "pull", self.name + "whole"], stderr=subprocess.DEVNULL,
                                   env=self.environment)
        while self.registry.sent < 1_000_000:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.wait(20)
        self.assertTrue(self.partials(), "what has arrived stays")
        self.registry.delay = 0
        before, self.registry.sent = self.registry.sent, 0
        self.pulls(self.name + "whole")
        self.check_whole(self.registry)
        self.assertLess(self.registry.sent, 2_600_000, f"{before} bytes were there already")

    def test_two_pulls_of_one_model_share_it(self):
        self.registry.delay = 0.005
        both = [subprocess.Popen([HEARTH, "pull", self.name + "whole"], stderr=subprocess.PIPE, text=True,
                                 env=self.environment) for _ in range(2)]
        for process in both:
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, errors)
        self.check_whole(self.registry)
        self.assertLess(self.registry.sent, 3_200_000, "it came once")

    def test_peers_get_their_keys_and_nobody_else_does(self):
        self.pulls(self.name + "redirect", HEARTH_PEER_KEYS=f"elsewhere:1=no,{self.registry.host}=hk-secret")
        for method, path, headers in self.registry.requests:
            self.assertEqual(headers.get("Authorization"), None if path.startswith("/cdn/") else "Bearer hk-secret", path)

    def test_proxies_are_those_of_the_environment(self):
        proxy = {"http_proxy": f"http://{self.registry.host}"}
        self.pulls("registry.invalid/library/whole", "--insecure", **proxy)
        self.check_whole(self.registry)
        self.assertEqual(self.registry.proxied, {"registry.invalid"})
        shutil.rmtree(self.models)
        self.refuses("registry.invalid/library/whole", "registry.invalid", no_proxy="registry.invalid", **proxy)

    def test_certificates_are_those_of_the_environment(self):
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"], check=True,
                       capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        registry = Registry(tls=context)
        self.addCleanup(lambda: (registry.shutdown(), registry.server_close()))
        name = f"https://localhost:{registry.server_address[1]}/library/whole"
        self.refuses(name, "certificate")
        for variable in ("SSL_CERT_FILE", "CURL_CA_BUNDLE"):
            shutil.rmtree(self.models)
            self.pulls(name, **{variable: str(certificate)})
            self.check_whole(registry)

    def test_a_file_by_its_url_and_hash(self):
        name = digest(self.registry.weights)
        url = f"http://{self.registry.host}/v2/library/whole/blobs/{name}"
        self.pulls(f"{url}#{name}")
        self.check_whole(self.registry)
        shutil.rmtree(self.models)
        self.refuses(f"{url}#sha256:{'0' * 64}", "digest mismatch")
        self.refuses(f"{url}#sha256:12", "no hash", code=2)

    def test_a_damaged_blob_comes_anew_alone(self):
        self.pulls(self.name + "whole")
        blob = self.models / "blobs" / digest(self.registry.weights).replace(":", "-")
        config = self.models / "blobs" / digest(self.registry.config).replace(":", "-")
        stamp = config.stat().st_mtime_ns
        blob.write_bytes(self.registry.weights[:100])
        self.pulls(self.name + "whole")
        self.check_whole(self.registry)
        self.assertEqual(config.stat().st_mtime_ns, stamp)

    def test_verify_repairs_what_can_be_fetched_and_deletes_nothing(self):
        self.pulls(self.name + "whole")
        blob = self.models / "blobs" / digest(self.registry.weights).replace(":", "-")
        damaged = b"?" + self.registry.weights[1:]
        blob.write_bytes(damaged)
        found = self.hearth("store", "verify")
        self.assertEqual(found.returncode, 1)
        self.assertIn("1 files are damaged", found.stderr)
        self.registry.shutdown()
        self.registry.server_close()
        failed = self.hearth("store", "verify", "--repair")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("1 of 1 damaged files are not repaired", failed.stderr)
        self.assertEqual(blob.read_bytes(), damaged, "it stays until the other is there")
        self.registry = Registry(port=self.registry.server_address[1])
        repaired = self.hearth("store", "verify", "--repair")
        self.assertEqual(repaired.returncode, 0, repaired.stdout + repaired.stderr)
        self.check_whole(self.registry)
        self.assertFalse([path for _, path, _ in self.registry.requests if "/manifests/" in path],
                         "what is fetched is what the model here has, whatever its name means by now")

    def test_a_damaged_file_comes_from_another_store(self):
        hot, pool = self.folder / "hot", self.folder / "pool"
        stores = f"hot={hot},pool={pool}"
        self.pulls(self.name + "whole", HEARTH_STORES=f"pool={pool}")
        self.pulls(self.name + "whole", HEARTH_STORES=stores)
        blob = hot / "blobs" / digest(self.registry.weights).replace(":", "-")
        blob.write_bytes(b"?" + self.registry.weights[1:])
        self.registry.sent = 0
        repaired = self.hearth("store", "verify", "--repair", HEARTH_STORES=stores)
        self.assertEqual(repaired.returncode, 0, repaired.stdout + repaired.stderr)
        self.assertEqual(blob.read_bytes(), self.registry.weights)
        self.assertEqual(self.registry.sent, 0)

    def test_the_server_streams_progress_and_shares_jobs(self):
        self.registry.delay = 0.03
        server = subprocess.Popen([HEARTH, "serve", "--gpu", "off", "--host", "127.0.0.1:0"], stderr=subprocess.PIPE,
                                  text=True, env=self.environment | {"HEARTH_STATE": str(self.folder / "state")})
        try:
            address = next(line.split("Listening on ")[1].split()[0] for line in server.stderr if "Listening on" in line)
            threading.Thread(target=server.stderr.read, daemon=True).start()
            body = json.dumps({"name": self.name + "whole", "insecure": True})
            ask = ["curl", "-sSN", "--max-time", "60", "-d", body, f"http://{address}/api/pull"]
            both = [subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) for _ in range(2)]
            for process in both:
                lines = [json.loads(line) for line in process.communicate()[0].splitlines()]
                self.assertEqual(lines[-1], {"status": "success"})
                counted = [line for line in lines if line.get("digest") == digest(self.registry.weights)]
                self.assertGreater(len(counted), 2)
                self.assertEqual(counted[-1]["completed"], counted[-1]["total"])
            self.assertLess(self.registry.sent, 3_200_000)
            self.check_whole(self.registry)
            whole = subprocess.run(["curl", "-sS", "-d", json.dumps({"model": self.name + "absent", "stream": False}),
                                    "-w", " %{http_code}", f"http://{address}/api/pull"], capture_output=True, text=True)
            self.assertEqual(whole.stdout, '{"error":"pull model manifest: file does not exist"} 500')
            self.peer_pulls(address)
        finally:
            server.kill()
            server.wait()

    def peer_pulls(self, address):
        """The server is a registry that can be read, also a part at a time."""
        name = digest(self.registry.weights)
        url = f"http://{address}/v2/library/whole/blobs/{name}"
        part = subprocess.run(["curl", "-sS", "-r", "1000-1999", "-D-", "-o", str(self.folder / "part"), url],
                              capture_output=True, text=True)
        self.assertIn("206", part.stdout)
        self.assertIn("1000-1999/3000000", part.stdout)
        self.assertEqual((self.folder / "part").read_bytes(), self.registry.weights[1000:2000])
        head = subprocess.run(["curl", "-sSI", url], capture_output=True, text=True).stdout
        self.assertIn("Content-Length: 3000000", head)
        beyond = subprocess.run(["curl", "-sS", "-r", "3000000-", "-o", "/dev/null", "-w", "%{http_code}", url],
                                capture_output=True, text=True).stdout
        self.assertEqual(beyond, "416")
        self.assertEqual(self.hearth("pull", f"{address}/library/nothing").returncode, 1)
        copy = json.dumps({"source": self.name + "whole", "destination": "whole"})
        subprocess.run(["curl", "-sSf", "-d", copy, f"http://{address}/api/copy"], check=True)
        before, theirs = self.registry.sent, self.folder / "peer"
        self.pulls(f"{address}/library/whole", OLLAMA_MODELS=str(theirs))
        self.assertEqual((theirs / "blobs" / name.replace(":", "-")).read_bytes(), self.registry.weights)
        self.assertEqual(self.registry.sent, before, "a cluster fetches a model once")


class HuggingFace(Store):
    """Its API as far as a pull uses it."""

    def setUp(self):
        super().setUp()
        test = self
        self.files = {"m-Q4_K_M.gguf": os.urandom(200_000), "m-Q8_0.gguf": os.urandom(300_000), "README.md": b"x"}
        self.gated, self.tokens, self.served, self.fetched = False, [], {}, set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                test.tokens.append(self.headers.get("Authorization"))
                path = self.path.split("?")[0]
                status, body, headers = 404, b"", {}
                if path == "/api/models/org/repo/revision/main":
                    siblings = [{"rfilename": n, "size": len(d), "blobId": hashlib.sha1(b"blob %d\0" % len(d) + d)
                                 .hexdigest()} | ({"lfs": {"sha256": hashlib.sha256(d).hexdigest(), "size": len(d)}}
                                                  if n.endswith((".gguf", ".safetensors")) else {})
                                for n, d in test.files.items()]
                    status, body = 200, json.dumps({"sha": "abc123", "siblings": siblings}).encode()
                elif path.startswith("/org/repo/resolve/abc123/"):
                    if test.gated and self.headers.get("Authorization") != "Bearer hf_good":
                        status, headers = 401, {"X-Error-Code": "GatedRepo"}
                    else:
                        status, body = 200, test.served.get(path.split("/abc123/")[1]) or test.files[path.split("/abc123/")[1]]
                        test.fetched.add(path.split("/abc123/")[1])
                self.send_response(status)
                self.send_header("Content-Length", len(body))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.environment["HF_ENDPOINT"] = f"http://127.0.0.1:{self.server.server_address[1]}"

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        super().tearDown()

    def weights(self, tag):
        manifest = json.loads((self.models / "manifests" / "hf.co" / "org" / "repo" / tag).read_text())
        return (self.models / "blobs" / manifest["layers"][0]["digest"].replace(":", "-")).read_bytes()

    def test_a_quantisation_by_its_name_or_the_usual_one(self):
        self.pulls("hf.co/org/repo:Q8_0")
        self.assertEqual(self.weights("Q8_0"), self.files["m-Q8_0.gguf"])
        self.pulls("hf.co/org/repo")
        self.assertEqual(self.weights("latest"), self.files["m-Q4_K_M.gguf"])

    def test_what_is_not_there_is_named(self):
        self.assertIn("there are m-Q4_K_M.gguf, m-Q8_0.gguf", self.refuses("hf.co/org/repo:Q2_K", "no GGUF file of Q2_K").stderr)
        self.refuses("hf.co/org/other", "HF_TOKEN")
        self.refuses("hf.co/org/repo", "HF_HUB_OFFLINE", code=3, HF_HUB_OFFLINE="1")

    def test_gated_models_say_what_to_do(self):
        self.gated = True
        self.refuses("hf.co/org/repo", "accept them at https://huggingface.co/org/repo, then set HF_TOKEN", code=3)
        self.refuses("hf.co/org/repo", "with the account that HF_TOKEN is of", code=3, HF_TOKEN="hf_bad")
        self.pulls("hf.co/org/repo", HF_TOKEN="hf_good")
        self.assertEqual(self.weights("latest"), self.files["m-Q4_K_M.gguf"])


    def gguf_strings(self, tag):
        return self.weights(tag)[:4000]

    def only_one_blob_of_weights(self, tag):
        manifest = json.loads((self.models / "manifests" / "hf.co" / "org" / "repo" / tag).read_text())
        named = {layer["digest"].replace(":", "-") for layer in manifest["layers"] + [manifest["config"]]}
        self.assertEqual(set(self.blobs()), named, "what it was made of has gone")
        self.assertEqual(self.partials(), [])

    def test_a_split_set_is_joined(self):
        for number, data in enumerate(split_gguf(3)):
            self.files[f"Q6_K/m-Q6_K-{number + 1:05}-of-00003.gguf"] = data
        self.pulls("hf.co/org/repo:Q6_K")
        for number in range(3):
            self.assertIn(f"blk.{number}.attn_norm.weight".encode(), self.gguf_strings("Q6_K"))
        self.assertNotIn(b"split.count", self.gguf_strings("Q6_K"))
        self.only_one_blob_of_weights("Q6_K")
        del self.files["Q6_K/m-Q6_K-00002-of-00003.gguf"]
        shutil.rmtree(self.models)
        self.refuses("hf.co/org/repo:Q6_K", "2 of the 3 parts")

    def test_a_folder_of_safetensors_is_converted(self):
        self.files = tiny_checkpoint() | {"README.md": b"x", "adapter_model.safetensors": b"y"}
        self.pulls("hf.co/org/repo")
        self.assertTrue(self.weights("latest").startswith(b"GGUF"))
        self.assertIn(b"blk.0.attn_q.weight", self.weights("latest"))
        self.only_one_blob_of_weights("latest")
        self.assertFalse({"README.md", "adapter_model.safetensors"} & self.fetched)
        self.pulls("hf.co/org/repo:Q8_0")
        self.assertLess(len(self.weights("Q8_0")), len(self.weights("latest")))

    def test_what_cannot_be_converted_is_refused_before_its_weights_come(self):
        self.files = tiny_checkpoint()
        self.refuses("hf.co/org/repo:Q9_Z", "no format that its safetensors could be quantised to")
        config = json.loads(self.files["config.json"])
        self.files["config.json"] = json.dumps(config | {"architectures": ["MambaForCausalLM"]}).encode()
        self.refuses("hf.co/org/repo", "models of class MambaForCausalLM cannot be imported")
        self.files["config.json"] = json.dumps(config | {"quantization_config": {"quant_method": "awq"}}).encode()
        self.refuses("hf.co/org/repo", "weights quantised by 'awq'")
        self.files["config.json"] = json.dumps(config).encode()
        self.served["config.json"] = json.dumps(config | {"hidden_size": 64}).encode()
        self.refuses("hf.co/org/repo", "another content than its hash says")
        self.assertEqual([p for p in (self.models / "blobs").iterdir()], [], "nothing of it stays")


class KeyedRegistry(Store):
    """A registry like Ollama's: it takes what is signed with a key that it knows."""

    def start(self):
        test, self.blobs_there, self.manifests, self.asked = self, {}, {}, []
        self.open, self.count, self.fault = False, 0, None  # the number of the request that fails, and how

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in ({"Content-Length": len(body)} | headers).items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.split("?")[0]
                test.count += 1
                if test.fault == (test.count, "error"):
                    return self.reply(500, b'{"error":"no luck"}')
                if test.fault == (test.count, "cut"):
                    self.close_connection = True
                    return self.connection.shutdown(socket.SHUT_RDWR)
                if path == "/token":
                    test.asked.append((f"http://{test.host}{self.path}", self.headers.get("Authorization", "")))
                    known = test.is_signed(*test.asked[-1])
                    return self.reply(200 if known else 401, b'{"token":"good"}' if known else b"{}")
                if not test.open and self.headers.get("Authorization") != "Bearer good":
                    realm = f'Bearer realm="http://{test.host}/token",service="{test.host}",scope="repository:me/m:push"'
                    return self.reply(401, WWW_Authenticate=realm)
                name = path.rsplit("/", 1)[1]
                if self.command == "POST":
                    test.upload = b""
                    return self.reply(202, Location="/v2/me/m/blobs/uploads/1")
                if self.command == "PATCH":
                    test.upload += body
                    return self.reply(202, Location="/v2/me/m/blobs/uploads/1")
                if self.command == "PUT" and "/uploads/" in path:
                    test.blobs_there[digest(test.upload)], test.upload = test.upload, b""
                    return self.reply(201)
                if self.command == "PUT":
                    test.manifests[name] = body
                    return self.reply(201)
                kept = test.manifests if "/manifests/" in path else test.blobs_there
                return self.reply(200, kept[name]) if name in kept else self.reply(404)

            do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = serve
        self.upload = b""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(lambda: (self.server.shutdown(), self.server.server_close()))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def is_signed(self, url, authorization):
        """As openssl judges it."""
        name, _, signature = authorization.partition(":")
        if not signature or name != self.public.split()[1]:
            return False
        raw = base64.b64decode(name)[-32:]
        (self.folder / "public.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + raw)
        (self.folder / "text").write_bytes(f"GET,{url},{base64.b64encode(hashlib.sha256(b'').hexdigest().encode()).decode()}".encode())
        (self.folder / "signature").write_bytes(base64.b64decode(signature))
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", self.folder / "public.der", "-rawin",
                               "-in", self.folder / "text", "-sigfile", self.folder / "signature", "-keyform", "DER"],
                              capture_output=True).returncode == 0

    def make_model(self):
        weights = (REPOSITORY / "data" / "demo.gguf").read_bytes()
        (self.models / "blobs").mkdir(parents=True)
        (self.models / "blobs" / digest(weights).replace(":", "-")).write_bytes(weights)
        path = self.models / "manifests" / self.host / "me" / "m" / "latest"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"schemaVersion": 2, "layers": [
            {"mediaType": "application/vnd.ollama.image.model", "digest": digest(weights), "size": len(weights)}]}))
        return f"{self.host}/me/m", weights

    def test_pushes_in_which_every_answer_fails_once(self):
        self.start()
        self.open = True
        name, weights = self.make_model()
        for how in ("error", "cut"):
            for number in range(1, 30):
                with self.subTest(how=how, number=number):
                    self.blobs_there, self.manifests, self.count, self.fault = {}, {}, 0, (number, how)
                    done = self.hearth("push", name)
                    if self.count < number:
                        self.assertEqual(done.returncode, 0, done.stderr)
                        break
                    self.assertIn(done.returncode, (0, 1), done.stderr)
                    if done.returncode == 1:
                        self.assertTrue(done.stderr.strip().splitlines()[-1].startswith("hearth: "), done.stderr)
                    self.fault = None
                    again = self.hearth("push", name)
                    self.assertEqual(again.returncode, 0, again.stderr)
                    self.assertEqual(self.blobs_there, {digest(weights): weights})
                    self.assertEqual(list(self.manifests), ["latest"])
            self.assertGreater(number, 4)

    @unittest.skipUnless(shutil.which("ssh-keygen"), "ssh-keygen is not installed")
    def test_models_are_pushed_and_pulled_by_key(self):
        self.start()
        self.public = "none none"
        name, weights = self.make_model()
        unknown = self.hearth("push", name)
        self.assertEqual(unknown.returncode, 3, unknown.stderr)
        key = self.folder / ".ollama" / "id_ed25519"
        key.parent.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        refused = self.hearth("push", name)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.public = key.with_suffix(".pub").read_text()
        done = self.hearth("push", name)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.blobs_there[digest(weights)], weights)
        shutil.rmtree(self.models)
        self.pulls(name)
        self.assertEqual((self.models / "blobs" / digest(weights).replace(":", "-")).read_bytes(), weights)
        signed = [url for url, authorization in self.asked if authorization]
        self.assertEqual(len(set(signed)), len(signed), "no address twice: each has its nonce")


@unittest.skipUnless(shutil.which("docker-registry"), "docker-registry is not installed")
class DockerRegistry(Store):
    def start(self, **auth):
        config = {"version": 0.1, "log": {"level": "error"}, "storage": {"filesystem": {
            "rootdirectory": str(self.folder / "registry")}}, "http": {"addr": "127.0.0.1:0"}}
        if auth:
            config["auth"] = auth
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        config["http"]["addr"] = f"127.0.0.1:{port}"
        path = self.folder / "registry.yml"
        path.write_text(json.dumps(config))
        self.process = subprocess.Popen(["docker-registry", "serve", str(path)], stderr=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (self.process.kill(), self.process.wait()))
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        self.host = f"127.0.0.1:{port}"

    def make_model(self):
        """A model in the store, with the demonstration model as its weights."""
        weights = (REPOSITORY / "data" / "demo.gguf").read_bytes()
        config = b'{"model_format":"gguf"}'
        (self.models / "blobs").mkdir(parents=True)
        for data in (weights, config):
            (self.models / "blobs" / digest(data).replace(":", "-")).write_bytes(data)
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest(config),
                               "size": len(config)},
                    "layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": digest(weights),
                                "size": len(weights)}]}
        self.manifest = json.dumps(manifest).encode()
        path = self.models / "manifests" / self.host / "team" / "demo" / "v1"
        path.parent.mkdir(parents=True)
        path.write_bytes(self.manifest)
        self.name = f"{self.host}/team/demo:v1"

    def round_trip(self):
        done = self.hearth("push", self.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        again = self.hearth("push", self.name)
        self.assertEqual(again.returncode, 0, again.stderr)
        before = self.blobs()
        shutil.rmtree(self.models)
        self.pulls(self.name)
        self.assertEqual(self.blobs(), before)
        path = self.models / "manifests" / self.host / "team" / "demo" / "v1"
        self.assertEqual(path.read_bytes(), self.manifest)

    def sign_in(self, user, password):
        config = self.folder / ".docker" / "config.json"
        config.parent.mkdir(exist_ok=True)
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        config.write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))

    def test_without_signing_in(self):
        self.start()
        self.make_model()
        self.round_trip()
        missing = self.hearth("push", f"{self.host}/team/nothing")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("not found", missing.stderr)

    @unittest.skipUnless(shutil.which("htpasswd"), "htpasswd is not installed")
    def test_with_a_password(self):
        users = self.folder / "htpasswd"
        users.write_text(subprocess.run(["htpasswd", "-Bbn", "ada", "secret"], capture_output=True, text=True).stdout)
        self.start(htpasswd={"realm": "test", "path": str(users)})
        self.make_model()
        refused = self.hearth("push", self.name)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.assertIn("docker login", refused.stderr)
        self.sign_in("ada", "wrong")
        self.assertNotEqual(self.hearth("push", self.name).returncode, 0)
        self.sign_in("ada", "secret")
        self.round_trip()

    def test_with_a_token(self):
        tokens = TokenServer(self.folder)
        self.addCleanup(tokens.close)
        self.start(token={"realm": tokens.url, "service": "hearth-test", "issuer": "tests",
                          "rootcertbundle": str(tokens.certificate)})
        self.make_model()
        refused = self.hearth("push", self.name)
        self.assertNotEqual(refused.returncode, 0, "who signs in as nobody may only read")
        self.sign_in("ada", "wrong")
        refused = self.hearth("push", self.name)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.assertIn("docker login", refused.stderr)
        self.sign_in("ada", "secret")
        self.round_trip()
        self.assertIn("repository:team/demo:pull,push", tokens.scopes)


class TokenServer:
    """Gives tokens as https://distribution.github.io/distribution/spec/auth/jwt/ has them."""

    def __init__(self, folder):
        self.key, self.certificate, self.scopes = folder / "key.pem", folder / "certificate.pem", set()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out",
                        self.certificate, "-subj", "/CN=tests", "-days", "2"], check=True, capture_output=True)
        der = subprocess.run(["openssl", "x509", "-in", self.certificate, "-outform", "DER"], check=True,
                             capture_output=True).stdout
        chain = [base64.b64encode(der).decode()]
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                import urllib.parse
                query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
                who = self.headers.get("Authorization", "")
                known = who == "Basic " + base64.b64encode(b"ada:secret").decode()
                scopes = query.get("scope", [])
                server.scopes.update(scopes)
                if who and not known:
                    self.send_response(401)
                    self.end_headers()
                    return
                access = []
                for scope in scopes:
                    kind, name, actions = scope.split(":")
                    allowed = actions.split(",") if known else ["pull"]
                    access.append({"type": kind, "name": name, "actions": allowed})
                now = int(time.time())
                claims = {"iss": "tests", "sub": "ada" if known else "", "aud": query["service"][0], "exp": now + 300,
                          "nbf": now - 10, "iat": now, "jti": os.urandom(8).hex(), "access": access}
                body = json.dumps({"token": server.sign({"typ": "JWT", "alg": "RS256", "x5c": chain}, claims)}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"

    def sign(self, header, claims):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")
        text = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text, check=True,
                                   capture_output=True).stdout
        return (text + b"." + part(signature)).decode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    unittest.main()
