from importlib import import_module

from django.db import migrations

# A row of the catalogue names another bundle in which the same lines stand. What else changes it takes words away.
MOVED = """
WHEN (OLD.* IS DISTINCT FROM NEW.*
      AND (OLD.bundle_id = NEW.bundle_id
           OR (OLD.thread_id, OLD.workspace_id, OLD.sha256, OLD.counts, OLD.files)
              IS DISTINCT FROM (NEW.thread_id, NEW.workspace_id, NEW.sha256, NEW.counts, NEW.files)))
"""
CHANGED = """
DROP TRIGGER bundled_held_changed ON threads_bundledthread;
CREATE TRIGGER bundled_held_changed BEFORE UPDATE ON threads_bundledthread
    FOR EACH ROW {when} EXECUTE FUNCTION threads_keep_held_content();
"""
holds = import_module("threads.migrations.0039_holds_on_bundles")
# And that bundle stands for the one before: what it was made of was read back whole.
THERE = (
    holds.at_the_end(
        "threads_keep_held_moved",
        "NEW",
        f"""EXISTS (SELECT FROM threads_thread AS thread
                    WHERE thread.id = NEW.thread_id AND thread.workspace_id = NEW.workspace_id AND {holds.COVERED}
                      AND NOT EXISTS (SELECT FROM threads_bundle AS bundle
                                       WHERE bundle.id = OLD.bundle_id AND bundle.workspace_id = OLD.workspace_id
                                         AND bundle.superseded_by = NEW.bundle_id))""",  # noqa: S608  constants
    )
    + """;
CREATE CONSTRAINT TRIGGER bundled_held_moved AFTER UPDATE OF bundle_id ON threads_bundledthread
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.bundle_id <> NEW.bundle_id)
    EXECUTE FUNCTION threads_keep_held_moved();
"""
)


class Migration(migrations.Migration):
    """What moves to another bundle changes its row there. To remove it and write another asked for a lock of the
    thread's own row: of two who each purged a thread of one bundle, one had the bundle and waited for that row, and the
    other the row and waited for the bundle.
    """

    dependencies = [("threads", "0049_metadata_of_workspace")]

    operations = [
        migrations.RunSQL(CHANGED.format(when=MOVED), CHANGED.format(when="WHEN (OLD.* IS DISTINCT FROM NEW.*)")),
        migrations.RunSQL(THERE, "DROP FUNCTION threads_keep_held_moved CASCADE"),
    ]
