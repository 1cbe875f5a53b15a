#!/usr/bin/env bash
# Functional, failure injection, load and soak: .local/itrans-staging-validation/summary.json. --help lists what it takes.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
exec "$here/../node_modules/.bin/node" "$here/staging-validation.ts" "$@"
