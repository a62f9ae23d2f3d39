from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys

OF_THREAD = [Reference("thread_id", "threads_thread", "CASCADE")]

# The tools of threads that there are already. Archived messages are looked at when they come back.
KNOWN = """
INSERT INTO threads_tooluse (workspace_id, name, thread_id)
SELECT DISTINCT message.workspace_id, call ->> 'name', message.thread_id
  FROM threads_message AS message,
       jsonb_array_elements(CASE jsonb_typeof(message.tool_calls) WHEN 'array' THEN message.tool_calls ELSE '[]' END)
       AS call
 WHERE message.tool_calls IS NOT NULL AND call ->> 'name' IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("threads", "0018_staff_desk")]

    operations = [
        WorkspaceKeys("threads_cannedanswer"),
        WorkspaceKeys("threads_note", OF_THREAD),
        WorkspaceKeys("threads_tooluse", OF_THREAD, primary_key=False),
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
    ]
