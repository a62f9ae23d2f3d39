import django.db.models.deletion
from django.db import migrations, models

# By the row: policies and settings are changed one by one. Sweeps keep their books in the same rows, with much else
# locked: of that the version knows nothing.
CHANGED = """
CREATE FUNCTION threads_lifecycle_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO threads_lifecycleversion (workspace_id, version)
    VALUES (CASE WHEN TG_OP = 'DELETE' THEN OLD.workspace_id ELSE NEW.workspace_id END, gen_random_uuid())
        ON CONFLICT (workspace_id) DO UPDATE SET version = excluded.version;
    RETURN NULL;
END $$
"""
# By the statement: there may be many holds. Of those that were released before and after nothing is in force: an erasure
# changes them while it holds locks of much else.
HOLDS_CHANGED = """
CREATE FUNCTION threads_holds_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        own := ARRAY(SELECT DISTINCT workspace_id FROM changed WHERE released_at IS NULL ORDER BY 1);
    ELSIF TG_OP = 'DELETE' THEN
        own := ARRAY(SELECT DISTINCT workspace_id FROM was WHERE released_at IS NULL ORDER BY 1);
    ELSE
        own := ARRAY(SELECT workspace_id FROM changed WHERE released_at IS NULL
                     UNION SELECT workspace_id FROM was WHERE released_at IS NULL ORDER BY 1);
    END IF;
    INSERT INTO threads_lifecycleversion (workspace_id, version)
    SELECT workspace_id, gen_random_uuid() FROM unnest(own) AS workspace_id
        ON CONFLICT (workspace_id) DO UPDATE SET version = excluded.version;
    RETURN NULL;
END $$
"""
# Emptying passes the wall; so must this, for the owner who empties.
EMPTIED = """
CREATE FUNCTION threads_lifecycle_emptied() RETURNS trigger LANGUAGE plpgsql SET threadhub.door = 'migration' AS $$
BEGIN
    UPDATE threads_lifecycleversion SET version = gen_random_uuid();
    RETURN NULL;
END $$
"""
TRIGGERS = """
CREATE TRIGGER policy_came_or_went AFTER INSERT OR DELETE ON threads_retentionpolicy
    FOR EACH ROW EXECUTE FUNCTION threads_lifecycle_changed();
CREATE TRIGGER policy_changed AFTER UPDATE ON threads_retentionpolicy FOR EACH ROW
    WHEN (to_jsonb(OLD) - '{acted_count,previewed_at,previewed_terms,previewed_count,updated_at}'::text[]
          IS DISTINCT FROM
          to_jsonb(NEW) - '{acted_count,previewed_at,previewed_terms,previewed_count,updated_at}'::text[])
    EXECUTE FUNCTION threads_lifecycle_changed();
CREATE TRIGGER settings_came_or_went AFTER INSERT OR DELETE ON threads_retentionsettings
    FOR EACH ROW EXECUTE FUNCTION threads_lifecycle_changed();
CREATE TRIGGER settings_changed AFTER UPDATE ON threads_retentionsettings FOR EACH ROW
    WHEN (to_jsonb(OLD) - '{capped_since,taken_since,updated_at}'::text[]
          IS DISTINCT FROM to_jsonb(NEW) - '{capped_since,taken_since,updated_at}'::text[])
    EXECUTE FUNCTION threads_lifecycle_changed();
CREATE TRIGGER holds_placed AFTER INSERT ON threads_hold
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION threads_holds_changed();
CREATE TRIGGER holds_changed AFTER UPDATE ON threads_hold
    REFERENCING OLD TABLE AS was NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION threads_holds_changed();
CREATE TRIGGER holds_removed AFTER DELETE ON threads_hold
    REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION threads_holds_changed();
CREATE TRIGGER policies_emptied AFTER TRUNCATE ON threads_retentionpolicy
    FOR EACH STATEMENT EXECUTE FUNCTION threads_lifecycle_emptied();
CREATE TRIGGER settings_emptied AFTER TRUNCATE ON threads_retentionsettings
    FOR EACH STATEMENT EXECUTE FUNCTION threads_lifecycle_emptied();
CREATE TRIGGER holds_emptied AFTER TRUNCATE ON threads_hold
    FOR EACH STATEMENT EXECUTE FUNCTION threads_lifecycle_emptied();
"""
# What serves meanwhile writes it from the moment the triggers are there; its wall comes at the end of `migrate`.
GRANTS = """
DO $$
DECLARE
    reader text;
BEGIN
    FOR reader IN SELECT rolname FROM pg_roles WHERE rolname IN ('threadhub_app', 'threadhub_door') LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON threads_lifecycleversion TO %I', reader);
    END LOOP;
END $$
"""
# Behind the triggers' lock: nothing is written between.
THOSE_THAT_ARE = """
INSERT INTO threads_lifecycleversion (workspace_id, version)
SELECT workspace_id, gen_random_uuid() FROM (
    SELECT workspace_id FROM threads_retentionpolicy UNION SELECT workspace_id FROM threads_retentionsettings
    UNION SELECT workspace_id FROM threads_hold) AS own
"""
AWAY = """
DROP TRIGGER policy_came_or_went ON threads_retentionpolicy;
DROP TRIGGER policy_changed ON threads_retentionpolicy;
DROP TRIGGER settings_came_or_went ON threads_retentionsettings;
DROP TRIGGER settings_changed ON threads_retentionsettings;
DROP TRIGGER holds_placed ON threads_hold;
DROP TRIGGER holds_changed ON threads_hold;
DROP TRIGGER holds_removed ON threads_hold;
DROP TRIGGER policies_emptied ON threads_retentionpolicy;
DROP TRIGGER settings_emptied ON threads_retentionsettings;
DROP TRIGGER holds_emptied ON threads_hold;
DROP FUNCTION threads_lifecycle_changed, threads_holds_changed, threads_lifecycle_emptied;
"""


class Migration(migrations.Migration):
    """What policies and holds are in force is read by a web process when it is another one, not with each request."""

    dependencies = [("threads", "0047_deep_by_updated"), ("workspaces", "0005_staff_desk")]

    operations = [
        migrations.CreateModel(
            name="LifecycleVersion",
            fields=[
                (
                    "workspace",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="workspaces.workspace",
                    ),
                ),
                ("version", models.UUIDField(editable=False)),
            ],
            options={"ordering": ["workspace"]},
        ),
        migrations.RunSQL(GRANTS, migrations.RunSQL.noop),
        migrations.RunSQL(CHANGED, migrations.RunSQL.noop),
        migrations.RunSQL(HOLDS_CHANGED, migrations.RunSQL.noop),
        migrations.RunSQL(EMPTIED, migrations.RunSQL.noop),
        migrations.RunSQL(TRIGGERS, AWAY),
        migrations.RunSQL(THOSE_THAT_ARE, migrations.RunSQL.noop),
    ]
