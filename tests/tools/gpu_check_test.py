#!/usr/bin/env python3
"""gpu_check_test.py BUILD: tools/gpu-check, packed, runs where there is libc, a shell and a driver (a simulated one) and
nothing else; and a program that hangs costs its limit and no more."""
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(sys.argv.pop())
SCRIPT = os.path.join(ROOT, "tools", "gpu-check")
CHECKS = ["kernels", "memory", "golden logits", "loss"]
NOT_PERMITTED = 77


def load_script():
    loader = importlib.machinery.SourceFileLoader("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def isolated(root, command, **environment):
    """Runs a shell line with `root` as its root folder."""
    inside = (f'mount --bind /dev "{root}/dev" && mount -t proc proc "{root}/proc" && '
              f'exec chroot "{root}" /bin/sh -c "$0"')
    unshare = ["unshare", "--mount", "--pid", "--fork"] + ([] if os.getuid() == 0 else ["--map-root-user"])
    return subprocess.run([*unshare, "sh", "-c", inside, command], env={"PATH": os.environ["PATH"], **environment},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def empty_system(folder):
    """libc and a shell; /dev and /proc to be mounted."""
    for name in ("bin", "dev", "proc", "tmp"):
        os.makedirs(os.path.join(folder, name))
    shutil.copy("/bin/sh", os.path.join(folder, "bin/sh"))
    libraries = {"libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1"}
    listed = subprocess.run(["ldd", "/bin/sh"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for path in re.findall(r"(/\S+)", listed):
        libc = os.path.dirname(path) if "libc.so" in path else None
        for name in [os.path.basename(path)] + (sorted(libraries) if libc else []):
            to = os.path.join(folder, os.path.dirname(path).lstrip("/"), name)
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(os.path.join(os.path.dirname(path), name), to)


class GpuCheck(unittest.TestCase):
    def test_packed_it_needs_nothing_but_libc_and_a_driver(self):
        with tempfile.TemporaryDirectory() as folder:
            pack = os.path.join(folder, "check.tar")
            done = subprocess.run([SCRIPT, "--build", os.path.relpath(BUILD, ROOT), "--pack", pack, "--capability", "none"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn("MiB", done.stdout)
            root = os.path.join(folder, "root")
            empty_system(root)
            subprocess.run(["tar", "-C", root, "-x", "-f", pack], check=True)
            os.remove(pack)
            os.makedirs(os.path.join(root, "sim"))
            for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
                shutil.copy(os.path.join(BUILD, "sim", name), os.path.join(root, "sim", name))
            shutil.copytree(os.path.join(ROOT, "sim", "profiles"), os.path.join(root, "sim", "profiles"))
            for program in ("hearth --version", "tests/test_ops --gtest_list_tests", "tests/test_device --gtest_list_tests"):
                done = isolated(root, f"/gpu-check/build/{program}", LD_LIBRARY_PATH="/gpu-check/lib")
                self.assertEqual(done.returncode, 0, done.stdout)
            done = isolated(root, f"/gpu-check/check --dry-run --only '{','.join(CHECKS)}'", OUT="/out",
                            LD_LIBRARY_PATH="/sim", HEARTH_SIM_PROFILE="h100-80gb", HEARTH_SIM_PROFILES="/sim/profiles",
                            HEARTH_SIM_UNINITIALISED="ignore", HEARTH_SIM_LOG="/tmp/sim.log")
            self.assertEqual(done.returncode, 0, done.stdout)
            with open(os.path.join(root, "out", "results.jsonl")) as lines:
                results = [json.loads(line) for line in lines]
            self.assertIn("NVIDIA H100", results[0]["facts"]["gpu"])
            wanted = [name for name in CHECKS if name != "golden logits" or os.path.isdir(os.path.join(
                root, "gpu-check", "shared"))]
            self.assertEqual([(one["check"], one["result"]) for one in results[1:] if one["check"] in wanted],
                             [(name, "passed") for name in wanted], done.stdout)

    def test_a_program_that_hangs_costs_its_limit(self):
        module = load_script()
        with tempfile.TemporaryDirectory() as out:
            check = module.Check(types.SimpleNamespace(build="build", dry_run=False), out)
            check.begin("hang", 1)
            start = time.monotonic()
            with self.assertRaisesRegex(module.Failed, "sh was stopped: 1 s were over"):
                check.run("sh", "-c", "echo before; sleep 100 & wait")
            self.assertLess(time.monotonic() - start, 10)
            with open(os.path.join(out, "log", "hang-1.out")) as log:
                self.assertEqual(log.read(), "before\n")


if __name__ == "__main__":
    if isolated("/", "true").returncode != 0 and os.getuid() != 0:
        print("skipped: this user cannot make name spaces")
        sys.exit(NOT_PERMITTED)
    unittest.main()
