#!/bin/sh
# The roles of deploy/postgresql/roles.sql, with passwords from the secrets, which stand on no command line. Run by the
# database's image when its folder is new, and again after each migration. One more role is the shipper's, which may read
# the audit.
set -eu
SECRETS=${SECRETS:-/run/secrets} ROLES=${ROLES:-/etc/vlpro/roles.sql}

quoted() { printf "\\\\set %s '''%s'''\n" "$1" "$(cat "$SECRETS/$2")"; }

PGPASSWORD=$(cat "$SECRETS/postgres_password")
export PGPASSWORD
{
    quoted owner_password vlpro_owner_password
    quoted app_password vlpro_app_password
    quoted ship_password vlpro_ship_password
    cat "$ROLES"
    cat <<'END'
SELECT 'CREATE ROLE vlpro_ship LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'vlpro_ship') \gexec
ALTER ROLE vlpro_ship PASSWORD :ship_password;
GRANT USAGE ON SCHEMA public TO vlpro_ship;
SELECT format('GRANT SELECT ON public.%I TO vlpro_ship', tablename) FROM pg_tables
    WHERE schemaname = 'public' AND tablename IN ('audit_records', 'audit_checkpoints') \gexec
END
} | psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --host "${PGHOST:-/run/postgresql}" --username postgres --dbname vlpro
