-- Two roles for one PostgreSQL: who owns the tables, and who the service is. The service adds records to the audit and
-- reads them; it has no right to alter or delete one. Run as a superuser, connected to the service's own database:
--
--   createdb vlpro
--   psql -d vlpro -v owner_password="'…'" -v app_password="'…'" -f roles.sql
--   VLPRO_DATABASE_URL=postgresql://vlpro_owner:…@host/vlpro vlpro migrate        (at each upgrade)
--   psql -d vlpro -f roles.sql …                                                   (again, after the first migration)
--
-- With knowledge.index = postgres (docs/knowledge.md), before the migration, where pgvector is installed:
--
--   psql -d vlpro -c 'CREATE EXTENSION IF NOT EXISTS vector'
--
-- The service runs with VLPRO_DATABASE_URL=postgresql://vlpro_app:…@host/vlpro.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'vlpro_owner') THEN
        CREATE ROLE vlpro_owner LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'vlpro_app') THEN
        CREATE ROLE vlpro_app LOGIN;
    END IF;
END
$$;
ALTER ROLE vlpro_owner PASSWORD :owner_password;
ALTER ROLE vlpro_app PASSWORD :app_password;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO vlpro_owner;
GRANT USAGE ON SCHEMA public TO vlpro_app;

-- What the owner makes from now on: rows may be read, added, altered and removed by the service ...
ALTER DEFAULT PRIVILEGES FOR ROLE vlpro_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO vlpro_app;
-- (SELECT on sequences: for vlpro backup, whose pg_dump reads where they are.)
ALTER DEFAULT PRIVILEGES FOR ROLE vlpro_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO vlpro_app;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO vlpro_app;

-- ... but not those of the audit, nor a policy once it is decided, nor the versions of the schema.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner = 'vlpro_owner' LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON public.%I TO vlpro_app', name);
    END LOOP;
    FOR name IN SELECT tablename FROM pg_tables
                WHERE schemaname = 'public' AND (tablename LIKE 'audit\_%' OR tablename = 'policies') LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON public.%I FROM vlpro_app', name);
    END LOOP;
    FOR name IN SELECT tablename FROM pg_tables
                WHERE schemaname = 'public' AND tablename IN ('alembic_version', 'audit_version') LOOP
        EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.%I FROM vlpro_app', name);
    END LOOP;
END
$$;
