#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL as a local pod: makes a cluster in PLIMSOLL_POD_DIR once, then serves on POD_IP. Takes
# POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB as the container image does. Never run as root.
set -eu

dir=${PLIMSOLL_POD_DIR:?is not set: the directory of this pod}
ip=${POD_IP:?is not set: the address to listen on}
user=${POSTGRES_USER:-postgres}
password=${POSTGRES_PASSWORD:?is not set: the password of $user}
database=${POSTGRES_DB:-$user}
bin=${PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
data=$dir/data

if [ "$(id -u)" = 0 ]; then
    echo "postgres: refuses to run as root; start it as another user" >&2
    exit 1
fi
if [ ! -x "$bin/postgres" ]; then
    echo "postgres: no PostgreSQL found; install it with: apt-get install postgresql" >&2
    exit 1
fi

# One statement without a server. The values were made by the lab; quotes are doubled all the same.
single() {
    printf '%s\n' "$2" | "$bin/postgres" --single -D "$1" postgres >/dev/null
}

quoted=$(printf '%s' "$password" | sed "s/'/''/g")
if [ ! -s "$data/PG_VERSION" ]; then
    # Made beside and moved: a start that is cut off leaves no half cluster.
    rm -rf "$data.new"
    "$bin/initdb" --pgdata="$data.new" --username="$user" --auth-host=scram-sha-256 \
        --auth-local=reject --encoding=UTF8 --locale=C --no-sync >/dev/null
    printf 'host all all all scram-sha-256\n' >>"$data.new/pg_hba.conf"
    if [ "$database" != postgres ]; then
        single "$data.new" "CREATE DATABASE \"$database\""
    fi
    mv "$data.new" "$data"
fi
# Each run has a password of its own. A server that was killed a moment ago may still be going down.
tries=0
until single "$data" "ALTER ROLE \"$user\" PASSWORD '$quoted'"; do
    tries=$((tries + 1))
    if [ $tries -ge 60 ]; then
        echo "postgres: cannot start on $data, see above" >&2
        exit 1
    fi
    sleep 0.25
done

# SIGTERM would wait for the clients to leave; what a pod's stop means is SIGINT, "fast". Should this
# shell be killed, the server stops too.
setpriv --pdeathsig INT -- "$bin/postgres" -D "$data" -c listen_addresses="$ip" \
    -c port="${PGPORT:-5432}" -c unix_socket_directories= -c max_connections=200 -c jit=off \
    -c shared_buffers=64MB -c log_min_messages=warning &
server=$!
trap 'kill -INT $server 2>/dev/null' TERM INT
status=0
wait $server || status=$?
# A trapped signal ends wait early; the server is still stopping then.
while kill -0 $server 2>/dev/null; do
    wait $server && status=0 || status=$?
done
exit $status
