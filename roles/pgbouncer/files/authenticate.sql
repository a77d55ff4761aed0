-- Created once; to change it, change its name. pgBouncer calls it as the role pgbouncer (auth_query).
SELECT to_regprocedure('pgbouncer.get_auth(text)') IS NULL AS absent \gset
\if :absent
BEGIN;
CREATE SCHEMA IF NOT EXISTS pgbouncer;
CREATE FUNCTION pgbouncer.get_auth(wanted text, OUT usename name, OUT passwd text)
LANGUAGE sql SECURITY DEFINER STABLE SET search_path = pg_catalog
AS $$
    SELECT rolname, rolpassword FROM pg_authid
    WHERE rolname = wanted AND rolcanlogin AND NOT rolsuper AND NOT rolreplication
      AND (rolvaliduntil IS NULL OR rolvaliduntil > now())
$$;
REVOKE ALL ON FUNCTION pgbouncer.get_auth(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pgbouncer TO pgbouncer;
GRANT EXECUTE ON FUNCTION pgbouncer.get_auth(text) TO pgbouncer;
COMMIT;
\endif
