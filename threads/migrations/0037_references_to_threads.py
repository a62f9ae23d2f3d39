from django.db import migrations

# What a message points at: a thread of its workspace, which nobody removes before we are through. Whoever wrote the
# thread's row in this very transaction, as an append does, holds it already; else it is locked. (Of a savepoint the
# number is another: then it is locked once more, which harms nothing.)
REFER = """
CREATE FUNCTION threads_refer_to_thread() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM threads_thread
      WHERE id = NEW.thread_id AND workspace_id = NEW.workspace_id AND xmin = pg_current_xact_id()::xid;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM threads_thread WHERE id = NEW.thread_id AND workspace_id = NEW.workspace_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the thread that a row of % points at is not there', TG_TABLE_NAME
              USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME,
                    CONSTRAINT = TG_TABLE_NAME || '_thread_id_workspace_fk';
    END IF;
    RETURN NULL;
END $$
"""
# Whoever wrote a message of a removed thread has committed by now, or will find the thread gone; a transaction that
# looks at an older state would not see it. Looked up by index, whatever the statistics say when the plan is made.
FOLLOW = """
CREATE FUNCTION threads_follow_removed_threads() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    gone record;
BEGIN
    FOR gone IN SELECT id, workspace_id FROM removed LOOP
        IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
            RAISE EXCEPTION 'threads are removed in transactions that are READ COMMITTED'
                  USING ERRCODE = 'feature_not_supported';
        END IF;
        IF EXISTS (SELECT FROM threads_message WHERE thread_id = gone.id AND workspace_id = gone.workspace_id) THEN
            DELETE FROM threads_message WHERE thread_id = gone.id AND workspace_id = gone.workspace_id;
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""
STAY = """
CREATE FUNCTION threads_keep_thread_referred_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM threads_message WHERE thread_id = OLD.id AND workspace_id = OLD.workspace_id) THEN
        RAISE EXCEPTION 'a message points at this thread'
              USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$
"""
# After all tables of the statement are empty. Only the owner can; it sees the rows while it calls itself migrating.
NONE_LEFT = """
CREATE FUNCTION threads_keep_threads_referred_to() RETURNS trigger LANGUAGE plpgsql
SET threadhub.door = 'migration' AS $$
BEGIN
    IF EXISTS (SELECT FROM threads_message) THEN
        RAISE EXCEPTION 'messages point at the threads'
              USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$
"""
# What comes in bulk, for which search waits, is looked up by the statement that brings it (lifecycle/staging.py): once
# for each of its threads.
TRIGGERS = """
CREATE CONSTRAINT TRIGGER message_of_thread AFTER INSERT ON threads_message
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW WHEN (NEW.searchable) EXECUTE FUNCTION threads_refer_to_thread();
CREATE CONSTRAINT TRIGGER message_of_another_thread AFTER UPDATE OF thread_id, workspace_id ON threads_message
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION threads_refer_to_thread();
CREATE TRIGGER thread_followed AFTER DELETE ON threads_thread
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION threads_follow_removed_threads();
CREATE TRIGGER thread_referred_to AFTER UPDATE OF id, workspace_id ON threads_thread
    FOR EACH ROW WHEN ((OLD.id, OLD.workspace_id) IS DISTINCT FROM (NEW.id, NEW.workspace_id))
    EXECUTE FUNCTION threads_keep_thread_referred_to();
CREATE TRIGGER thread_referred_to_truncate AFTER TRUNCATE ON threads_thread
    FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_threads_referred_to();
ALTER TABLE threads_message DROP CONSTRAINT threads_message_thread_id_workspace_fk;
"""
BACK = """
ALTER TABLE threads_message ADD CONSTRAINT threads_message_thread_id_workspace_fk
    FOREIGN KEY (thread_id, workspace_id) REFERENCES threads_thread (id, workspace_id)
    ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
"""
# Called only where the ten minutes change: seldom at an append, which pays with it for what is above.
ABOUT = """
CREATE TRIGGER thread_updated_about_later BEFORE UPDATE OF updated_at, updated_about ON threads_thread
    FOR EACH ROW WHEN (NEW.updated_about IS DISTINCT FROM date_bin('10 minutes', NEW.updated_at, 'epoch'::timestamptz))
    EXECUTE FUNCTION threads_keep_updated_about();
CREATE OR REPLACE TRIGGER thread_updated_about BEFORE INSERT ON threads_thread
    FOR EACH ROW EXECUTE FUNCTION threads_keep_updated_about();
"""
ALWAYS = """
DROP TRIGGER thread_updated_about_later ON threads_thread;
CREATE OR REPLACE TRIGGER thread_updated_about BEFORE INSERT OR UPDATE OF updated_at, updated_about ON threads_thread
    FOR EACH ROW EXECUTE FUNCTION threads_keep_updated_about();
"""


class Migration(migrations.Migration):
    """Messages point at their thread, and go with it, as with a foreign key; but of those that come in bulk a thread is
    looked for once, and not once a message. That was half of what the insertion of a restored message cost.

    No row is read or written, so the tables' locks are short.
    """

    dependencies = [("threads", "0036_system_counts")]

    operations = [
        migrations.RunSQL(REFER, "DROP FUNCTION threads_refer_to_thread CASCADE"),
        migrations.RunSQL(FOLLOW, "DROP FUNCTION threads_follow_removed_threads CASCADE"),
        migrations.RunSQL(STAY, "DROP FUNCTION threads_keep_thread_referred_to CASCADE"),
        migrations.RunSQL(NONE_LEFT, "DROP FUNCTION threads_keep_threads_referred_to CASCADE"),
        migrations.RunSQL(TRIGGERS, BACK),
        migrations.RunSQL(ABOUT, ALWAYS),
    ]
