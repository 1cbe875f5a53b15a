#!/bin/sh
# Checks an archive, restores it into a new database and holds it against the newest signed checkpoint and anchor: --help says how.
set -eu
root="$(cd "$(dirname "$0")/.." && pwd)"
exec "$root/node_modules/.bin/node" "$root/scripts/restore.ts" "$@"
