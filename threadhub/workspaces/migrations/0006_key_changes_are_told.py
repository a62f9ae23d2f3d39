from django.db import migrations

# What web processes remember of a key is forgotten when its commit is told here (known_keys.py). Named are all columns
# that decide about a key or its user; noting a use (last_used_at, usage_count) is not told.
TELL = """
CREATE FUNCTION workspaces_tell_of_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('api_key_changes', '');
    RETURN NULL;
END $$;
CREATE TRIGGER api_key_changes
 AFTER DELETE OR UPDATE OF id, workspace_id, user_id, kind, digest, previous_digest, previous_until, agent_id, scopes,
                           rate_limit, expires_at, revoked_at
    ON workspaces_apikey FOR EACH STATEMENT EXECUTE FUNCTION workspaces_tell_of_keys();
CREATE TRIGGER api_key_changes_of_user
 AFTER DELETE OR UPDATE OF id, is_active ON workspaces_user
   FOR EACH STATEMENT EXECUTE FUNCTION workspaces_tell_of_keys();
"""
BACK = """
DROP TRIGGER api_key_changes_of_user ON workspaces_user;
DROP TRIGGER api_key_changes ON workspaces_apikey;
DROP FUNCTION workspaces_tell_of_keys();
"""


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0005_staff_desk")]

    operations = [migrations.RunSQL(TELL, BACK)]
