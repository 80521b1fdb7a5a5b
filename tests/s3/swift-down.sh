#!/usr/bin/env bash
# Ends the S3 server that tests/s3/swift-up.sh has started, and removes what it kept.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ ! -e "$here/swift.json" ]; then
  echo "No S3 server was started by tests/s3/swift-up.sh."
  exit 0
fi
dir=$(sed -n 's/.*"dir": *"\([^"]*\)".*/\1/p' "$here/swift.json")
for name in proxy account container object memcached; do
  if [ -e "$dir/run/$name.pid" ]; then
    # Nothing that it keeps is worth an orderly end. The minus: its workers as well.
    kill -9 -- "-$(cat "$dir/run/$name.pid")" || echo "$name had ended already."
  fi
done
rm -rf "$dir" "$here/swift.json"
