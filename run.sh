#!/usr/bin/env bash
# Installs what is missing, builds a release (build/hearth) and runs it. Without arguments it answers a
# prompt with the demonstration model; `./run.sh ARGS...` passes its arguments to hearth.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

tools/build build
if ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
  echo "note: nvcc is not installed, so this build uses the CPU alone; a release (tools/release) has GPU kernels" >&2
fi
if [ $# -gt 0 ]; then
  exec build/hearth "$@"
fi
exec build/hearth run demo --temperature 0 "Tell me a story about a fox named Milo."
