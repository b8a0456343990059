# What the demo's scripts share: where things lie, and how to reach its PostgreSQL.
#
#   HOLDFAST_DEMO_DIR     where all of it lies (/srv/holdfast-demo as root, else ~/holdfast-demo)
#   HOLDFAST_DEMO_SCALE   rows in percent of the full shop (100, about 190 MB)
#   HOLDFAST              the binary (target/release/holdfast)
#
#   app/       the shop: its git repository, .env, uploads, search.db, holdfast.yaml
#   postgres/  its PostgreSQL cluster    holdfast/  Holdfast's data directory    run/  pid files and logs

if [ "$(id -u)" -eq 0 ]; then demo=${HOLDFAST_DEMO_DIR:-/srv/holdfast-demo}; else demo=${HOLDFAST_DEMO_DIR:-$HOME/holdfast-demo}; fi
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
holdfast=${HOLDFAST:-$repository/target/release/holdfast}
scale=${HOLDFAST_DEMO_SCALE:-100}
app=$demo/app
cluster=$demo/postgres
run=$demo/run

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# The newest PostgreSQL whose server programs are here.
postgres_bin() {
  local newest
  newest=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -n | tail -1)
  [ -n "$newest" ] && [ -x "/usr/lib/postgresql/$newest/bin/initdb" ] ||
    die "no PostgreSQL server programs below /usr/lib/postgresql; run .ci/install run"
  echo "/usr/lib/postgresql/$newest/bin"
}

# initdb and postgres refuse to run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && exec setpriv --reuid postgres --regid postgres --init-groups -- "$@"); else "$@"; fi
}

cluster_runs() { [ -f "$cluster/data/postmaster.pid" ] && as_postgres "$(postgres_bin)/pg_ctl" -D "$cluster/data" status >/dev/null 2>&1; }

free_port() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }
port_is_free() { node -e 'const s = require("net").createServer(); s.once("error", () => process.exit(1)); s.listen(+process.argv[1], "127.0.0.1", () => s.close())' "$1"; }
random() { head -c 96 /dev/urandom | base64 -w0 | tr -d '+/=' | head -c "${1:-24}"; }
setting() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$app/.env"; }

# as the superuser, through the socket that only he may enter
sql_as_superuser() { as_postgres psql -Xq -v ON_ERROR_STOP=1 -h "$cluster/socket" -p "$(cat "$cluster/port")" -U postgres "$@"; }
# as the shop's own role, by its URL's parts; the password goes by the environment
sql_as_shop() {
  PGHOST=127.0.0.1 PGPORT=$(cat "$cluster/port") PGUSER=shop PGDATABASE=shop PGPASSWORD=$(cat "$cluster/password") \
    psql -Xq -v ON_ERROR_STOP=1 "$@"
}

# answers NUMBER : the status with which an address answers, 000 when it does not
answers() { node -e 'fetch(process.argv[1]).then((r) => console.log(r.status), () => console.log("000"))' "$1"; }
wait_for() { # wait_for URL SECONDS WHAT [PID]
  local status=000 end=$((SECONDS + $2))
  while [ $SECONDS -lt $end ]; do
    status=$(answers "$1")
    if [ "$status" != 000 ]; then
      echo "$status"
      return
    fi
    if [ -n "${4:-}" ] && ! kill -0 "$4" 2>/dev/null; then break; fi
    sleep 0.2
  done
  die "$3 did not answer at $1"
}
