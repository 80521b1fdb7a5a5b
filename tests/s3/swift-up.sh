#!/usr/bin/env bash
# Starts a second S3 server for the tests, of another make than Ceph: OpenStack Swift with s3api
# from Debian, one copy of each object, on loopback. Installs the packages where they are missing.
# Prints the environment to test with, and everything else to standard error:
#   eval "$(bash tests/s3/swift-up.sh)"
# tests/s3/swift-down.sh ends it.
set -euo pipefail
exec 3>&1 >&2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${SWIFT_PORT:-7680}
key=test:tester
secret=secretsecret

if [ -e "$here/swift.json" ]; then
  echo "tests/s3/swift.json says that a server is up. End it first: bash tests/s3/swift-down.sh"
  exit 1
fi

missing=
for package in swift-proxy swift-account swift-container swift-object memcached; do
  [ "$(dpkg-query -f '${db:Status-Status}' -W "$package" 2>&1 || true)" = installed ] ||
    missing="$missing $package"
done

policy=/usr/sbin/policy-rc.d
# Installs what is missing, without starting Debian's own servers, now or at the next boot: they
# listen on all interfaces.
install_missing() {
  local unit
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Install the Debian packages$missing, or set TEST_S3 to s3://bucket/prefix and the"
    echo "AWS_ variables to those of another S3 server."
    exit 1
  fi
  if [ -e "$policy" ]; then
    mv "$policy" "$policy.before"
    trap 'mv "$policy.before" "$policy"' EXIT
  else
    trap 'rm -f "$policy"' EXIT
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  apt-get update -q
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
  if [ -e "$policy.before" ]; then mv "$policy.before" "$policy"; else rm "$policy"; fi
  trap - EXIT
  if command -v systemctl >/dev/null; then
    # shellcheck disable=SC2086
    for unit in $(dpkg -L $missing | sed -n 's|.*/systemd/system/\([^@/]*\.service\)$|\1|p'); do
      systemctl disable -q "$unit"
    done
  fi
}
if [ -n "$missing" ]; then install_missing </dev/null; fi

taken() {
  local next
  for next in 0 1 2 3 4; do
    if (: >"/dev/tcp/127.0.0.1/$((port + next))") 2>/dev/null; then return 0; fi
  done
  return 1
}
# The next ones where something listens there already.
while taken; do port=$((port + 5)); done

dir=$(mktemp -d "${TMPDIR:-/tmp}/sync-server-swift.XXXXXX")
mkdir -p "$dir"/{run,log,cache,devices/d}
echo "{\"dir\":\"$dir\"}" >"$here/swift.json"
endpoint=http://127.0.0.1:$port

fail() {
  echo "Swift did not start: $1. Logs were:"
  tail -n 50 "$dir"/log/*.out
  bash "$here/swift-down.sh"
  exit 1
}

# Starts a daemon apart from this shell, and keeps its process id. `user` in the settings is who
# runs this: else it turns into the user swift.
start() {
  local name=$1
  shift
  setsid "$@" >"$dir/log/$name.out" 2>&1 </dev/null 3>&- &
  echo $! >"$dir/run/$name.pid"
}

# The settings that all of them share. /etc/swift/swift.conf is read as well, as Debian has it.
common() {
  cat <<CONF
[DEFAULT]
user = $(id -un)
swift_dir = $dir
bind_ip = 127.0.0.1
bind_port = $1
workers = $2
bind_timeout = 5
log_level = WARNING
CONF
}

# A ring is where a kind of server is found: here each is one server with one device.
/usr/bin/python3 - "$dir" "$port" >"$dir/log/rings.out" 2>&1 <<'RINGS' || fail "its rings"
import sys
from swift.common.ring import RingBuilder
dir, port = sys.argv[1], int(sys.argv[2])
for offset, name in enumerate(("object", "container", "account"), 1):
    builder = RingBuilder(part_power=8, replicas=1, min_part_hours=0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port + offset,
                     "device": "d", "weight": 1})
    builder.rebalance()
    builder.get_ring().save(f"{dir}/{name}.ring.gz")
RINGS

offset=0
for name in object container account; do
  offset=$((offset + 1))
  {
    common $((port + offset)) 0
    cat <<CONF
devices = $dir/devices
mount_check = false
fallocate_reserve = 0
[pipeline:main]
pipeline = $name-server
[app:$name-server]
use = egg:swift#$name
CONF
    # A put ends when the object is in the list too. By default it ends after a second without,
    # and leaves the rest to the updater, which does not run here.
    if [ "$name" = object ]; then
      printf '%s = 60\n' container_update_timeout node_timeout conn_timeout
    fi
  } >"$dir/$name-server.conf"
done

# With one copy there is no other server to turn to: it waits for the one, and does not give it up.
{
  common "$port" 0
  cat <<CONF
[pipeline:main]
pipeline = catch_errors gatekeeper proxy-logging cache listing_formats s3api tempauth copy dlo versioned_writes proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 10
node_timeout = 60
error_suppression_limit = 1000000
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
dns_compliant_bucket_names = false
force_swift_request_proxy_log = false
allow_multipart_uploads = false
[filter:tempauth]
use = egg:swift#tempauth
user_${key/:/_} = $secret .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$((port + 4))
CONF
  for name in catch_errors gatekeeper proxy_logging listing_formats copy dlo versioned_writes; do
    section=$name
    if [ "$name" = proxy_logging ]; then section=proxy-logging; fi
    printf '[filter:%s]\nuse = egg:swift#%s\n' "$section" "$name"
  done
} >"$dir/proxy-server.conf"

start memcached memcached -l 127.0.0.1 -p $((port + 4)) -U 0 -m 64 -u "$(id -un)"
for name in object container account proxy; do
  start "$name" "swift-$name-server" "$dir/$name-server.conf" -v
done

# Makes the bucket, with the signature of version 2: curl's version 4 is not what S3 expects.
make_bucket() {
  local date signature
  date=$(date -uR)
  signature=$(printf 'PUT\n\n\n%s\n/test' "$date" | openssl dgst -sha1 -hmac "$secret" -binary |
    openssl base64)
  curl -sf -m 10 -o "$dir/log/bucket.out" -X PUT -H "Date: $date" \
    -H "Authorization: AWS $key:$signature" "$endpoint/test"
}
for _ in $(seq 1 300); do
  if make_bucket; then
    echo "Swift is up at $endpoint, with the bucket test."
    cat >&3 <<CONF
export TEST_S3=s3://test
export AWS_ENDPOINT_URL=$endpoint
export AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=$key
export AWS_SECRET_ACCESS_KEY=$secret
CONF
    exit 0
  fi
  sleep 0.1
done
fail "its proxy does not answer"
