#!/usr/bin/env bash
# Ends the S3 server that tests/s3/up.sh has started, and removes what it kept.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ ! -e "$here/server.json" ]; then
  echo "No S3 server was started by npm run s3:up."
  exit 0
fi
dir=$(sed -n 's/.*"dir": *"\([^"]*\)".*/\1/p' "$here/server.json")
for name in rgw osd mon; do
  if [ -e "$dir/run/$name.pid" ]; then
    # The store keeps nothing that is worth an orderly end, and does not always come to one.
    kill -9 "$(cat "$dir/run/$name.pid")" || echo "$name had ended already."
  fi
done
rm -rf "$dir" "$here/server.json"
