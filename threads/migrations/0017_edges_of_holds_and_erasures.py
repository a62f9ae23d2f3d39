from django.db import migrations, models

# Nobody changes a message once it is said; of one on hold the database sees to it.
CHANGED = """
CREATE FUNCTION threads_keep_held_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('hold:' || OLD.workspace_id, 0));
    IF EXISTS (SELECT FROM threads_thread AS thread
                WHERE thread.id = OLD.thread_id AND thread.workspace_id = OLD.workspace_id
                  AND threads_covered_by_hold(thread.workspace_id, thread.id, thread.agent_id, thread.user_id,
                                              thread.external_ref)) THEN
        RAISE EXCEPTION 'a thread is on legal hold'
              USING ERRCODE = 'restrict_violation', CONSTRAINT = 'thread_held';
    END IF;
    RETURN NEW;
END $$
"""
# A file belongs to what was said: its row neither goes nor is changed by itself.
TRIGGERS = """
CREATE TRIGGER message_held_changed BEFORE UPDATE ON threads_message
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION threads_keep_held_content();
CREATE TRIGGER attachment_held_changed BEFORE UPDATE ON threads_attachment
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION threads_keep_held_content();
CREATE TRIGGER attachment_held AFTER DELETE ON threads_attachment
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_held_messages();
CREATE TRIGGER attachment_held_truncate BEFORE TRUNCATE ON threads_attachment
    FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_held_from_truncate();
"""


class Migration(migrations.Migration):
    """What is said in a held thread is not changed either; erasures say which key their digests are under."""

    dependencies = [("threads", "0016_retention_job_keys")]

    operations = [
        migrations.AddField("erasure", "key", models.CharField(blank=True, max_length=16)),
        migrations.RunSQL(CHANGED),
        migrations.RunSQL(TRIGGERS),
    ]
