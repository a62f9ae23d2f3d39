from django.db import migrations


class Migration(migrations.Migration):
    """Indexes with expressions that Django does not spell: words of messages, pieces of titles, metadata.

    Each holds the workspace too, so that one workspace's search never wades through another's.
    A tsvector may have 1 MiB; the first 100,000 characters of a message always fit.
    """

    dependencies = [("threads", "0002_workspace_keys")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX message_text ON threads_message"
            " USING gin (workspace_id, to_tsvector('simple', left(content, 100000)))",
            "DROP INDEX message_text",
        ),
        migrations.RunSQL(
            "CREATE INDEX thread_title ON threads_thread USING gin (workspace_id, upper(title) gin_trgm_ops)",
            "DROP INDEX thread_title",
        ),
        migrations.RunSQL(
            "CREATE INDEX thread_metadata ON threads_thread USING gin (workspace_id, metadata jsonb_path_ops)",
            "DROP INDEX thread_metadata",
        ),
    ]
