from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """What a member of staff answered and noted, found for their erasure; made beside the work."""

    atomic = False
    dependencies = [("threads", "0043_older_than_all_threads")]

    operations = [
        # Where it was interrupted.
        migrations.RunSQL(
            ["DROP INDEX CONCURRENTLY IF EXISTS message_of_person", "DROP INDEX CONCURRENTLY IF EXISTS note_by_author"],
            migrations.RunSQL.noop,
        ),
        AddIndexConcurrently(
            "message",
            models.Index("workspace", "author", condition=models.Q(("author", ""), _negated=True), name="message_of_person"),
        ),
        AddIndexConcurrently("note", models.Index("workspace", "author", name="note_by_author")),
    ]
