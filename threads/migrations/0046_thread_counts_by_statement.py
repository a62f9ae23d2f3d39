from django.db import migrations

# What a statement's rows add up to is kept in a setting of the transaction, which a savepoint takes back with them. A
# counter that is written anew for each row is found by way of all its versions: a thousand threads cost a million steps.
# The statement's trigger names no columns: of two updates in one query PostgreSQL may call that of the last one alone.
COUNT = """
CREATE FUNCTION threads_count_moves(moves jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('threadhub.threads_moved', '', true);
    PERFORM threads_add_to_counts(array_agg(side.workspace), array_agg(side.agent), array_agg(side.state),
                                  array_agg(side.number))
       FROM (SELECT string_to_array(key, ' ') AS part, value::bigint AS number FROM jsonb_each_text(moves)) AS move,
    LATERAL (VALUES (part[1]::uuid, part[2]::uuid, part[3], -number), (part[4]::uuid, part[5]::uuid, part[6], number))
         AS side (workspace, agent, state, number);
END $$;
CREATE FUNCTION threads_count_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moves text := COALESCE(current_setting('threadhub.threads_moved', true), '');
BEGIN
    IF moves <> '' THEN
        PERFORM threads_count_moves(moves::jsonb);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER thread_count_moved AFTER UPDATE ON threads_thread
    FOR EACH STATEMENT EXECUTE FUNCTION threads_count_moved();
CREATE OR REPLACE FUNCTION threads_count_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moves jsonb := COALESCE(NULLIF(current_setting('threadhub.threads_moved', true), ''), '{}')::jsonb;
    move text := concat_ws(' ', OLD.workspace_id, OLD.agent_id, OLD.state, NEW.workspace_id, NEW.agent_id, NEW.state);
BEGIN
    moves := jsonb_set(moves, ARRAY[move], to_jsonb(COALESCE((moves ->> move)::bigint, 0) + 1));
    IF length(moves::text) > 8000 THEN -- of very many agents: it is read and written with each row
        PERFORM threads_count_moves(moves);
    ELSE
        PERFORM set_config('threadhub.threads_moved', moves::text, true);
    END IF;
    RETURN NULL;
END $$;
"""
AS_BEFORE = """
DROP TRIGGER thread_count_moved ON threads_thread;
DROP FUNCTION threads_count_moved, threads_count_moves;
CREATE OR REPLACE FUNCTION threads_count_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM threads_add_to_counts(ARRAY[OLD.workspace_id, NEW.workspace_id], ARRAY[OLD.agent_id, NEW.agent_id],
                                  ARRAY[OLD.state::text, NEW.state::text], ARRAY[-1, 1]::bigint[]);
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    """Counters of threads that change their state are written once for each statement, not for each row. The trigger
    comes first: behind its lock nothing is written between it and the function that relies on it."""

    dependencies = [("threads", "0045_retention_schedule")]

    operations = [migrations.RunSQL(COUNT, AS_BEFORE)]
