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

    def test_overlay(self):
        base = self.mount("base", "-t", "tmpfs", "-o", "size=64m")
        for part in ("lower", "upper", "work"):
            (base / part).mkdir()
        point = self.mount("overlay", "-t", "overlay", "-o",
                           f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work")
        models = str(point / "models")
        self.succeeds("pull", self.name, OLLAMA_MODELS=models)
        self.assertIn("disk-overlay", self.succeeds("disk", OLLAMA_MODELS=models))

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
