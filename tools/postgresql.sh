#!/bin/sh
# Prints the folder of PostgreSQL's server programs (initdb, postgres, pg_isready),
# for `make chaos-postgres`. Where there is none, and only as root, it installs
# Debian's package postgresql, without the server that the package would start.
set -eu

find_postgres() {
  # Debian keeps them off the PATH, in a folder for each major version.
  for initdb in $(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -rV) "$(command -v initdb || true)"; do
    folder=$(dirname "$(readlink -f "$initdb")")
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && [ -x "$folder/pg_isready" ]; then
      echo "$folder"
      return
    fi
  done
  return 1
}

install_postgres() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "PostgreSQL's server programs are missing: install them first," \
      "on Debian with: sudo apt-get install postgresql" >&2
    exit 1
  fi
  echo "PostgreSQL's server programs are missing: installing Debian's package postgresql." >&2
  conf=/etc/postgresql-common/createcluster.d/atlas-provisioner.conf
  mkdir -p "$(dirname "$conf")"
  echo "create_main_cluster = false" >"$conf"
  trap 'rm -f "$conf"' EXIT
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql >&2
}

find_postgres || { install_postgres && find_postgres; }
