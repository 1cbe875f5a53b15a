#!/usr/bin/env bash
# The load gate and the soak gate: ./run-load-tests.sh [load] [soak]; ./run-load-tests.sh --help lists tunables and limits.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
exec "$here/node_modules/.bin/node" "$here/scripts/load.ts" "$@"
