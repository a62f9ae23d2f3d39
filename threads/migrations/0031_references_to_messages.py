from django.db import migrations

# What a file or an opinion points at: a message of its workspace, locked so that nobody removes it before we are through.
REFER = """
CREATE FUNCTION threads_refer_to_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM threads_message WHERE id = NEW.message_id AND workspace_id = NEW.workspace_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the message that a row of % points at is not there', TG_TABLE_NAME
              USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME,
                    CONSTRAINT = TG_TABLE_NAME || '_message_id_workspace_fk';
    END IF;
    RETURN NULL;
END $$
"""
# Once a statement, for all messages that it removed: looked up by index one by one, whatever the statistics say when the
# plan is made (LATERAL and OFFSET, and no scan of the whole). Whoever wrote a row that points at one of them has
# committed by now, or will find the message gone; a transaction that looks at an older state would not see it.
FOLLOW = """
CREATE FUNCTION threads_follow_removed_messages() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    files uuid[];
    opinions uuid[];
BEGIN
    IF NOT EXISTS (SELECT FROM removed) THEN
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'messages are removed in transactions that are READ COMMITTED'
              USING ERRCODE = 'feature_not_supported';
    END IF;
    files := ARRAY(SELECT following.id FROM removed CROSS JOIN LATERAL (
        SELECT id FROM threads_attachment WHERE message_id = removed.id AND workspace_id = removed.workspace_id OFFSET 0
    ) AS following);
    opinions := ARRAY(SELECT following.id FROM removed CROSS JOIN LATERAL (
        SELECT id FROM threads_feedback WHERE message_id = removed.id AND workspace_id = removed.workspace_id OFFSET 0
    ) AS following);
    IF files <> '{}' THEN
        DELETE FROM threads_attachment WHERE id = ANY(files);
    END IF;
    IF opinions <> '{}' THEN
        DELETE FROM threads_feedback WHERE id = ANY(opinions);
    END IF;
    RETURN NULL;
END $$
"""
STAY = """
CREATE FUNCTION threads_keep_message_referred_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM threads_attachment WHERE message_id = OLD.id AND workspace_id = OLD.workspace_id)
       OR EXISTS (SELECT FROM threads_feedback WHERE message_id = OLD.id AND workspace_id = OLD.workspace_id) THEN
        RAISE EXCEPTION 'a file or feedback points at this message'
              USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$
"""
# After all tables of the statement are empty. Only the owner can; it sees the rows while it calls itself migrating.
NONE_LEFT = """
CREATE FUNCTION threads_keep_messages_referred_to() RETURNS trigger LANGUAGE plpgsql
SET threadhub.door = 'migration' AS $$
BEGIN
    IF EXISTS (SELECT FROM threads_attachment) OR EXISTS (SELECT FROM threads_feedback) THEN
        RAISE EXCEPTION 'files or feedback point at the messages'
              USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$
"""
TRIGGERS = """
CREATE CONSTRAINT TRIGGER attachment_of_message AFTER INSERT OR UPDATE OF message_id, workspace_id
    ON threads_attachment DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION threads_refer_to_message();
CREATE CONSTRAINT TRIGGER feedback_of_message AFTER INSERT OR UPDATE OF message_id, workspace_id
    ON threads_feedback DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION threads_refer_to_message();
CREATE TRIGGER message_followed AFTER DELETE ON threads_message
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION threads_follow_removed_messages();
CREATE TRIGGER message_referred_to AFTER UPDATE OF id, workspace_id ON threads_message
    FOR EACH ROW WHEN ((OLD.id, OLD.workspace_id) IS DISTINCT FROM (NEW.id, NEW.workspace_id))
    EXECUTE FUNCTION threads_keep_message_referred_to();
CREATE TRIGGER message_referred_to_truncate AFTER TRUNCATE ON threads_message
    FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_messages_referred_to();
ALTER TABLE threads_attachment DROP CONSTRAINT threads_attachment_message_id_workspace_fk;
ALTER TABLE threads_feedback DROP CONSTRAINT threads_feedback_message_id_workspace_fk;
"""
BACK = """
ALTER TABLE {table} ADD CONSTRAINT {table}_message_id_workspace_fk FOREIGN KEY (message_id, workspace_id)
    REFERENCES threads_message (id, workspace_id) ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
"""


class Migration(migrations.Migration):
    """Files and feedback point at their message, and go with it, as with a foreign key; but of removed messages they are
    looked for once a statement. A foreign key asks twice for each message, which was most of what archiving cost.

    No row is read or written, so the tables' locks are short.
    """

    dependencies = [("threads", "0030_statistics_of_words")]

    operations = [
        migrations.RunSQL(REFER, "DROP FUNCTION threads_refer_to_message CASCADE"),
        migrations.RunSQL(FOLLOW, "DROP FUNCTION threads_follow_removed_messages CASCADE"),
        migrations.RunSQL(STAY, "DROP FUNCTION threads_keep_message_referred_to CASCADE"),
        migrations.RunSQL(NONE_LEFT, "DROP FUNCTION threads_keep_messages_referred_to CASCADE"),
        migrations.RunSQL(
            TRIGGERS, BACK.format(table="threads_attachment") + BACK.format(table="threads_feedback")
        ),
    ]
