#!/usr/bin/env bash
# Builds everything and passes every test. HEARTH_SANITIZE=address or =thread does so under sanitizers
# (an hour or more on 2 cores).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

sanitize=${HEARTH_SANITIZE:-}
folder=build${sanitize:+-$sanitize}
HEARTH_WITH_TESTS=1 tools/build "$folder"
ctest --test-dir "$folder" --output-on-failure --parallel "$(nproc)" "$@"
