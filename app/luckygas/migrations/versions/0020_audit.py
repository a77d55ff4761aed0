"""The audit log: who changed what, each entry linked to the one before."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0020"
down_revision = "0030"

APP_ROLE = "luckygas_app"

# At commit, so that nobody waits for somebody who is still at work. Whoever commits holds a strand until the standbys
# have confirmed, so there are several, and each takes one that is free. `audit.chain` computes the same digests.
APPEND = """
CREATE FUNCTION audit_append() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    strands CONSTANT integer := 8;
    namespace CONSTANT integer := 1635083369;  -- any number will do
    chosen integer := nullif(current_setting('luckygas.audit_strand', true), '');
    before public.audit_links;
BEGIN
    IF chosen IS NULL THEN
        FOR step IN 0 .. strands - 1 LOOP
            chosen := (pg_backend_pid() + step) % strands;
            EXIT WHEN pg_try_advisory_xact_lock(namespace, chosen);
            chosen := NULL;
        END LOOP;
        IF chosen IS NULL THEN
            chosen := pg_backend_pid() % strands;
            PERFORM pg_advisory_xact_lock(namespace, chosen);
        END IF;
        PERFORM set_config('luckygas.audit_strand', chosen::text, true);
    END IF;
    SELECT * INTO before FROM public.audit_links WHERE strand = chosen ORDER BY position DESC LIMIT 1;
    INSERT INTO public.audit_links (strand, position, entry_id, digest)
    SELECT chosen, place, NEW.id, sha256(
        coalesce(before.digest, ''::bytea) || convert_to(jsonb_build_array(
            chosen, place, NEW.id, extract(epoch FROM NEW.at), NEW.actor, NEW.origin, NEW.request_id,
            NEW.action, NEW.entity, NEW.entity_id, NEW.changes
        )::text, 'UTF8')
    )
    FROM (SELECT coalesce(before.position, 0) + 1 AS place) AS next;
    RETURN NULL;
END $$
"""
REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'the audit log only grows: % of % is refused', TG_OP, TG_TABLE_NAME; END $$
"""


def upgrade() -> None:
    """Create the log, its links, and what keeps both from ever changing."""
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("changes", JSONB, nullable=False),
        sa.CheckConstraint("action ~ '^[a-z_]{1,40}$'", "action"),
    )
    op.create_index("audit_entries_at_idx", "audit_entries", ["at"])
    op.create_index("audit_entries_actor_id_idx", "audit_entries", ["actor", "id"])
    op.create_index("audit_entries_action_id_idx", "audit_entries", ["action", "id"])
    op.create_index("audit_entries_entity_entity_id_id_idx", "audit_entries", ["entity", "entity_id", "id"])
    op.create_index("audit_entries_request_id_idx", "audit_entries", ["request_id"])
    op.create_table(
        "audit_links",
        sa.Column("strand", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry_id", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("entry_id", name="audit_links_entry_id_key"),
        sa.CheckConstraint("strand BETWEEN 0 AND 7", "strand"),
    )
    op.execute(APPEND)
    op.execute(REFUSE)
    op.execute("REVOKE EXECUTE ON FUNCTION audit_append() FROM PUBLIC")
    op.execute(
        "CREATE CONSTRAINT TRIGGER audit_entries_append AFTER INSERT ON audit_entries "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_append()"
    )
    for table in ("audit_entries", "audit_links"):
        op.execute(
            f"CREATE TRIGGER {table}_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
        op.execute(f"GRANT SELECT ON {table} TO {APP_ROLE}")
    # Not the id nor the time, which the database gives.
    columns = "actor, origin, request_id, action, entity, entity_id, changes"
    op.execute(f"GRANT INSERT ({columns}) ON audit_entries TO {APP_ROLE}")
