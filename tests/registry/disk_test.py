#!/usr/bin/env python3
"""hearth on file systems that are small, full or read-only: loop-mounted where that is allowed, skipped by name where
not. The store's commands, as people use them.

disk_test.py HEARTH
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lying_registry import Registry, digest  # noqa: E402

HEARTH = sys.argv.pop()
MIB = 1 << 20
CLONE_NEWNS = 0x20000


def private_mounts():
    """What is mounted from now on is seen by this process and its children only, and goes with them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode == 0


CAN_MOUNT = os.geteuid() == 0 and private_mounts()


class Disks(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hearth-disk-"))
        self.mounts = []
        self.registry = Registry()
        self.name = f"{self.registry.host}/library/whole"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OLLAMA_HOST": "127.0.0.1:1",
                            "HEARTH_DISK_RESERVE": "0"}

    def tearDown(self):
        self.registry.shutdown()
        self.registry.server_close()
        for point in reversed(self.mounts):
            subprocess.run(["umount", "-l", point], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def mount(self, name, *options, source="none"):
        point = self.folder / name
        point.mkdir()
        done = subprocess.run(["mount", *options, source, point], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"{name} cannot be mounted here: {done.stderr.strip()}")
        self.mounts.append(point)
        return point

    def mount_image(self, kind, mebibytes):
        if not shutil.which(f"mkfs.{kind}"):
            self.skipTest(f"mkfs.{kind} is not installed")
        image = self.folder / f"{kind}.img"
        with open(image, "wb") as file:
            file.truncate(mebibytes * MIB)
        force = {"ext4": "-Fq", "xfs": "-fq", "btrfs": "-fq"}[kind]
        subprocess.run([f"mkfs.{kind}", force, image], check=True, capture_output=True)
        return self.mount(kind, "-o", "loop", source=str(image))

    def fill(self, point, leave):
        """Takes what is free, but for so many bytes."""
        stat = os.statvfs(point)
        with open(point / "filler", "wb") as file:
            left = stat.f_bavail * stat.f_frsize - leave
            while left > 0:
                try:
                    left -= file.write(b"x" * min(left, MIB))
                    file.flush()
                except OSError:
                    break

    def hearth(self, *arguments, **environment):
        return subprocess.run([HEARTH, *arguments], capture_output=True, text=True, timeout=120,
                              env=self.environment | environment)

    def succeeds(self, *arguments, **environment):
        done = self.hearth(*arguments, **environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def nothing_of_it(self, models):
        self.assertEqual([p for p in models.rglob("*") if p.is_file() and ("manifests" in p.parts or "blobs" in p.parts)], [])
        reservations = models / "hearth" / "reservations"
        left = [p.name for p in reservations.iterdir() if p.name != "lock"] if reservations.exists() else []
        self.assertEqual(left, [], "the ledger is empty")

    def works_when_full(self, point):
        models = point / "models"
        environment = {"OLLAMA_MODELS": str(models)}
        models.mkdir()
        self.fill(point, MIB)
        done = self.hearth("pull", self.name, **environment)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("1. make room", done.stderr)
        self.assertNotIn("CUDA", done.stderr)
        self.nothing_of_it(models)
        os.unlink(point / "filler")
        os.sync()
        self.succeeds("pull", self.name, **environment)
        self.assertIn("all are what their names say", self.succeeds("store", "verify", **environment))


@unittest.skipUnless(CAN_MOUNT, "mounting is not allowed here")
class OnDisks(Disks):
    def test_tmpfs(self):
        self.works_when_full(self.mount("tmpfs", "-t", "tmpfs", "-o", "size=12m"))

    def test_ext4(self):
        self.works_when_full(self.mount_image("ext4", 32))

    def test_xfs(self):
        self.works_when_full(self.mount_image("xfs", 320))

    def test_btrfs(self):
        self.works_when_full(self.mount_image("btrfs", 128))

    def test_a_quota_of_btrfs_is_told_as_one(self):
        point = self.mount_image("btrfs", 300)
        for command in (["quota", "enable", point], ["subvolume", "create", point / "v"],
                        ["qgroup", "limit", "2M", point / "v"]):
            done = subprocess.run(["btrfs", *command], capture_output=True, text=True)
            if done.returncode != 0:
                self.skipTest(f"btrfs {command[0]} is not to be had here: {done.stderr.strip()}")
        models = point / "v" / "models"
        environment = {"HEARTH_STORES": f"main={models}"}
        done = self.hearth("pull", self.name, **environment)
        self.assertEqual(done.returncode, 1)
        self.assertIn("quota exceeded", done.stderr)
        self.nothing_of_it(models)
        self.assertFalse([r for r in self.registry.requests if "/blobs/" in r[1]], "nothing was asked for")
        self.assertIn("disk-quota", self.succeeds("disk", **environment), "another process has met it")
        subprocess.run(["btrfs", "qgroup", "limit", "none", point / "v"], check=True)
        self.succeeds("pull", self.name, **environment)
        self.assertIn("all are what their names say", self.succeeds("store", "verify", **environment))

    def test_a_thin_image_fails_late(self):
        pool = self.mount("pool", "-t", "tmpfs", "-o", "size=24m")
        image = pool / "thin.img"
        with open(image, "wb") as file:
            file.truncate(64 * MIB)
        subprocess.run(["mkfs.ext4", "-Fq", "-E", "lazy_itable_init=0,nodiscard", image], check=True, capture_output=True)
        point = self.mount("thin", "-o", "loop", source=str(image))
        models = point / "models"
        environment = {"HEARTH_STORES": f"main={models}"}
        os.sync()
        self.fill(pool, 256 * 1024)
        done = self.hearth("pull", self.name, **environment)
        self.assertEqual(done.returncode, 1, "what cannot be kept is no success")
        self.assertNotIn("success", done.stderr)
        self.assertEqual([p for p in (models / "manifests").rglob("*") if p.is_file()], [])
        self.assertFalse((models / "blobs" / digest(self.registry.weights).replace(":", "-")).exists())
        if "No space left" in done.stderr:
            self.assertIn("disk-thin-pool", self.succeeds("disk", **environment))

    def test_overlay(self):
        base = self.mount("base", "-t", "tmpfs", "-o", "size=64m")
        for part in ("lower", "upper", "work"):
            (base / part).mkdir()
        point = self.mount("overlay", "-t", "overlay", "-o",
                           f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work")
        models = str(point / "models")
        self.succeeds("pull", self.name, OLLAMA_MODELS=models)
        self.assertIn("disk-overlay", self.succeeds("disk", OLLAMA_MODELS=models))

    def test_downloads_may_be_staged_on_another_disk(self):
        staging = self.mount("staging", "-t", "tmpfs", "-o", "size=32m")
        models = self.mount("models", "-t", "tmpfs", "-o", "size=12m")
        environment = {"HEARTH_STORES": f"main={models}/m", "HEARTH_STAGING": f"{staging}/s"}
        self.registry.delay = 0.02
        process = subprocess.Popen([HEARTH, "pull", self.name], stderr=subprocess.DEVNULL,
                                   env=self.environment | environment)
        while self.registry.sent < MIB:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.wait(20)
        begun = staging / "s" / "partial" / digest(self.registry.weights).replace(":", "-")
        self.assertTrue(begun.exists(), "what was begun lies there")
        self.assertIn("hearth store gc --partial", self.succeeds("disk", **environment))
        self.registry.delay = 0
        self.succeeds("pull", self.name, **environment)
        self.assertEqual((models / "m" / "blobs" / begun.name).read_bytes(), self.registry.weights)
        self.assertEqual(list(begun.parent.iterdir()), [])
        self.assertFalse((models / "m" / "hearth" / "partial").exists())
        weights = models / "m" / "blobs" / begun.name
        (self.folder / "Modelfile").write_text(f"FROM {self.folder}/demo.gguf\n")
        shutil.copy(pathlib.Path(__file__).resolve().parents[2] / "data" / "demo.gguf", self.folder / "demo.gguf")
        self.succeeds("create", "made", "-f", str(self.folder / "Modelfile"), **environment)
        self.assertIn("all are what their names say", self.succeeds("store", "verify", **environment))
        weights.unlink()
        before = len(self.registry.requests)
        for point in (models, staging):
            self.fill(point, MIB)
            refused = self.hearth("pull", self.name, **environment)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(str(point), refused.stderr, "the one that is full is named")
            (point / "filler").unlink()
        self.assertFalse([r for r in self.registry.requests[before:] if "/blobs/" in r[1]], "nothing was asked for")

    def test_cold_models_go_to_the_pool_by_themselves(self):
        hot = self.mount("hot", "-t", "tmpfs", "-o", "size=24m")
        pool = self.folder / "pool"
        environment = {"HEARTH_STORES": f"hot={hot}/m,pool={pool}", "HEARTH_MOVE_COLD": "pool=0s",
                       "HEARTH_STATE": str(self.folder / "state")}
        for name in ("whole", "whole2", "whole3"):
            self.succeeds("pull", self.name.replace("whole", name), **environment)
        self.succeeds("store", "pin", self.name, **environment)
        self.fill(hot, 2 * MIB)
        server = subprocess.Popen([HEARTH, "serve", "--gpu", "off", "--host", "127.0.0.1:0"], stderr=subprocess.PIPE,
                                  text=True, env=self.environment | environment | {"HEARTH_DISK_RESERVE": "6M"})
        self.addCleanup(lambda: (server.kill(), server.wait(), server.stderr.close()))
        moved = []
        for line in server.stderr:
            moved += [line] if "is in the store pool now" in line else []
            if len(moved) == 2:
                break

        def models(store):
            return sorted(p.parent.name for p in (store / "manifests").rglob("latest"))
        self.assertEqual(models(pool), ["whole2", "whole3"])
        self.assertEqual(models(hot / "m"), ["whole"], "which is pinned")

    def test_few_inodes(self):
        point = self.mount("inodes", "-t", "tmpfs", "-o", "size=32m,nr_inodes=6")
        done = self.hearth("pull", self.name, HEARTH_STORES=f"main={point}/models")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)
        self.assertIn("disk-inodes", self.succeeds("disk", HEARTH_STORES=f"main={point}/models"))

    def test_read_only_stores_are_read_and_pulls_go_elsewhere(self):
        point = self.mount("fixed", "-t", "tmpfs", "-o", "size=32m")
        self.succeeds("pull", self.name, OLLAMA_MODELS=str(point / "models"))
        subprocess.run(["mount", "-o", "remount,ro", point], check=True)
        stores = f"fixed={point}/models,own={self.folder}/own"
        self.succeeds("pull", self.name + "2", HEARTH_STORES=stores)
        self.assertIn("whole2", self.succeeds("list", HEARTH_STORES=stores) + str(list((self.folder / "own").rglob("*"))))
        self.assertIn("read-only", self.succeeds("disk", HEARTH_STORES=stores))
        server = subprocess.Popen([HEARTH, "serve", "--gpu", "off", "--host", "127.0.0.1:0"], stderr=subprocess.PIPE,
                                  text=True, env=self.environment | {"HEARTH_STORES": stores,
                                                                     "HEARTH_STATE": str(self.folder / "state")})
        self.addCleanup(lambda: (server.kill(), server.wait(), server.stderr.close()))
        address = next(line.split("Listening on ")[1].split()[0] for line in server.stderr if "Listening on" in line)
        copy = json.dumps({"source": self.name, "destination": "mine"})
        subprocess.run(["curl", "-sSf", "-d", copy, f"http://{address}/api/copy"], check=True)
        self.assertTrue(list((self.folder / "own" / "manifests").rglob("mine/latest")))
        self.assertIn("all are what their names say", self.succeeds("store", "verify", HEARTH_STORES=stores))
        alone = self.hearth("pull", self.name, HEARTH_STORES=f"fixed={point}/models")
        self.assertIn("read-only", alone.stderr)

    def test_another_program_fills_the_disk_in_the_middle(self):
        point = self.mount("shared", "-t", "tmpfs", "-o", "size=12m")
        models = {"OLLAMA_MODELS": str(point / "models")}
        self.registry.delay = 0.02
        process = subprocess.Popen([HEARTH, "pull", self.name], stderr=subprocess.PIPE, text=True,
                                   env=self.environment | models)
        while self.registry.sent < MIB:
            time.sleep(0.01)
        self.fill(point, 0)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, "its space was taken before: " + errors)

    def test_a_full_root_beside_a_large_pool(self):
        """The case that began it: a root with 28 KB free and a pool with plenty, and a server that goes on."""
        root = self.mount("root", "-t", "tmpfs", "-o", "size=20m")
        pool = self.mount_image("ext4", 1500)
        models = root / "models"
        environment = {"OLLAMA_MODELS": str(models)}
        self.succeeds("pull", self.name, **environment)
        before = sorted(p.name for p in (models / "blobs").iterdir())
        (root / "models" / "hearth" / "usage").unlink(missing_ok=True)
        self.fill(root, 28 * 1024)
        refused = self.hearth("pull", self.name.replace("whole", "too-large"), **environment)
        self.assertEqual(refused.returncode, 1)
        for way in ("1. make room: hearth rm", "2. ", "3. take a smaller quantisation"):
            self.assertIn(way, refused.stderr)
        screen = self.succeeds("disk", **environment)
        self.assertIn(str(pool), screen)
        self.assertIn(f"hearth store move --all --to {pool}/models", screen)
        server = subprocess.Popen([HEARTH, "serve", "--gpu", "off", "--host", "127.0.0.1:0"], stderr=subprocess.PIPE,
                                  text=True, env=self.environment | environment | {"HEARTH_STATE": str(pool / "state")})
        self.addCleanup(lambda: (server.kill(), server.wait(), server.stderr.close()))
        address = next(line.split("Listening on ")[1].split()[0] for line in server.stderr if "Listening on" in line)
        moved = self.succeeds("store", "move", "--all", "--to", f"{pool}/models", **environment)
        self.assertIn("copied", moved)
        self.assertEqual(sorted(p.name for p in (pool / "models" / "blobs").iterdir()), before)
        self.assertEqual(list((models / "blobs").iterdir()), [])
        blob = digest(self.registry.weights)
        status = subprocess.run(["curl", "-sSI", "-o", "/dev/null", "-w", "%{http_code}",
                                 f"http://{address}/v2/library/whole/blobs/{blob}"], capture_output=True, text=True)
        self.assertEqual(status.stdout, "200", "the server that was running finds it in the pool")
        self.assertIn("all are what their names say", self.succeeds("store", "verify", **environment))


class Commands(Disks):
    def test_the_store_is_looked_after(self):
        models = self.folder / "models"
        environment = {"OLLAMA_MODELS": str(models)}
        self.succeeds("pull", self.name, **environment)
        orphan = models / "blobs" / ("sha256-" + "0" * 64)
        orphan.write_bytes(b"x" * 5000)
        young = self.hearth("store", "gc", "--dry-run", **environment)
        self.assertIn("younger than 24 hours", young.stderr)
        self.assertTrue(orphan.exists())
        blob = models / "blobs" / digest(self.registry.weights).replace(":", "-")
        blob.write_bytes(b"X" + self.registry.weights[1:])
        damaged = self.hearth("store", "verify", **environment)
        self.assertEqual(damaged.returncode, 1)
        self.assertIn("another content", damaged.stdout)
        self.assertIn("--repair", damaged.stderr)
        self.succeeds("store", "verify", "--repair", **environment)
        self.assertEqual(blob.read_bytes(), self.registry.weights)
        self.assertIn("CAN TAKE", self.succeeds("disk", **environment))
        for wrong in (("store", "sell"), ("store", "move", "a"), ("store", "move", "--to", "pool"), ("store", "gc", "x")):
            self.assertEqual(self.hearth(*wrong, **environment).returncode, 2, wrong)

    def test_a_disk_without_room_is_named_by_all_who_are_asked(self):
        models = self.folder / "models"
        environment = {"OLLAMA_MODELS": str(models), "HEARTH_STORES": f"main={models}", "HEARTH_DISK_RESERVE": "1000T"}
        models.mkdir()
        server = subprocess.Popen([HEARTH, "serve", "--gpu", "off", "--host", "127.0.0.1:0"], stderr=subprocess.PIPE,
                                  text=True,
                                  env=self.environment | environment | {"HEARTH_STATE": str(self.folder / "state")})
        self.addCleanup(lambda: (server.kill(), server.wait(), server.stderr.close()))
        address = next(line.split("Listening on ")[1].split()[0] for line in server.stderr if "Listening on" in line)

        def get(path):
            return subprocess.run(["curl", "-sS", f"http://{address}{path}"], capture_output=True, text=True).stdout
        for _ in range(100):
            health = json.loads(get("/health"))
            if any(reason["id"] == "disk-full" for reason in health["reasons"]):  # batch work has its own
                break
            time.sleep(0.1)
        reason = next(r for r in health["reasons"] if r["id"] == "disk-full")
        self.assertEqual((reason["cause_id"], health["ready"]), ("disk-full", True), "it goes on answering")
        self.assertIn("nothing large is written there", reason["cause"])
        self.assertIn("hearth disk", reason["remedy"])
        self.assertIn('hearth_store_finding{store="main",id="disk-full"} 1', get("/metrics"))
        self.assertIn("disk-full: ", self.succeeds("disk", **environment))
        diagnosis = self.hearth("doctor", "--json", **environment)
        self.assertIn("disk-low", [f["id"] for f in json.loads(diagnosis.stdout)["findings"]], diagnosis.stdout)
        body = b"x" * (5 * MIB)
        upload = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "--data-binary", "@-",
                                 f"http://{address}/api/blobs/{digest(body)}"], input=body, capture_output=True)
        self.assertIn(b"507", upload.stdout)
        self.assertIn(b"hearth disk", upload.stdout)
        asked = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "-d", "@-", f"http://{address}/api/chat"],
                               input=b'{"model":"none","x":"' + body + b'"}', capture_output=True)
        self.assertIn(b"404", asked.stdout, "a long question is read all the same")

    def test_two_hearths_and_an_ollama_share_a_folder(self):
        models, ends, faults = self.folder / "models", threading.Event(), []
        environment = {"HEARTH_STORES": f"main={models}"}
        (models / "blobs").mkdir(parents=True)

        def manifests():
            return [p for p in (models / "manifests").rglob("*") if p.is_file()]

        def ollama():
            """Pulls, removes and prunes as it does: blobs of no manifest go after an hour, other names at once."""
            for number in range(10_000):
                data = b"ollama %d" % number * 1000
                name = digest(data).replace(":", "-")
                (models / "blobs" / (name + "-partial")).write_bytes(data)
                os.rename(models / "blobs" / (name + "-partial"), models / "blobs" / name)
                manifest = models / "manifests" / "registry.ollama.ai" / "library" / "theirs" / "latest"
                manifest.parent.mkdir(parents=True, exist_ok=True)
                manifest.write_text(json.dumps({"layers": [{"mediaType": "application/vnd.ollama.image.model",
                                                            "digest": digest(data), "size": len(data)}]}))
                if number % 3 == 0:
                    manifest.unlink()
                    (models / "blobs" / name).unlink(missing_ok=True)
                for path in (models / "blobs").iterdir():
                    try:
                        if len(path.name) != 71 and time.time() - path.stat().st_mtime > 3600:
                            path.unlink()
                    except FileNotFoundError:
                        pass
                if ends.is_set():
                    return

        def hearth(number):
            for _ in range(4):
                for command in (("pull", self.name), ("pull", f"{self.name}{number}"), ("store", "gc"),
                                ("store", "gc", "--partial"), ("store", "verify")):
                    done = self.hearth(*command, **environment)
                    # A manifest that Ollama just writes, in place, cannot be read for a moment; its files come and go.
                    passes = "nothing can be called garbage" in done.stderr or command[1] == "verify"
                    if done.returncode != 0 and not passes:
                        faults.append((command, done.stderr))
        writer = threading.Thread(target=ollama)
        writer.start()
        both = [threading.Thread(target=hearth, args=(number,)) for number in (1, 2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        ends.set()
        writer.join()
        self.assertEqual(faults, [])
        self.assertIn("all are what their names say", self.succeeds("store", "verify", **environment))
        named = set()
        for path in manifests():
            manifest = json.loads(path.read_text())
            named |= {part["digest"].replace(":", "-") for part in [*manifest["layers"], manifest.get("config")] if part}
        self.assertTrue(named <= {p.name for p in (models / "blobs").iterdir()}, "each manifest has its files")
        self.assertIn(digest(self.registry.weights).replace(":", "-"), named)

    def test_begun_downloads_are_seen_and_removed(self):
        environment = {"OLLAMA_MODELS": str(self.folder / "models")}
        self.registry.delay = 0.02
        process = subprocess.Popen([HEARTH, "pull", self.name], stderr=subprocess.DEVNULL,
                                   env=self.environment | environment)
        while self.registry.sent < MIB:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        self.assertNotEqual(process.wait(20), 0)
        self.assertIn("hearth store gc --partial", self.succeeds("disk", **environment))
        self.assertIn("would be free", self.succeeds("store", "gc", "--partial", "--dry-run", **environment))
        self.succeeds("store", "gc", "--partial", **environment)
        self.assertEqual(list((self.folder / "models" / "hearth" / "partial").iterdir()), [])

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_permissions_are_told_before_the_first_byte(self):
        models = self.folder / "theirs"
        models.mkdir(mode=0o755)
        os.chmod(self.folder, 0o755)
        home = self.folder / "home"
        home.mkdir()
        os.chmod(home, 0o500)
        done = subprocess.run([HEARTH, "pull", self.name], capture_output=True, text=True, timeout=60, user=65534,
                              env=self.environment | {"HEARTH_STORES": f"main={models}"})
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot write in {models}: it belongs to root (mode 755), and this runs as", done.stderr)
        self.assertFalse(self.registry.requests)


if __name__ == "__main__":
    unittest.main()
