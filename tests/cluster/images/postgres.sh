#!/usr/bin/env bash
# A cluster below /data, open to whoever knows the password: of the user kelp, database kelp.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
if [ ! -e /data/db/PG_VERSION ]; then
  "$bin/initdb" -D /data/db -U kelp -A scram-sha-256 --pwfile=<(printf '%s' "$POSTGRES_PASSWORD") -E UTF8 --no-sync
  echo "host all all all scram-sha-256" >> /data/db/pg_hba.conf
fi
"$bin/postgres" -D /data/db -h 0.0.0.0 -k /tmp -c shared_buffers=32MB -c max_connections=100 &
server=$!
trap 'kill -INT $server' TERM
until "$bin/pg_isready" -q -h /tmp; do sleep 0.2; done
PGPASSWORD=$POSTGRES_PASSWORD "$bin/createdb" -h /tmp -U kelp kelp || true
wait $server || wait $server
