#!/usr/bin/env bash
# Starts a Redis on loopback, which keeps nothing, to try a cluster with. Writes where it is to
# tests/redis/server.json. tests/redis/down.sh ends it. The tests start their own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${REDIS_PORT:-6380}

if [ -e "$here/server.json" ]; then
  echo "tests/redis/server.json says that a Redis is up. End it first: npm run redis:down" >&2
  exit 1
fi
if ! command -v redis-server >/dev/null; then
  echo "Install the Debian package redis-server." >&2
  exit 1
fi
# The next one where something listens there already.
while (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  port=$((port + 1))
done
dir=$(mktemp -d "${TMPDIR:-/tmp}/sync-server-redis.XXXXXX")
setsid redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" --save "" \
  >"$dir/out" 2>&1 </dev/null &
pid=$!
for _ in $(seq 1 100); do
  if grep -q "Ready to accept connections" "$dir/out"; then
    printf '{ "dir": "%s", "pid": %s, "url": "redis://127.0.0.1:%s" }\n' "$dir" "$pid" "$port" \
      >"$here/server.json"
    echo "Redis is up: CLUSTER=redis://127.0.0.1:$port"
    exit 0
  fi
  sleep 0.1
done
echo "Redis did not start:" >&2
cat "$dir/out" >&2
kill -9 "$pid" || true
rm -rf "$dir"
exit 1
