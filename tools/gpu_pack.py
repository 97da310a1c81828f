"""tools/gpu-check --pack: the check with its programs, libraries, test data and the interpreter, for a machine that has
libc, a shell and NVIDIA's driver and nothing else."""
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAMS = ["hearth", "make_shape", "tests/test_ops", "tests/test_cuda", "tests/test_models", "tests/test_device"]
GOLDEN = ["llama31", "qwen3", "phi3", "mixtral", "gemma3"]  # one of each kind; all ten would be 20 MB
MOST_BYTES = 40 << 20
# What every Linux has, and what comes with the driver.
OF_THE_SYSTEM = re.compile(r"(ld-linux.*|libc|libm|libdl|libpthread|librt|libutil|libresolv|libcuda|libnvidia-ml)\.so.*")
START = """#!/bin/sh
# Runs the check with what lies in this folder: see tools/gpu-check --help.
here=$(cd "${0%/*}" && pwd)
export PYTHONHOME="$here/python" PYTHONNOUSERSITE=1
LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/python/python3" -S -B \
"$here/tools/gpu-check" "$@"
"""


def libraries_of(program):
    found = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [path for name, path in re.findall(r"(\S+) => (/\S+)", found) if not OF_THE_SYSTEM.fullmatch(name)]


def modules_of(script):
    """Files of the standard library that the script needs, as {path under lib/: file}."""
    names = ["encodings.ascii", "encodings.latin_1", "locale", "textwrap", "traceback", "sysconfig"]
    for node in ast.walk(ast.parse(open(script).read())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name != "gpu_pack"]
    code = ("import importlib, sys\n"
            f"for name in {names!r}: importlib.import_module(name)\n"
            "for module in list(sys.modules.values()):\n"
            "  file = getattr(module, '__file__', None)\n"
            "  if file: print(file)\n")
    listed = subprocess.run([sys.executable, "-S", "-E", "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    top = os.path.dirname(os.path.dirname(os.path.realpath(os.__file__)))
    return {os.path.relpath(os.path.realpath(file), top): os.path.realpath(file) for file in listed.stdout.split()}


def add(folder, path, source, strip=False):
    to = os.path.join(folder, path)
    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copy(source, to)
    os.chmod(to, 0o755 if os.access(source, os.X_OK) else 0o644)
    if strip:
        subprocess.run(["strip", to], check=True)


def machine_code(build, capability):
    """Complaint if the build has no machine code for this GPU, whose driver would have to compile the kernels."""
    if capability == "none":
        return None
    number = capability.replace(".", "")
    cache = open(os.path.join(build, "CMakeCache.txt")).read()
    targets = re.search(r"^HEARTH_CUDA_TARGETS:\w+=(.*)$", cache, re.M)
    has = targets[1].split(";") if targets else []
    if number in has:
        return None
    return (f"{build} has machine code for {', '.join(has) or 'no GPU'}, not for {number}: configure it with "
            f"-DHEARTH_CUDA_TARGETS={number}, or pack with --capability none")


def fill(folder, root, build, commit):
    for program in PROGRAMS:
        add(folder, f"build/{program}", os.path.join(build, program), strip=True)
    add(folder, "build/demo.gguf", os.path.join(build, "demo.gguf"))
    script = os.path.join(root, "tools", "gpu-check")
    add(folder, "tools/gpu-check", script)
    python = os.path.realpath(sys.executable)
    add(folder, "python/python3", python, strip=True)
    modules = modules_of(script)
    for path, file in modules.items():
        add(folder, f"python/lib/{path}", file)
    os.makedirs(os.path.join(folder, f"python/lib/python3.{sys.version_info.minor}/lib-dynload"), exist_ok=True)
    binaries = [os.path.join(build, program) for program in PROGRAMS] + [python]
    binaries += [file for file in modules.values() if file.endswith(".so")]
    for library in sorted({library for binary in binaries for library in libraries_of(binary)}):
        add(folder, f"lib/{os.path.basename(library)}", library, strip=True)
    shared = os.environ.get("HEARTH_SHARED") or os.path.join(root, "..", "shared")
    if os.path.exists(os.path.join(shared, "golden/logits/index.json")):
        for path in ["golden/logits/index.json"] + [one for name in GOLDEN for one in
                                                    (f"golden/logits/{name}.npy", f"models/tiny/{name}.gguf")]:
            add(folder, f"shared/{path}", os.path.join(shared, path))
    else:
        print(f"gpu-check: {shared} has no golden logits: packed without", file=sys.stderr)
    with open(os.path.join(folder, "commit"), "w") as file:
        file.write(commit + "\n")
    with open(os.path.join(folder, "check"), "w") as file:
        file.write(START)
    os.chmod(os.path.join(folder, "check"), 0o755)


def pack(root, build, out, capability, commit):
    missing = [program for program in PROGRAMS if not os.path.exists(os.path.join(build, program))]
    complaint = machine_code(build, capability) if not missing else "not built: " + ", ".join(missing)
    if complaint:
        print(f"gpu-check: {complaint}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="hearth-gpu-pack-") as folder:
        fill(os.path.join(folder, "gpu-check"), root, build, commit)
        compress = ["--use-compress-program", "xz --lzma2=preset=6,dict=64MiB"] if out.endswith(".xz") else []
        subprocess.run(["tar", "-C", folder, "-c", "-f", os.path.abspath(out), "--owner=0", "--group=0", *compress,
                        "gpu-check"], check=True)
    size = os.path.getsize(out)
    print(f"{out}: {size / (1 << 20):.1f} MiB, hearth at {commit}, machine code for {capability}")
    if size > MOST_BYTES and out.endswith(".xz"):
        print(f"gpu-check: that is more than {MOST_BYTES >> 20} MiB", file=sys.stderr)
        return 1
    return 0
