#!/bin/sh
# Makes a snapshot of the ledger and everything beside it and fetches it as an archive: --help says how.
set -eu
cd "$(dirname "$0")/.."
exec node_modules/.bin/node scripts/backup.ts "$@"
