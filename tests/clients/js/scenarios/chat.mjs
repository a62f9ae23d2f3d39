// sdk.ai.chat and its older names on sdk.ai.
import { ask, collect, failure } from '../ways.mjs';

const newThread = async (sdk, hub) => (await sdk.ai.threads.create({ integration: hub.agent_id }))._id;

export async function chat(sdk, hub) {
  const threadId = await newThread(sdk, hub);
  const newest = async () => (await sdk.ai.threads.list({ limit: 1, sort: '-created' }))[0]._id;
  const alone = await sdk.ai.chat.chat(hub.agent_id, ask('Without a thread'));
  const storedNothing = (await newest()) === threadId;
  const inThread = await sdk.ai.chat.chatInThread(hub.agent_id, threadId, ask('First'));
  const context = await sdk.ai.chat.chatInThread(hub.agent_id, threadId, ask('/context'));
  const thread = await sdk.ai.threads.getOne(threadId);
  return { alone, storedNothing, inThread, context, thread };
}

export async function stream(sdk, hub) {
  const threadId = await newThread(sdk, hub);
  const parse = (body) => sdk.ai.chat.parseSSEStream(body);
  const alone = await collect(parse(await sdk.ai.chat.stream(hub.agent_id, ask('one two three'))));
  const body = await sdk.ai.chat.streamInThread(hub.agent_id, threadId, ask('Ünïcode ✓ 🙂'));
  const inThread = await collect(parse(body));
  const thread = await sdk.ai.threads.getOne(threadId);
  return { alone, inThread, thread };
}

export async function manualStream(sdk, hub) {
  const run = async (take) => {
    const body = await sdk.ai.chat.stream(hub.agent_id, ask('/slow 0.1\none two three'));
    const seen = [];
    await sdk.ai.chat.parseSSEStream(body).processManually((chunk) => {
      seen.push(chunk);
      return take(seen);
    });
    return seen;
  };
  return { all: await run(() => undefined), two: await run((seen) => seen.length < 2) };
}

// When each chunk of a slow answer arrived, in milliseconds since the request.
export async function slowStream(sdk, hub) {
  const start = performance.now();
  const body = await sdk.ai.chat.stream(hub.agent_id, ask('/slow 0.2\none two three four'));
  const arrivals = [];
  for await (const chunk of sdk.ai.chat.parseSSEStream(body)) arrivals.push([chunk.type, performance.now() - start]);
  return { arrivals };
}

export async function olderChatNames(sdk, hub) {
  const threadId = await newThread(sdk, hub);
  const alone = await sdk.ai.chatCompletion(hub.agent_id, ask('one'));
  const inThread = await sdk.ai.chatCompletionInThread(hub.agent_id, threadId, ask('two'));
  const streamed = await collect(sdk.ai.parseSSEStream(await sdk.ai.streamChat(hub.agent_id, ask('three'))));
  const body = await sdk.ai.streamChatInThread(hub.agent_id, threadId, ask('four'));
  const streamedInThread = await collect(sdk.ai.parseSSEStream(body));
  const thread = await sdk.ai.threads.getOne(threadId);
  return { alone, inThread, streamed, streamedInThread, thread };
}

export async function resentHistory(sdk, hub) {
  const threadId = await newThread(sdk, hub);
  await sdk.ai.chat.chatInThread(hub.agent_id, threadId, ask('First'));
  const { messages } = await sdk.ai.threads.getOne(threadId);
  await sdk.ai.chat.chatInThread(hub.agent_id, threadId, {
    messages: [...messages, { role: 'user', content: 'Second' }],
  });
  return await sdk.ai.threads.getOne(threadId);
}

export async function everyOption(sdk, hub) {
  const tuning = { temperature: 0.2, top_p: 0.9, frequency_penalty: 0, presence_penalty: 0, stop: ['never'] };
  const rest = { model: 'echo', max_tokens: 3, response_format: { type: 'text' }, context: { page: '/cart' } };
  const queryParams = { source: 'test', nothing: undefined };
  const options = { ...ask('one two three'), ...tuning, ...rest, rules: ['Be short.'], queryParams };
  const said = await sdk.ai.chat.chat(hub.agent_id, options);
  return { said, requests: sdk.requests };
}

export async function clientTools(sdk, hub) {
  const threadId = await newThread(sdk, hub);
  const tools = [{ name: 'cart_total', description: 'The sum of the cart.', schema: { type: 'object' } }];
  const question = ask('/tool cart_total {"currency": "EUR"}');
  const pending = await sdk.ai.chat.chatInThread(hub.agent_id, threadId, { ...question, clientTools: tools });
  const [call] = pending.assistantToolCalls;
  const asked = { role: 'assistant', content: '', tool_calls: pending.assistantToolCalls };
  const result = { role: 'tool', tool_call_id: call.id, name: 'cart_total', content: '42 EUR' };
  const messages = [...question.messages, asked, result];
  const done = await sdk.ai.chat.chatInThread(hub.agent_id, threadId, { messages, clientTools: tools });
  return { pending, done, thread: await sdk.ai.threads.getOne(threadId) };
}

export async function chatRefusals(sdk, hub) {
  const threadId = await newThread(sdk, hub);
  const { chat } = sdk.ai;
  return {
    agent: await failure(() => chat.chat('nonsense', ask('Hi'))),
    thread: await failure(() => chat.chatInThread(hub.agent_id, 'nonsense', ask('Hi'))),
    messages: await failure(() => chat.chat(hub.agent_id, {})),
    model: await failure(() => chat.chatInThread(hub.agent_id, threadId, ask('/fail provider_unavailable'))),
    stream: await failure(() => chat.stream('nonsense', ask('Hi'))),
    streamInThread: await failure(() => chat.streamInThread(hub.agent_id, 'nonsense', ask('Hi'))),
    again: await chat.chatInThread(hub.agent_id, threadId, ask('again')),
  };
}
