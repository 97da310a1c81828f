#!/usr/bin/env bash
# Builds everything and passes every test; arguments are ctest's.
#   ./test.sh --long [MINUTES]   then also what takes hours: sanitizers, every fuzz target for MINUTES (5), kill storms
#   HEARTH_SANITIZE=address|thread ./test.sh   everything under one sanitizer (an hour or more on 2 cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [ "${1:-}" = --long ]; then
  exec tests/long/all "${2:-5}"
fi
sanitize=${HEARTH_SANITIZE:-}
folder=build${sanitize:+-$sanitize}
HEARTH_WITH_TESTS=1 tools/build "$folder"
export HEARTH_SKIPPED=$PWD/$folder/skipped-tests
rm -f "$HEARTH_SKIPPED"
status=0
ctest --test-dir "$folder" --output-on-failure --parallel "$(nproc)" "$@" || status=$?
if [ -s "$HEARTH_SKIPPED" ]; then
  echo "WARNING: $(wc -l <"$HEARTH_SKIPPED") tests were SKIPPED, since they compare with the folder ../shared, which is" \
    "not there: $(cut -d. -f1 "$HEARTH_SKIPPED" | sed 's|.*/||' | sort | uniq -c | awk '{print $2 " (" $1 ")"}' | paste -sd' ')" >&2
fi
exit $status
