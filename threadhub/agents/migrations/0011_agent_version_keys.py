from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys

# How each agent answers now is the first version of those that were there before versions were.
FIRST_VERSIONS = """
INSERT INTO agents_agentversion (id, workspace_id, agent_id, number, values, changed, author, created_at)
SELECT gen_random_uuid(), agent.workspace_id, agent.id, 1,
       jsonb_build_object(
           'name', name, 'description', description, 'provider', provider, 'model', model,
           'instructions', instructions, 'temperature', temperature, 'max_output_tokens', max_output_tokens,
           'context_budget', context_budget, 'max_steps', max_steps, 'max_seconds', max_seconds,
           'max_run_tokens', max_run_tokens, 'max_run_cost', trim_scale(max_run_cost)::text,
           'titles', titles, 'double_texting', double_texting, 'metadata', metadata,
           'tools', COALESCE((SELECT jsonb_agg(own.tool_id::text ORDER BY own.tool_id::text)
                                FROM agents_agenttool own WHERE own.agent_id = agent.id), '[]')
       ),
       '[]', '', updated_at
  FROM agents_agent agent
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0010_agent_versions")]

    operations = [
        WorkspaceKeys("agents_agentversion", [Reference("agent_id", "agents_agent", "CASCADE")]),
        migrations.RunSQL(FIRST_VERSIONS, migrations.RunSQL.noop),
    ]
