from importlib import import_module

from django.db import migrations

before = import_module("threads.migrations.0034_newest_saying")
# Of one workspace, messages whose ids are older than all its threads (no clock made them) are looked for among all that
# say it there: these are fewer than were wanted, else the spans had found enough. By its first digits the index would
# go through all older messages of all others.
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
            ["ALTER INDEX message_text SET (gin_pending_list_limit = 512)"],
            ["ALTER INDEX message_text RESET (gin_pending_list_limit)"],
        ),
    ]
