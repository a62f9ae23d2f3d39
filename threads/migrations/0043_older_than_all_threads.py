from importlib import import_module

from django.db import migrations

before = import_module("threads.migrations.0034_newest_saying")
# Of one workspace, messages whose ids are older than all its threads (no clock made them) are looked for among all that
# may say it there: what the spans read, in their time, is read once more. By the first digits of ids the index would go
# through all older messages of all others.
OLDEST = """
        ELSIF span = 'oldest' AND cardinality(among) = 1 THEN
            SELECT array_agg(message.thread_id), array_agg(message.id) INTO threads, messages
              FROM (SELECT thread_id, id
                      FROM (SELECT thread_id, id FROM threads_message
                             WHERE searchable AND to_tsvector('simple', left(content, 100000)) @@ asked
                               AND workspace_id = among[1] OFFSET 0) AS said
                     WHERE id < (left(lpad(to_hex(first), 7, '0'), 7) || '0-0000-0000-0000-000000000000')::uuid
                     LIMIT 4001) AS message;"""
_, digits, relation, limit = next(kind for kind in before.KINDS if kind[0] == "oldest")
where, condition = before.AMONG[0]
LOOK = before.LOOK.format(
    when="ELSIF", span="oldest", digits=digits, limit=limit, where=where, condition=condition, **{"is": relation}
)
# Whoever reads or writes messages is not made to wait behind this while it waits for somebody.
SHORT_LIST = """
DO $$
BEGIN
    SET LOCAL lock_timeout = '500ms';
    FOR tried IN 1..60 LOOP
        BEGIN
            ALTER INDEX message_text SET (gin_pending_list_limit = 512);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(1);
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'the index of words is in use without a pause: migrate again later';
END $$
"""
OTHERS, found, REST = before.NEWEST.partition(LOOK)
assert found


class Migration(migrations.Migration):
    """Words in a young workspace of an old hub: what others said before it is not gone through.

    And what waits to be put into the index of words, each search reads whole, once for each span: it is kept short.
    """

    dependencies = [("threads", "0042_newest_runs")]

    operations = [
        migrations.RunSQL([f"{OTHERS}{OLDEST}{REST}"], [before.NEWEST]),
        migrations.RunSQL(
            [SHORT_LIST], ["ALTER INDEX message_text RESET (gin_pending_list_limit)"]
        ),
    ]
