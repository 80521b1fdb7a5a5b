#!/usr/bin/env bash
# Starts an S3 server for the tests: Ceph RGW from Debian, in memory, on loopback. Writes where it
# is to tests/s3/server.json, which the tests look for. Installs the packages where they are
# missing. tests/s3/down.sh ends it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${S3_PORT:-7480}
# The next ones where something listens there already.
while (: >"/dev/tcp/127.0.0.1/$port" || : >"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; do
  port=$((port + 2))
done
dir=$(mktemp -d "${TMPDIR:-/tmp}/sync-server-s3.XXXXXX")
key=AKIATEST
secret=secretsecret

if [ -e "$here/server.json" ]; then
  echo "tests/s3/server.json says that a server is up. End it first: npm run s3:down" >&2
  exit 1
fi

if ! command -v radosgw ceph-mon ceph-osd ceph >/dev/null; then
  packages="ceph-mon ceph-osd radosgw ceph-common"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Install the Debian packages $packages, or set TEST_S3 to s3://bucket/prefix and the" >&2
    echo "AWS_ variables to those of another S3 server." >&2
    exit 1
  fi
  apt-get update -q
  # shellcheck disable=SC2086
  apt-get install -q -y --no-install-recommends $packages
fi

mkdir -p "$dir"/{run,log,mon.a,osd.0,rgw}
fsid=$(cat /proc/sys/kernel/random/uuid)
monitor="[v2:127.0.0.1:$((port + 1))]"
# One monitor, one memory store, no authentication inside. The short timers of the monitor make it
# start in a second; without ms_mon_client_mode the gateway waits for a key that does not exist.
cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon_host = $monitor
mon_initial_members = a
public_network = 127.0.0.0/8
ms_bind_ipv4 = true
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
run_dir = $dir/run
log_file = $dir/log/\$name.log
admin_socket = $dir/run/\$name.asok
crash_dir = $dir/crash
mon_data = $dir/mon.\$id
osd_data = $dir/osd.\$id
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_crit = 1
mon_data_avail_warn = 1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_crush_chooseleaf_type = 0
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_tick_interval = 1
mon_election_timeout = 1
mon_lease = 2
osd_heartbeat_interval = 2
osd_mon_heartbeat_interval = 2
osd_objectstore = memstore
memstore_device_bytes = 8589934592
osd_memory_target = 939524096
rgw_data = $dir/rgw
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw_enable_ops_log = false
rgw_enable_usage_log = false
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
debug_rgw = 0/0
debug_ms = 0/0
CONF
export CEPH_CONF=$dir/ceph.conf

# Starts a daemon apart from this shell, and keeps its process id.
start() {
  local name=$1
  shift
  setsid "$@" >"$dir/log/$name.out" 2>&1 </dev/null &
  echo $! >"$dir/run/$name.pid"
}

fail() {
  echo "The S3 server did not start: $1. Logs are in $dir/log." >&2
  cat "$dir"/log/*.out >&2
  echo "{\"dir\":\"$dir\"}" >"$here/server.json"
  bash "$here/down.sh" >&2
  exit 1
}

monmaptool --create --fsid "$fsid" --addv a "$monitor" "$dir/monmap" >"$dir/log/monmap.out"
ceph-mon --mkfs -i a --monmap "$dir/monmap" >"$dir/log/mkfs.out" 2>&1 || fail "the monitor"
start mon ceph-mon -i a -f
osd=$(cat /proc/sys/kernel/random/uuid)
timeout 60 ceph osd new "$osd" >"$dir/log/osd-new.out" 2>&1 || fail "the monitor does not answer"
ceph-osd -i 0 --mkfs --osd-uuid "$osd" >"$dir/log/osd-mkfs.out" 2>&1 || fail "the store"
start osd ceph-osd -i 0 -f
timeout 60 radosgw-admin user create --uid=test --display-name=test \
  --access-key="$key" --secret-key="$secret" >"$dir/log/user.out" 2>&1 || fail "no user"
start rgw radosgw -f -n client.rgw.a

endpoint=http://127.0.0.1:$port
# Makes the bucket, with the signature of version 2: curl's version 4 is not what S3 expects.
make_bucket() {
  local date signature
  date=$(date -uR)
  signature=$(printf 'PUT\n\n\n%s\n/test' "$date" | openssl dgst -sha1 -hmac "$secret" -binary |
    openssl base64)
  curl -sf -o "$dir/log/bucket.out" -X PUT -H "Date: $date" \
    -H "Authorization: AWS $key:$signature" "$endpoint/test"
}
for _ in $(seq 1 300); do
  if make_bucket; then
    cat >"$here/server.json" <<JSON
{
  "dir": "$dir",
  "location": "s3://test",
  "environment": {
    "AWS_ENDPOINT_URL": "$endpoint",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "$key",
    "AWS_SECRET_ACCESS_KEY": "$secret"
  }
}
JSON
    echo "An S3 server is up at $endpoint, with the bucket test."
    exit 0
  fi
  sleep 0.1
done
fail "the gateway does not answer"
