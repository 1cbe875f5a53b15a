#!/usr/bin/env bash
# One claim from a hub through core and back: result.json with status, claimId, requestId, deliveredCount. --help lists what it takes.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
exec "$here/../node_modules/.bin/node" "$here/cross-repo-e2e.ts" "$@"
