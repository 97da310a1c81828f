"""A registry that lies: each fault is one that people have met. Models are made of random bytes; which fault a model has
stands in its name: "whole", "short", "wrong-hash", ..."""
import hashlib
import http.server
import json
import os
import random
import threading

MODEL = "application/vnd.ollama.image.model"
CONFIG = "application/vnd.docker.container.image.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, size=3_000_000, port=0, tls=None):
        self.blobs, self.requests, self.counts, self.lock = {}, [], {}, threading.Lock()
        self.stop_after = None  # bytes of blobs in all, after which connections end
        self.sent, self.proxied = 0, set()
        self.delay = 0
        generator = random.Random(7)
        self.weights = generator.randbytes(size)
        self.config = json.dumps({"model_format": "gguf"}).encode()
        for data in (self.weights, self.config):
            self.blobs[digest(data)] = data
        super().__init__(("127.0.0.1", port), Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def manifest(self, fault):
        size = len(self.weights)
        layers = [{"mediaType": MODEL, "digest": digest(self.weights), "size": size}]
        if fault == "too-large":
            layers[0]["size"] = 1 << 45
        if fault == "shorter-than-said":
            layers[0]["size"] = size + 1000
        if fault == "evil-digest":
            layers[0]["digest"] = "sha256:../../../../etc/passwd"
        if fault == "many-bytes":
            layers += [dict(layers[0], digest="sha256:" + f"{i:064x}", size=(1 << 63)) for i in range(3)]
        if fault == "tensors":
            layers[0]["mediaType"] = "application/vnd.ollama.image.tensor"
        return json.dumps({"schemaVersion": 2, "config": {"mediaType": CONFIG, "digest": digest(self.config),
                                                          "size": len(self.config)}, "layers": layers}).encode()

    def count(self, key):
        with self.lock:
            self.counts[key] = self.counts.get(key, 0) + 1
            return self.counts[key]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # the client has heard enough

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", len(body))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        if self.path.startswith("http://"):  # as a proxy is asked
            server.proxied.add(self.path.split("/")[2])
            self.path = "/" + self.path.split("/", 3)[3]
        server.requests.append((self.command, self.path, dict(self.headers)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "cdn":
            return self.blob(parts[1], parts[2], through_cdn=True)
        if len(parts) == 5 and parts[3] == "manifests":
            fault = parts[2]
            if fault == "absent":
                return self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
            if fault == "web-page":
                return self.reply(200, b"<html>Please sign in</html>", Content_Type="text/html")
            if fault == "no-json":
                return self.reply(200, b"{oops")
            return self.reply(200, server.manifest(fault), Content_Type="application/json")
        if len(parts) == 5 and parts[3] == "blobs":
            return self.blob(parts[2], parts[4])
        self.reply(404)

    def blob(self, fault, name, through_cdn=False):
        server = self.server
        data = server.blobs.get(name)
        if data is None:
            return self.reply(404)
        if name == digest(server.config):
            return self.reply(200, data)
        if fault == "redirect" and not through_cdn:
            # A signed address on "another host", which expires after each use.
            port = server.server_address[1]
            ticket = server.count("ticket")
            return self.reply(307, Location=f"http://localhost:{port}/cdn/redirect/{name}?ticket={ticket}")
        if through_cdn:
            ticket = self.path.split("ticket=")[1]
            if server.count(f"use {ticket}") > 1 or (ticket == "1"):
                return self.reply(403, b"Request has expired")
        if fault == "page-for-blob":
            return self.reply(200, b"<html>captive portal</html>", Content_Type="text/html; charset=utf-8")
        if fault == "gone-416":
            return self.reply(416)
        if fault == "busy" and server.count("busy") < 3:
            return self.reply(503, b"later", Retry_After="0")
        if fault == "wrong-hash" or (fault == "wrong-hash-once" and server.count("wrong") == 1):
            data = b"X" + data[1:]
        begin, end, status, extra = 0, len(data), 200, {}
        asked = self.headers.get("Range")
        if asked and fault != "no-ranges":
            first, last = asked.removeprefix("bytes=").split("-")
            begin, end, status = int(first), int(last) + 1, 206
            extra = {"Content_Range": f"bytes {begin}-{min(end, len(data)) - 1}/{len(data)}"}
            if begin >= len(data):
                return self.reply(416)
        if fault == "other-part" and status == 206:
            extra = {"Content_Range": f"bytes {begin + 1}-{end}/{len(data)}"}
        part = data[begin:end]
        if fault == "too-much":
            self.send_response(status)  # without a length
            for key, value in extra.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                self.wfile.write(part + b"more")
            except OSError:
                pass
            return
        if fault == "short-length":
            return self.reply(status, part[:-10], **extra)
        self.send_response(status)
        self.send_header("Content-Length", len(part))
        for key, value in extra.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = len(part) // 2 if fault == "cut" and server.count("cut") <= 3 else len(part)
        step = 65536
        for at in range(0, cut, step):
            piece = part[at:min(at + step, cut)]
            with server.lock:
                server.sent += len(piece)
                over = server.stop_after is not None and server.sent > server.stop_after
            if over:
                self.close_connection = True
                self.connection.close()
                return
            try:
                self.wfile.write(piece)
            except OSError:
                return
            if server.delay:
                threading.Event().wait(server.delay)
        if cut < len(part):
            self.close_connection = True
            self.connection.close()
