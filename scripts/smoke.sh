#!/usr/bin/env bash
# Smoke test of a deployed core or hub: scripts/smoke.sh <base-url> [more base-urls]. Exit 0 only when everything answers as it must.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
exec "$here/../node_modules/.bin/node" "$here/smoke.ts" "$@"
