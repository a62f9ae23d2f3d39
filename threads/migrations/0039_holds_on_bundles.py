from django.db import migrations

RAISE = "RAISE EXCEPTION 'a thread is on legal hold' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'thread_held';"
COVERED = (
    "threads_covered_by_hold(thread.workspace_id, thread.id, thread.agent_id, thread.user_id, thread.external_ref)"
)
HOLDS = "EXISTS (SELECT FROM threads_hold WHERE workspace_id = {row}.workspace_id AND released_at IS NULL)"
# What is moved to another bundle goes and comes in one transaction, and so does what is restored: only at its end it
# shows whether a thread's words are still to be had. So these wait until then. Whatever workspaces are in sight at that
# moment, the row's own is looked at.
AT_THE_END = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    in_sight text := COALESCE(current_setting('threadhub.scope', true), '');
    lost boolean := false;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('hold:' || {row}.workspace_id, 0));
    PERFORM set_config('threadhub.scope', {row}.workspace_id::text, true);
    IF {holds} THEN
        lost := {lost};
    END IF;
    PERFORM set_config('threadhub.scope', in_sight, true);
    IF lost THEN
        {refuse}
    END IF;
    RETURN NULL;
END $$
"""


def at_the_end(name: str, row: str, lost: str) -> str:
    """A trigger's function that refuses where `lost` is so of a row (OLD or NEW) of a workspace that has holds."""
    return AT_THE_END.format(name=name, row=row, holds=HOLDS.format(row=row), lost=lost, refuse=RAISE)


# Its words stand in a bundle with the same hash, or they are all back in the table.
BUNDLED = at_the_end(
    "threads_keep_held_bundled",
    "OLD",
    f"""EXISTS (
            SELECT FROM threads_thread AS thread
             WHERE thread.id = OLD.thread_id AND thread.workspace_id = OLD.workspace_id AND {COVERED}
               AND NOT EXISTS (SELECT FROM threads_bundledthread AS entry
                                WHERE entry.thread_id = OLD.thread_id AND entry.workspace_id = OLD.workspace_id
                                  AND entry.sha256 = OLD.sha256)
               AND (thread.bundle_id IS NOT NULL OR COALESCE((OLD.counts ->> 'message')::bigint, 0) >
                    (SELECT count(*) FROM threads_message AS message
                      WHERE message.workspace_id = OLD.workspace_id AND message.thread_id = OLD.thread_id)))""",  # noqa: S608  constants
)
# It says that it is in a bundle exactly while it is in one.
STATE = at_the_end(
    "threads_keep_held_state",
    "NEW",
    f"""EXISTS (
            SELECT FROM threads_thread AS thread,
                   LATERAL (SELECT EXISTS (SELECT FROM threads_bundledthread AS entry
                                            WHERE entry.thread_id = thread.id
                                              AND entry.workspace_id = thread.workspace_id) AS bundled) AS catalogue
             WHERE thread.id = NEW.id AND thread.workspace_id = NEW.workspace_id AND {COVERED}
               AND (bundled <> (thread.bundle_id IS NOT NULL)
                    OR thread.state = 'archived' AND NOT bundled
                    OR thread.state NOT IN ('archived', 'trashed') AND bundled))""",  # noqa: S608
)
BUNDLE = at_the_end(
    "threads_keep_held_bundle",
    "NEW",
    f"""EXISTS (SELECT FROM threads_bundledthread AS entry
                 JOIN threads_thread AS thread
                   ON thread.id = entry.thread_id AND thread.workspace_id = entry.workspace_id
                WHERE entry.workspace_id = NEW.workspace_id AND entry.bundle_id = NEW.id AND {COVERED})""",  # noqa: S608
)
# Whoever puts it there has looked for holds before: this is for SQL.
TRASHED = f"""
CREATE FUNCTION threads_keep_held_from_trash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('hold:' || OLD.workspace_id, 0));
    IF threads_covered_by_hold(OLD.workspace_id, OLD.id, OLD.agent_id, OLD.user_id, OLD.external_ref) THEN
        {RAISE}
    END IF;
    RETURN NEW;
END $$
"""
# Of a row that went with its thread nothing is asked: the thread itself was. By row, so that a cascade which finds
# nothing, of each of many messages, costs nothing.
PART = f"""
CREATE FUNCTION threads_keep_held_part() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('hold:' || OLD.workspace_id, 0));
    IF {HOLDS.format(row="OLD")}
       AND EXISTS (SELECT FROM threads_thread AS thread
                    WHERE thread.id = OLD.thread_id AND thread.workspace_id = OLD.workspace_id AND {COVERED}) THEN
        {RAISE}
    END IF;
    RETURN NULL;
END $$
"""
# Where a bundle lies, and that it is needed, is as much as what is in it.
TRIGGERS = """
CREATE CONSTRAINT TRIGGER bundled_held AFTER DELETE ON threads_bundledthread
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION threads_keep_held_bundled();
CREATE TRIGGER bundled_held_changed BEFORE UPDATE ON threads_bundledthread
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION threads_keep_held_content();
CREATE CONSTRAINT TRIGGER thread_held_state AFTER UPDATE OF state, bundle_id ON threads_thread
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.state, OLD.bundle_id) IS DISTINCT FROM (NEW.state, NEW.bundle_id))
    EXECUTE FUNCTION threads_keep_held_state();
CREATE TRIGGER thread_held_trashed BEFORE UPDATE OF state ON threads_thread
    FOR EACH ROW WHEN (NEW.state = 'trashed' AND OLD.state <> 'trashed')
    EXECUTE FUNCTION threads_keep_held_from_trash();
CREATE CONSTRAINT TRIGGER bundle_held_changed AFTER UPDATE OF path, name, sha256, removed_at ON threads_bundle
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.path, OLD.name, OLD.sha256, OLD.removed_at)
        IS DISTINCT FROM (NEW.path, NEW.name, NEW.sha256, NEW.removed_at))
    EXECUTE FUNCTION threads_keep_held_bundle();
CREATE TRIGGER hold_in_force_changed BEFORE UPDATE OF scope, target_id, external_ref, workspace_id ON threads_hold
    FOR EACH ROW WHEN (OLD.released_at IS NULL AND (OLD.scope, OLD.target_id, OLD.external_ref, OLD.workspace_id)
        IS DISTINCT FROM (NEW.scope, NEW.target_id, NEW.external_ref, NEW.workspace_id))
    EXECUTE FUNCTION threads_refuse_held();
"""
NO_TRIGGERS = """
DROP TRIGGER bundled_held ON threads_bundledthread;
DROP TRIGGER bundled_held_changed ON threads_bundledthread;
DROP TRIGGER thread_held_state ON threads_thread;
DROP TRIGGER thread_held_trashed ON threads_thread;
DROP TRIGGER bundle_held_changed ON threads_bundle;
DROP TRIGGER hold_in_force_changed ON threads_hold;
"""
TRUNCATED = ("bundledthread", "bundle", "hold")
# What else belongs to a thread: who answered, what was thought of it, what stands for it, who let a tool be called.
PARTS = ("run", "feedback", "summary", "toolapproval", "branch")


def function(text: str) -> migrations.RunSQL:
    return migrations.RunSQL(text, f"DROP FUNCTION {text.split()[2]}")


def truncation(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER {table}_held_truncate BEFORE TRUNCATE ON threads_{table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION threads_keep_held_from_truncate()",
        f"DROP TRIGGER {table}_held_truncate ON threads_{table}",
    )


def removal(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER {table}_held AFTER DELETE ON threads_{table}"
        " FOR EACH ROW EXECUTE FUNCTION threads_keep_held_part()",
        f"DROP TRIGGER {table}_held ON threads_{table}",
    )


class Migration(migrations.Migration):
    """A held thread that is archived stays readable, whatever SQL is sent; and its runs, feedback, summaries, approvals
    and branches stay like its messages."""

    dependencies = [("threads", "0038_storage_sizes")]

    operations = [
        *map(function, (BUNDLED, STATE, TRASHED, BUNDLE, PART)),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        *map(truncation, (*TRUNCATED, *PARTS)),
        *map(removal, PARTS),
    ]
