#!/bin/sh
# Creates Temporal's two databases and brings their schema to the version that
# this temporal-sql-tool was built with. Every step is safe to repeat: a second
# run creates nothing, and a run with newer admin-tools migrates.
#
# temporal-sql-tool takes the server, user, password and plugin from SQL_HOST,
# SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_PLUGIN, so that the password is on no
# command line. The schema is the one compiled into the tool (--schema-name), so
# that the two cannot be of different versions.
set -eu

prepare() {
  database=$1
  schema=$2
  temporal-sql-tool --db "$database" create-database
  temporal-sql-tool --db "$database" setup-schema --version 0.0
  temporal-sql-tool --db "$database" update-schema --schema-name "$schema"
}

prepare temporal postgresql/v12/temporal
prepare temporal_visibility postgresql/v12/visibility

echo "Temporal's databases are ready."
