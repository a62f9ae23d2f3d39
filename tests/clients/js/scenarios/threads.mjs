// sdk.ai.threads and its older names on sdk.ai.
import { administrator, failure } from '../ways.mjs';

const NO_THREAD = 'thread_01jaaaaaaaaaaaaaaaaaaaaaaa';

export async function threads(sdk, hub) {
  const { threads } = sdk.ai;
  const created = await threads.create({ integration: hub.agent_id, title: 'Customer Support Chat' });
  const untitled = await threads.create({ integration: hub.agent_id });
  const read = await threads.getOne(created._id);
  const listed = await threads.list({ integration: hub.agent_id, sort: '-created', limit: 2, page: 1 });
  const secondPage = await threads.list({ sort: '-created', limit: 1, page: 2 });
  const all = await threads.list();
  const deleted = await threads.delete(created._id);
  const afterwards = await failure(() => threads.getOne(created._id));
  const deletedAgain = await failure(() => threads.delete(created._id));
  const left = (await threads.list({ sort: '-created', limit: 1 })).map((thread) => thread._id);
  return { created, untitled, read, listed, secondPage, all, deleted, afterwards, deletedAgain, left };
}

export async function olderNames(sdk, hub) {
  const created = await sdk.ai.createThread({ integration: hub.agent_id, title: 'By its older name' });
  const read = await sdk.ai.getThread(created._id);
  const listed = await sdk.ai.listThreads({ limit: 1, sort: '-created' });
  const deleted = await sdk.ai.deleteThread(created._id);
  return { created, read, listed, deleted };
}

// What the client writes for values that are not there: `?user=undefined`, `?workspace=null`, `?limit=`.
export async function undefinedFilters(sdk, hub) {
  const { _id } = await sdk.ai.threads.create({ integration: hub.agent_id });
  const wanted = { user: undefined, workspace: undefined, integration: undefined, limit: '', sort: '-created' };
  const listed = await sdk.ai.threads.list(wanted);
  return { id: _id, listed: listed.map((thread) => thread._id), requests: sdk.requests };
}

export async function filters(sdk, hub) {
  const made = await sdk.ai.threads.create({ integration: hub.agent_id });
  const ids = async (options) => (await sdk.ai.threads.list(options)).map((thread) => thread._id);
  return {
    id: made._id,
    user: await ids({ user: made.user, limit: 100 }),
    workspace: await ids({ workspace: made.workspace, limit: 100 }),
    noUser: await ids({ user: 'user_of_nobody' }),
    noWorkspace: await ids({ workspace: 'workspace_of_nobody' }),
    noIntegration: await ids({ integration: 'agent_of_nobody' }),
    unknownKey: (await ids({ colour: 'blue' })).length,
  };
}

export async function asAdministrator(_, hub) {
  const sdk = administrator(hub);
  const created = await sdk.ai.threads.create({ integration: hub.agent_id, title: 'By the administrator' });
  const read = await sdk.ai.threads.getOne(created._id);
  const listed = await sdk.ai.threads.list({ user: undefined, limit: 1, sort: '-created' });
  const said = await sdk.ai.chat.chatInThread(hub.agent_id, created._id, {
    messages: [{ role: 'user', content: 'By the administrator' }],
  });
  sdk.impersonateUser(created.user, hub.workspace_id);
  const impersonated = await sdk.ai.threads.getOne(created._id);
  sdk.clearImpersonation();
  const deleted = await sdk.ai.threads.delete(created._id);
  return { created, read, listed, said, impersonated, deleted, requests: sdk.requests };
}

export async function refusals(sdk, hub) {
  const { threads } = sdk.ai;
  return {
    absent: await failure(() => threads.getOne(NO_THREAD)),
    noId: await failure(() => threads.getOne('66d0c0ffee')),
    noSuchIntegration: await failure(() => threads.create({ integration: 'nonsense' })),
    noIntegration: await failure(() => threads.create({ title: 'Lost' })),
  };
}
