from django.db import migrations

# Seven digits of an id are a span of 17 minutes, six one of four hours and a half, five one of three days.
SPANS = "".join(f'(left(id::text, {digits}) COLLATE "C"), ' for digits in (5, 6, 7))
WORDS = (
    "CREATE INDEX CONCURRENTLY {} ON threads_message USING gin (workspace_id, {}"
    "to_tsvector('simple', left(content, 100000))) WHERE searchable"
)
# A span is found by equality: only so does the index leap from one message that may be it to the next, and a long span
# costs no more than what it has. Open are the first span and the one before all threads, for ids that no clock made.
LOOK = """
        {when} span = '{span}' AND {where} THEN
            SELECT array_agg(message.thread_id), array_agg(message.id) INTO threads, messages
              FROM (SELECT thread_id, id FROM threads_message
                     WHERE searchable AND to_tsvector('simple', left(content, 100000)) @@ asked AND {condition}
                       AND left(id::text, {digits}) COLLATE "C" {is} left(lpad(to_hex(first), 7, '0'), {digits})
                     {limit}) AS message;"""
KINDS = (
    ("newest", 7, ">=", ""), ("7", 7, "=", ""), ("6", 6, "=", "LIMIT 4001"), ("5", 5, "=", "LIMIT 4001"),
    ("oldest", 7, "<", "LIMIT 4001"),
)  # fmt: skip
AMONG = (
    ("cardinality(among) = 1", "workspace_id = among[1]"),
    ("cardinality(among) IS DISTINCT FROM 1", "(among IS NULL OR workspace_id = ANY (among))"),
)
BRANCHES = [(kind, wall) for kind in KINDS for wall in AMONG]
LOOKS = "".join(
    LOOK.format(
        when="ELSIF" if number else "IF", span=span, digits=digits, limit=limit, where=where, condition=condition,
        **{"is": relation},
    )
    for number, ((span, digits, relation, limit), (where, condition)) in enumerate(BRANCHES)
)  # fmt: skip
# Spans grow while they have little. A long one with more than can be sorted at once is looked at in pieces. The last
# row tells since when messages were looked through; null: all were.
NEWEST = f"""
CREATE OR REPLACE FUNCTION threads_newest_saying(
    asked tsquery, among uuid[], wanted integer, oldest timestamptz, spending interval
) RETURNS TABLE (thread_id uuid, message_id uuid, since timestamptz) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_indexscan = off SET max_parallel_workers_per_gather = 0 SET work_mem = '32MB'
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    began timestamptz := clock_timestamp();
    paced timestamptz;
    first bigint := (extract(epoch FROM began) * 1000)::bigint >> 20;
    least_first bigint := greatest((extract(epoch FROM oldest) * 1000)::bigint >> 20, 0);
    bound bigint;
    span text := 'newest';
    digits integer := 7;
    lacking integer := wanted;
    found integer;
    threads uuid[];
    messages uuid[];
BEGIN
    LOOP
        paced := clock_timestamp();{LOOKS}
        END IF;
        found := coalesce(cardinality(messages), 0);
        IF found > 4000 AND span IN ('5', '6') THEN
            digits := digits + 1;
        ELSE
            EXIT WHEN found > 4000 AND span = 'oldest';
            RETURN QUERY SELECT hit.thread_id, hit.id, NULL::timestamptz
                           FROM unnest(threads, messages) AS hit(thread_id, id) ORDER BY 2 DESC LIMIT lacking;
            lacking := lacking - found;
            IF lacking <= 0 OR span = 'oldest' THEN
                bound := NULL;
                EXIT;
            END IF;
            bound := first;
            IF found < 100 AND clock_timestamp() - paced < interval '5 milliseconds' THEN
                digits := greatest(digits - 1, 5);
            ELSIF found > 1000 THEN
                digits := least(digits + 1, 7);
            END IF;
        END IF;
        EXIT WHEN clock_timestamp() - began >= spending;
        IF bound <= least_first THEN
            span := 'oldest';
        ELSE
            digits := greatest(digits, CASE WHEN bound % 256 = 0 THEN 5 WHEN bound % 16 = 0 THEN 6 ELSE 7 END);
            span := digits::text;
            first := bound - (1 << (4 * (7 - digits)));
        END IF;
    END LOOP;
    RETURN QUERY SELECT NULL::uuid, NULL::uuid, to_timestamp((bound << 20) / 1000.0);
END $$
"""


class Migration(migrations.Migration):
    """Words of the newest messages: the index of words holds spans of time too, as the first digits of the id. Of a
    common word it then reads what the newest spans have, and not all that ever held it.

    Messages are written and searched meanwhile. Each statement stands by itself and may come twice: where it was
    interrupted, the migration begins again.
    """

    atomic = False
    dependencies = [("threads", "0033_orders_of_threads")]

    operations = [
        migrations.RunSQL(
            ["DROP INDEX CONCURRENTLY IF EXISTS message_spans", WORDS.format("message_spans", SPANS)],
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            ["DROP INDEX CONCURRENTLY IF EXISTS message_text", "ALTER INDEX message_spans RENAME TO message_text"],
            [
                "DROP INDEX CONCURRENTLY IF EXISTS message_spans",
                WORDS.format("message_spans", ""),
                "DROP INDEX CONCURRENTLY IF EXISTS message_text",
                "ALTER INDEX message_spans RENAME TO message_text",
            ],
        ),
        migrations.RunSQL([NEWEST], ["DROP FUNCTION IF EXISTS threads_newest_saying"]),
    ]
