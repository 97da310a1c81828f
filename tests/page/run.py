#!/usr/bin/env python3
"""Drives the page in Chromium: one server on a simulated GPU that another program leaves, with a registry beside it.

run.py HEARTH SIM_FOLDER FOLDER [SCREENSHOTS]

FOLDER keeps the npm packages. With SCREENSHOTS pictures of every page are put there, light and dark, wide and narrow.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../serve")
from program import Program  # noqa: E402
from store import Store, demo_bytes  # noqa: E402


def skip(why):
    print("SKIPPED: the page in a browser: " + why)
    sys.exit(77)


def install(folder):
    """The packages of package-lock.json, once."""
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "page.test.mjs"):
        shutil.copy(f"{HERE}/{name}", folder)
    with open(HERE + "/package-lock.json", "rb") as lock:
        wanted = hashlib.sha256(lock.read()).hexdigest()
    stamp = folder + "/installed"
    if os.path.exists(stamp) and open(stamp).read() == wanted:
        return
    npm = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    if subprocess.run(npm, cwd=folder).returncode != 0:
        skip("npm ci cannot install what drives it")
    with open(stamp, "w") as file:
        file.write(wanted)


def main():
    hearth, sim, folder = (os.path.abspath(path) for path in sys.argv[1:4])
    for program in ("chromium", "npm"):
        if not shutil.which(program):
            skip(program + " is not installed")
    if not os.path.exists(sim + "/libcuda.so.1"):
        skip("the simulated driver is not built")
    if "CUDA: not in this build" in subprocess.run([hearth, "--version"], capture_output=True, text=True).stdout:
        skip("this build has no CUDA kernels")
    install(folder)
    work = tempfile.TemporaryDirectory()
    registry_store = Store(work.name + "/registry")
    registry_store.add("small", demo_bytes(512))
    store = Store(work.name + "/models")
    store.add("demo", demo_bytes(4096))
    store.add("other", demo_bytes(2048))
    # Another program holds most of the card until the file is there.
    left = work.name + "/left"
    environment = store.environment | {
        "LD_LIBRARY_PATH": sim, "HEARTH_SIM_PROFILE": "tiny-laptop", "HEARTH_SIM_LOG": work.name + "/sim.log",
        "HEARTH_SIM_FAULTS": f"take mib=60 name=/usr/bin/game until-file={left}", "OLLAMA_CONTEXT_LENGTH": "2000",
        "HEARTH_DISK_RESERVE": "1M"}
    registry = Program(hearth, environment=registry_store.environment)
    server = Program(hearth, gpu="auto", environment=environment)
    try:
        environment = os.environ | {
            "PAGE_URL": server.url, "PAGE_REGISTRY": registry.url.removeprefix("http://"), "PAGE_LEFT": left,
            "PAGE_SCREENSHOTS": os.path.abspath(sys.argv[4]) if len(sys.argv) > 4 else ""}
        done = subprocess.run(["node", "--test", "page.test.mjs"], cwd=folder, env=environment)
        if done.returncode != 0:
            print("".join(line for line in server.log if line)[-4000:])
        sys.exit(done.returncode)
    finally:
        server.close()
        registry.close()


if __name__ == "__main__":
    main()
