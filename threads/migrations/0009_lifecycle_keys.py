from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys

# Whether a hold covers a thread. One lookup per scope, each on the index hold_in_force.
COVERED = """
CREATE FUNCTION threads_covered_by_hold(workspace uuid, thread uuid, agent uuid, owner uuid, reference text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM threads_hold WHERE workspace_id = workspace AND released_at IS NULL
                      AND scope = 'workspace')
        OR EXISTS (SELECT FROM threads_hold WHERE workspace_id = workspace AND released_at IS NULL
                      AND scope = 'thread' AND target_id = thread)
        OR EXISTS (SELECT FROM threads_hold WHERE workspace_id = workspace AND released_at IS NULL
                      AND scope = 'agent' AND target_id = agent)
        OR EXISTS (SELECT FROM threads_hold WHERE workspace_id = workspace AND released_at IS NULL
                      AND scope = 'user' AND target_id = owner)
        OR EXISTS (SELECT FROM threads_hold WHERE workspace_id = workspace AND released_at IS NULL
                      AND scope = 'external_ref' AND external_ref = reference)
$$
"""
# Placing a hold takes this lock alone, every loss takes it shared before it looks for holds: so a hold that was
# answered is seen by everything that commits after it, and one that comes too late waits to be told so.
REFUSE = """
CREATE FUNCTION threads_refuse_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'on legal hold' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'thread_held';
END $$
"""
THREADS = """
CREATE FUNCTION threads_keep_held_threads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('hold:' || workspace_id, 0))
       FROM (SELECT DISTINCT workspace_id FROM removed ORDER BY 1) AS workspaces;
    IF EXISTS (SELECT FROM threads_hold WHERE released_at IS NULL AND workspace_id IN (SELECT workspace_id FROM removed))
       AND EXISTS (SELECT FROM removed
                    WHERE threads_covered_by_hold(workspace_id, id, agent_id, user_id, external_ref)) THEN
        RAISE EXCEPTION 'a thread is on legal hold'
              USING ERRCODE = 'restrict_violation', CONSTRAINT = 'thread_held';
    END IF;
    RETURN NULL;
END $$
"""
# Of rows that went with their thread nothing is asked here: the thread itself was.
MESSAGES = """
CREATE FUNCTION threads_keep_held_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM removed) THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('hold:' || workspace_id, 0))
       FROM (SELECT DISTINCT workspace_id FROM removed ORDER BY 1) AS workspaces;
    IF EXISTS (SELECT FROM threads_hold WHERE released_at IS NULL AND workspace_id IN (SELECT workspace_id FROM removed))
       AND EXISTS (SELECT FROM threads_thread AS thread
                    WHERE (thread.id, thread.workspace_id) IN (SELECT thread_id, workspace_id FROM removed)
                      AND threads_covered_by_hold(thread.workspace_id, thread.id, thread.agent_id, thread.user_id,
                                                  thread.external_ref)) THEN
        RAISE EXCEPTION 'a thread is on legal hold'
              USING ERRCODE = 'restrict_violation', CONSTRAINT = 'thread_held';
    END IF;
    RETURN NULL;
END $$
"""
# A thread that is held by its user, agent or reference must not slip out by losing it: a deleted user, say.
SLIPPING = """
CREATE FUNCTION threads_keep_hold_on_thread() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('hold:' || OLD.workspace_id, 0));
    IF threads_covered_by_hold(OLD.workspace_id, OLD.id, OLD.agent_id, OLD.user_id, OLD.external_ref)
       AND NOT threads_covered_by_hold(NEW.workspace_id, NEW.id, NEW.agent_id, NEW.user_id, NEW.external_ref) THEN
        RAISE EXCEPTION 'a thread is on legal hold'
              USING ERRCODE = 'restrict_violation', CONSTRAINT = 'thread_held';
    END IF;
    RETURN NEW;
END $$
"""
TRUNCATE = """
CREATE FUNCTION threads_keep_held_from_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM threads_hold WHERE released_at IS NULL) THEN
        RAISE EXCEPTION 'a thread is on legal hold'
              USING ERRCODE = 'restrict_violation', CONSTRAINT = 'thread_held';
    END IF;
    RETURN NULL;
END $$
"""
TRIGGERS = """
CREATE TRIGGER thread_held AFTER DELETE ON threads_thread
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_held_threads();
CREATE TRIGGER message_held AFTER DELETE ON threads_message
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_held_messages();
CREATE TRIGGER thread_slips_from_hold BEFORE UPDATE OF user_id, agent_id, external_ref, workspace_id ON threads_thread
    FOR EACH ROW WHEN ((OLD.user_id, OLD.agent_id, OLD.external_ref, OLD.workspace_id)
        IS DISTINCT FROM (NEW.user_id, NEW.agent_id, NEW.external_ref, NEW.workspace_id))
    EXECUTE FUNCTION threads_keep_hold_on_thread();
CREATE TRIGGER thread_held_truncate BEFORE TRUNCATE ON threads_thread
    FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_held_from_truncate();
CREATE TRIGGER message_held_truncate BEFORE TRUNCATE ON threads_message
    FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_held_from_truncate();
CREATE TRIGGER hold_in_force BEFORE DELETE ON threads_hold
    FOR EACH ROW WHEN (OLD.released_at IS NULL) EXECUTE FUNCTION threads_refuse_held();
"""


class Migration(migrations.Migration):
    """The workspace in the keys; and a held thread and its messages survive every DELETE, whatever sends it."""

    dependencies = [("threads", "0008_lifecycle")]

    operations = [
        WorkspaceKeys("threads_retentionpolicy"),
        WorkspaceKeys("threads_hold"),
        WorkspaceKeys("threads_sweep"),
        WorkspaceKeys("threads_bundle"),
        migrations.RunSQL(
            "ALTER TABLE threads_tombstone DROP CONSTRAINT threads_tombstone_pkey,"
            " ADD CONSTRAINT threads_tombstone_pkey PRIMARY KEY (thread_id, workspace_id)"
        ),
        migrations.RunSQL(
            "ALTER TABLE threads_bundledthread DROP CONSTRAINT threads_bundledthread_pkey,"
            " ADD CONSTRAINT threads_bundledthread_pkey PRIMARY KEY (thread_id, workspace_id)"
        ),
        WorkspaceKeys(
            "threads_bundledthread",
            [Reference("bundle_id", "threads_bundle", "RESTRICT"), Reference("thread_id", "threads_thread", "RESTRICT")],
            primary_key=False,
        ),
        # Whether a file of an attachment is still wanted by a thread in a bundle, and by a live one.
        migrations.RunSQL("CREATE INDEX bundled_files ON threads_bundledthread USING gin (workspace_id, files)"),
        migrations.RunSQL("CREATE INDEX attachment_file ON threads_attachment (workspace_id, file)"),
        *[migrations.RunSQL(function) for function in (COVERED, REFUSE, THREADS, MESSAGES, SLIPPING, TRUNCATE)],
        migrations.RunSQL(TRIGGERS),
    ]
