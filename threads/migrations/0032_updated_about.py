from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

KEEP = """
CREATE OR REPLACE FUNCTION threads_keep_updated_about() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_about := date_bin('10 minutes', NEW.updated_at, 'epoch'::timestamptz);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER thread_updated_about BEFORE INSERT OR UPDATE OF updated_at, updated_about ON threads_thread
    FOR EACH ROW EXECUTE FUNCTION threads_keep_updated_about();
"""
DROP = "DROP FUNCTION IF EXISTS threads_keep_updated_about CASCADE"
FILL = """
WITH filled AS (
    UPDATE threads_thread SET updated_about = updated_at
     WHERE id = ANY (ARRAY(SELECT id FROM threads_thread WHERE id >= %s ORDER BY id LIMIT 5000))
    RETURNING id
)
SELECT id FROM filled ORDER BY id DESC LIMIT 1
"""
INDEX = "CREATE INDEX CONCURRENTLY thread_updated_about ON threads_thread (workspace_id, updated_about DESC NULLS LAST)"
GONE = "DROP INDEX CONCURRENTLY IF EXISTS thread_updated_about"


def fill(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Threads that were there before, some thousand at once, each in a transaction of its own."""
    begin, last = "00000000-0000-0000-0000-000000000000", None
    with schema_editor.connection.cursor() as cursor:
        while begin != last:
            last = begin
            cursor.execute(FILL, [begin])
            row = cursor.fetchone()
            begin = str(row[0]) if row else begin


class Migration(migrations.Migration):
    """When a thread was last changed, to ten minutes: what lists by `updated` find their page with.

    Threads are read and written meanwhile. Each step may come twice: where it was interrupted, the migration begins
    again.
    """

    atomic = False
    dependencies = [("threads", "0031_references_to_messages")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddField("thread", "updated_about", models.DateTimeField(editable=False, null=True)),
                migrations.AddIndex(
                    "thread",
                    models.Index(
                        models.F("workspace"),
                        models.OrderBy(models.F("updated_about"), descending=True, nulls_last=True),
                        name="thread_updated_about",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE threads_thread ADD COLUMN IF NOT EXISTS updated_about timestamptz",
                    "ALTER TABLE threads_thread DROP COLUMN IF EXISTS updated_about",
                ),
                migrations.RunSQL(KEEP, DROP),
                migrations.RunPython(fill, migrations.RunPython.noop),
                migrations.RunSQL([GONE, INDEX], GONE),
            ],
        ),
    ]
