"""A `hearth serve` of a test's own, on a port and with a state folder of its own."""
import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading


class Program:
    def __init__(self, binary, *arguments, host="127.0.0.1:0", state=None, gpu="off", environment=None):
        self.binary = binary
        self.folder = tempfile.mkdtemp()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("OLLAMA_", "HEARTH_LISTEN"))}
        self.environment |= {"HEARTH_STATE": state or self.folder + "/state"} | (environment or {})
        # What AddressSanitizer keeps of freed memory would count as the server's.
        self.environment.setdefault("ASAN_OPTIONS", "quarantine_size_mb=4")
        command = [binary, "serve", "--gpu", gpu, "--host", host, *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=self.environment)
        self.log, self.changed, self.address = [], threading.Condition(), None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        line = self.wait_for(r"Listening on \S+")
        host, port = re.search(r"Listening on (\S+):(\d+) ", line).groups()
        self.host, self.port = host.strip("[]"), int(port)
        self.url = f"http://{host}:{port}"

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.log.append(line)
                self.changed.notify_all()
        with self.changed:
            self.log.append(None)
            self.changed.notify_all()

    def wait_for(self, pattern, seconds=120, since=0):
        """The first line of the log (from the line `since` on) that has the pattern."""
        def found():
            return next((l for l in self.log[since:] if l is None or re.search(pattern, l)), False)
        with self.changed:
            self.changed.wait_for(lambda: found() is not False, seconds)
            line = found()
        if not line:
            raise AssertionError(f"no line with {pattern!r} in the log:\n" + "".join(l for l in self.log if l))
        return line

    def request(self, method, path, body=None, headers=None, timeout=300):
        """Status, headers and bytes of the answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            data = json.dumps(body) if body is not None and not isinstance(body, (str, bytes)) else body
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        status, _, data = self.request(method, path, body, headers)
        if status >= 300:
            raise AssertionError(f"{method} {path}: {status} {data!r}")
        return json.loads(data)

    def generate(self, prompt, **more):
        return self.json("POST", "/api/generate", {"model": "demo", "prompt": prompt, "stream": False,
                                                   "options": {"temperature": 0}} | more)

    def command(self, *arguments, input="", environment=None, check=True):
        """Another `hearth` of the same user."""
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True, input=input, timeout=120,
                              env=self.environment | (environment or {}))
        if check and done.returncode != 0:
            raise AssertionError(f"hearth {' '.join(arguments)}: {done.returncode}: {done.stderr}")
        return done

    def memory_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self, signal=None, seconds=60):
        """The exit code."""
        if signal is not None:
            self.process.send_signal(signal)
        return self.process.wait(seconds)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(10)
        self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)
