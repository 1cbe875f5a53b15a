#!/bin/sh
# Checks an archive, restores it into a new database and verifies what came of it: --help says how.
set -eu
root="$(cd "$(dirname "$0")/.." && pwd)"
exec "$root/node_modules/.bin/node" "$root/scripts/restore.ts" "$@"
