from django.db import migrations

REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: no % on %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_no_removal BEFORE DELETE OR TRUNCATE ON audit_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_no_removal BEFORE DELETE OR TRUNCATE ON audit_audithead
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""

# Two changes pass: an event gets its place in the chain, once; and values of COLUMNS in chain.py, or of details, become
# NULL where `masked` grows. Whether the digests in `masked` are true, the chain shows.
CHANGES = """
CREATE FUNCTION audit_check_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    place text[] := '{seq,previous,hash}';
    maskable text[] := '{on_behalf_of,address,user_agent,details,salt,salts,masked}';
BEGIN
    IF OLD.seq IS NULL AND NEW.seq IS NOT NULL AND NEW.previous IS NOT NULL AND NEW.hash IS NOT NULL
       AND to_jsonb(OLD) - place = to_jsonb(NEW) - place THEN
        RETURN NEW;
    END IF;
    IF to_jsonb(OLD) - maskable = to_jsonb(NEW) - maskable
       AND NEW.salt IS NULL AND NEW.salts IS NOT NULL
       AND NEW.masked @> COALESCE(OLD.masked, '{}') AND NEW.masked IS DISTINCT FROM OLD.masked
       AND (NEW.on_behalf_of IS NULL OR NEW.on_behalf_of = OLD.on_behalf_of)
       AND (NEW.address IS NULL OR NEW.address = OLD.address)
       AND (NEW.user_agent IS NULL OR NEW.user_agent = OLD.user_agent)
       AND (SELECT array_agg(key ORDER BY key) FROM jsonb_object_keys(NEW.details) AS key)
           IS NOT DISTINCT FROM (SELECT array_agg(key ORDER BY key) FROM jsonb_object_keys(OLD.details) AS key)
       AND NOT EXISTS (SELECT FROM jsonb_each(NEW.details) AS detail
                        WHERE detail.value <> 'null' AND detail.value IS DISTINCT FROM OLD.details -> detail.key)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only: event % cannot be changed', OLD.id
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_no_change BEFORE UPDATE ON audit_auditevent
    FOR EACH ROW EXECUTE FUNCTION audit_check_change();

CREATE FUNCTION audit_check_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.workspace_id = OLD.workspace_id AND NEW.seq > OLD.seq THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the end of an audit chain only moves on' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_moves_on BEFORE UPDATE ON audit_audithead
    FOR EACH ROW EXECUTE FUNCTION audit_check_head();
"""

UNDO = """
DROP FUNCTION audit_refuse() CASCADE;
DROP FUNCTION audit_check_change() CASCADE;
DROP FUNCTION audit_check_head() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_workspace_keys")]

    operations = [migrations.RunSQL(REFUSE + CHANGES, UNDO)]
