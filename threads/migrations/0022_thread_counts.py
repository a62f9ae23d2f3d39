import django.db.models.deletion
from django.db import migrations, models

# Adds to counters. The slot is one that no other transaction is adding to, found by an advisory lock that is free: so
# nobody waits, and rows of one slot cannot be locked in a ring. With all of them taken one waits for its own.
ADD = """
CREATE FUNCTION threads_add_to_counts(workspaces uuid[], subjects uuid[], states text[], numbers bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own int := pg_backend_pid() % 64;
    tried int := own;
BEGIN
    WHILE NOT pg_try_advisory_xact_lock(hashtext('threads.counts'), tried) LOOP
        tried := (tried + 1) % 64;
        IF tried = own THEN
            PERFORM pg_advisory_xact_lock(hashtext('threads.counts'), own);
            EXIT;
        END IF;
    END LOOP;
    INSERT INTO threads_threadcount AS counter (workspace_id, subject, state, slot, number)
    SELECT change.workspace, change.subject, change.state, tried, sum(change.number)
      FROM unnest(workspaces || workspaces, subjects || workspaces, states || states, numbers || numbers)
        AS change (workspace, subject, state, number)
     WHERE change.state IN ('active', 'archived')
     GROUP BY 1, 2, 3
    HAVING sum(change.number) <> 0
     ORDER BY 1, 2, 3
        ON CONFLICT (workspace_id, subject, state, slot) DO UPDATE SET number = counter.number + excluded.number;
END $$
"""
# One call a statement for what comes and goes, however many rows that is, COPY and cascades included.
CAME = """
CREATE FUNCTION threads_count_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM threads_add_to_counts(array_agg(workspace_id), array_agg(agent_id), array_agg(state::text), array_agg(number))
       FROM (SELECT workspace_id, agent_id, state, count(*) AS number FROM added
              WHERE state IN ('active', 'archived') GROUP BY 1, 2, 3) AS changes
     HAVING count(*) > 0;
    RETURN NULL;
END $$
"""
WENT = """
CREATE FUNCTION threads_count_fewer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM threads_add_to_counts(array_agg(workspace_id), array_agg(agent_id), array_agg(state::text),
                                  array_agg(-number))
       FROM (SELECT workspace_id, agent_id, state, count(*) AS number FROM removed
              WHERE state IN ('active', 'archived') GROUP BY 1, 2, 3) AS changes
     HAVING count(*) > 0;
    RETURN NULL;
END $$
"""
# By row, since only so an append, which updates the thread's row too, pays no more than a comparison.
MOVED = """
CREATE FUNCTION threads_count_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM threads_add_to_counts(ARRAY[OLD.workspace_id, NEW.workspace_id], ARRAY[OLD.agent_id, NEW.agent_id],
                                  ARRAY[OLD.state::text, NEW.state::text], ARRAY[-1, 1]::bigint[]);
    RETURN NULL;
END $$
"""
EMPTIED = """
CREATE FUNCTION threads_count_none() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM threads_threadcount;
    RETURN NULL;
END $$
"""
TRIGGERS = """
CREATE TRIGGER thread_count_more AFTER INSERT ON threads_thread
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION threads_count_more();
CREATE TRIGGER thread_count_fewer AFTER DELETE ON threads_thread
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION threads_count_fewer();
CREATE TRIGGER thread_count_move AFTER UPDATE OF state, agent_id, workspace_id ON threads_thread
    FOR EACH ROW WHEN ((OLD.state, OLD.agent_id, OLD.workspace_id) IS DISTINCT FROM
                       (NEW.state, NEW.agent_id, NEW.workspace_id))
    EXECUTE FUNCTION threads_count_move();
CREATE TRIGGER thread_count_none AFTER TRUNCATE ON threads_thread
    FOR EACH STATEMENT EXECUTE FUNCTION threads_count_none();
"""
# Behind the triggers' lock, so that nothing is written between; a second for a million threads.
COUNT = """
INSERT INTO threads_threadcount (workspace_id, subject, state, slot, number)
SELECT workspace_id, coalesce(agent_id, workspace_id), state, 0, count(*) FROM threads_thread
 WHERE state IN ('active', 'archived')
 GROUP BY GROUPING SETS ((workspace_id, agent_id, state), (workspace_id, state))
"""
# Rows that are updated over and over: room for that on each page.
SETTINGS = "ALTER TABLE threads_threadcount SET (fillfactor = 50, autovacuum_vacuum_threshold = 500)"


class Migration(migrations.Migration):
    dependencies = [
        ("threads", "0021_daily_activity_keys"),
        ("workspaces", "0005_staff_desk"),
    ]

    operations = [
        migrations.CreateModel(
            name="ThreadCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "workspace", "subject", "state", "slot", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subject", models.UUIDField()),
                ("state", models.CharField(max_length=16)),
                ("slot", models.SmallIntegerField()),
                ("number", models.BigIntegerField()),
                (
                    "workspace",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={"ordering": ["workspace", "subject", "state", "slot"]},
        ),
        *[migrations.RunSQL(sql, migrations.RunSQL.noop) for sql in (SETTINGS, ADD, CAME, WENT, MOVED, EMPTIED, TRIGGERS, COUNT)],
    ]
