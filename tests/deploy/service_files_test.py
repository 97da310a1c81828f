#!/usr/bin/env python3
"""service_files_test.py HEARTH: systemd accepts the units of deploy/systemd and finds them closed enough, and the
settings that the packages and the manifests bring are settings."""
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import yaml

from image import ROOT

HEARTH = os.path.abspath(sys.argv.pop())
MOST_EXPOSED = 30  # tenths: 3.0
KUBERNETES = os.path.join(ROOT, "deploy", "kubernetes")


def configured(text, **environment):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([HEARTH, "config", "--config", file.name], capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | environment)
    return done


@unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
class Units(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        for name in ("hearth.service", "hearth.socket"):
            with open(os.path.join(ROOT, "deploy", "systemd", name)) as file:
                text = file.read().replace("/usr/bin/hearth", HEARTH).replace("man:hearth-serve(1) ", "")
            with open(os.path.join(self.temporary.name, name), "w") as file:
                file.write(text)

    def test_systemd_accepts_them(self):
        units = [os.path.join(self.temporary.name, name) for name in ("hearth.service", "hearth.socket")]
        done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_service_is_closed(self):
        unit = os.path.join(ROOT, "deploy", "systemd", "hearth.service")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"Overall exposure level for hearth.service: [0-2]\.\d")


class Settings(unittest.TestCase):
    def test_the_packages_file_can_be_read_also_with_everything_in_it_set(self):
        with open(os.path.join(ROOT, "deploy", "debian", "config.toml")) as file:
            text = file.read()
        self.assertEqual(configured(text).returncode, 0)
        all_set = re.sub(r"^# (?=\w+ = )", "", text, flags=re.M)
        self.assertNotEqual(all_set, text)
        done = configured(all_set)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("llama3.2", done.stdout)

    def test_the_config_map_counts_in_the_place_of_the_images_variables(self):
        from image import Image
        with open(os.path.join(KUBERNETES, "settings.yaml")) as file:
            text = yaml.safe_load(file)["data"]["config.toml"]
        with open(os.path.join(KUBERNETES, "deployment.yaml")) as file:
            container = yaml.safe_load(file)["spec"]["template"]["spec"]["containers"][0]
        given = Image().environment | {one["name"]: one["value"] for one in container["env"]}
        done = configured(text.replace("open = true", "open = false"), **{k: v for k, v in given.items() if k != "HOME"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r'listen = \[":11434"\] +# .*\.toml')
        self.assertRegex(done.stdout, r"open = false +# .*\.toml")


KINDS = {"v1": [("namespaces", "Namespace"), ("configmaps", "ConfigMap"), ("persistentvolumeclaims", "PersistentVolumeClaim"),
                ("services", "Service")], "apps/v1": [("deployments", "Deployment")]}


class Discovery(http.server.BaseHTTPRequestHandler):
    """What a dry run of kubectl's, also the client's, asks an API server: which kinds there are."""

    def do_GET(self):
        path = self.path.split("?")[0]
        group = path[len("/api/"):] if path.startswith("/api/") else path[len("/apis/"):]
        answer = {"/api": {"kind": "APIVersions", "versions": ["v1"]},
                  "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                      {"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
                       "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"}}]}}.get(path)
        if group in KINDS:
            answer = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": [
                {"name": name, "singularName": "", "namespaced": kind != "Namespace", "kind": kind,
                 "verbs": ["create", "get", "list"]} for name, kind in KINDS[group]]}
        body = json.dumps(answer or {}).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Kubernetes(unittest.TestCase):
    def read(self, name):
        with open(os.path.join(KUBERNETES, name)) as file:
            return yaml.safe_load(file)

    def test_the_pod_is_watched_limited_and_closed(self):
        pod = self.read("deployment.yaml")["spec"]["template"]["spec"]
        container = pod["containers"][0]
        self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/health/live")
        self.assertEqual(container["readinessProbe"]["httpGet"]["path"], "/health/ready")
        self.assertEqual(container["resources"]["limits"]["nvidia.com/gpu"], 1)
        self.assertEqual(pod["runtimeClassName"], "nvidia")
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertEqual(container["securityContext"]["capabilities"]["drop"], ["ALL"])
        named = {volume["name"] for volume in pod["volumes"]}
        self.assertEqual(named, {mount["name"] for mount in container["volumeMounts"]})
        with open(os.path.join(ROOT, "deploy", "Dockerfile")) as file:
            self.assertIn(f"--uid {pod['securityContext']['runAsUser']} ", file.read())

    @unittest.skipUnless(shutil.which("kubectl"), "no kubectl")
    def test_kubectl_builds_them_and_knows_every_field(self):
        def kubectl(*arguments):
            done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        built = list(yaml.safe_load_all(kubectl("kustomize", KUBERNETES)))
        self.assertEqual(sorted(one["kind"] for one in built),
                         ["ConfigMap", "Deployment", "Namespace", "PersistentVolumeClaim", "Service"])
        self.assertTrue(all(one["metadata"].get("namespace") == "hearth" for one in built if one["kind"] != "Namespace"))
        # Read into Kubernetes' own types and written again: what these do not know is gone.
        for name, command in (("deployment.yaml", ["set", "image", "--local", "hearth=hearth:other"]),
                              ("service.yaml", ["set", "selector", "--local", "app.kubernetes.io/name=other"])):
            path = os.path.join(KUBERNETES, name)
            again = yaml.safe_load(kubectl(*command[:2], "--local", "-f", path, *command[3:], "-o", "yaml"))
            self.known(self.read(name), again, name)

    @unittest.skipUnless(shutil.which("kubectl"), "no kubectl")
    def test_a_dry_run_would_make_them(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Discovery)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(["kubectl", "--server", f"http://127.0.0.1:{server.server_port}", "create", "--dry-run=client",
                                   "--validate=false", "-k", KUBERNETES], capture_output=True, text=True,
                                  env={"PATH": os.environ["PATH"], "HOME": home})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(line.split(" ")[0] for line in done.stdout.splitlines()),
                         ["configmap/hearth", "deployment.apps/hearth", "namespace/hearth", "persistentvolumeclaim/hearth",
                          "service/hearth"])

    def known(self, given, again, where):
        if isinstance(given, dict):
            for key, value in given.items():
                if value == "":  # as if it were not there
                    continue
                self.assertIn(key, again, f"{where} has a field that Kubernetes does not know")
                self.known(value, again[key], f"{where}.{key}")
        elif isinstance(given, list):
            self.assertEqual(len(given), len(again), where)
            for one, other in zip(given, again):
                self.known(one, other, where)


if __name__ == "__main__":
    unittest.main()
