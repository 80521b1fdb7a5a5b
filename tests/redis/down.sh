#!/usr/bin/env bash
# Ends the Redis that tests/redis/up.sh has started.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ ! -e "$here/server.json" ]; then
  echo "No Redis was started by npm run redis:up."
  exit 0
fi
dir=$(sed -n 's/.*"dir": *"\([^"]*\)".*/\1/p' "$here/server.json")
pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$here/server.json")
# It keeps nothing that is worth an orderly end.
kill -9 "$pid" || echo "It had ended already."
rm -rf "$dir" "$here/server.json"
