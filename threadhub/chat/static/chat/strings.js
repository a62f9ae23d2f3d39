/** What the chat says. A page says it otherwise with data attributes: `data-string-send="Senden"`, and so on. */

const ENGLISH = {
  title: "Chat",
  about: "",
  launcher: "Open chat",
  closer: "Close chat",
  empty: "Ask a question to begin.",
  transcript: "Messages",
  you: "You",
  agent: "Assistant",
  person: "From a person of our team",
  withPerson: "A person of our team answers here.",
  message: "Message",
  placeholder: "Write a message",
  hint: "Enter sends, Shift and Enter begins a new line.",
  send: "Send",
  stop: "Stop the answer",
  attach: "Attach images or PDF files",
  detach: "Remove {name}",
  tooLarge: "{name} is too large: {limit} MB at most.",
  fresh: "New conversation",
  conversations: "Conversations",
  noConversations: "No conversations yet.",
  untitled: "Untitled",
  earlier: "Earlier messages",
  latest: "To the latest message",
  thinking: "Thinking …",
  answerReady: "The answer is complete.",
  stopped: "Stopped.",
  partial: "This answer was cut short.",
  toolRunning: "running",
  toolDone: "done",
  toolFailed: "failed",
  toolOpen: "waiting",
  arguments: "Arguments",
  result: "Result",
  good: "Good answer",
  bad: "Bad answer",
  regenerate: "Answer again",
  copy: "Copy",
  copied: "Copied",
  version: "Version {at} of {all}",
  previous: "Previous version",
  next: "Next version",
  retry: "Try again",
  reconnecting: "The connection was lost. Trying again …",
  offline: "The connection was lost.",
  failed: "Something went wrong.",
  busy: "An answer is still being written here.",
  later: "Too many questions for now. Please try again later.",
  refused: "This chat is not available on this page.",
  unknownVisitor: "Please sign in to use this chat.",
  over: "This chat has ended.",
  begin: "Begin a new chat",
  approval: "Waiting for a person to approve: {names}",
  clientTools: "The assistant waits for something that this page cannot do: {names}",
};

/** A function from a name, and values for its {places}, to a text. `dataset`: of the element that the page wrote. */
export function stringsOf(dataset) {
  const texts = { ...ENGLISH, title: dataset.title ?? ENGLISH.title };
  for (const name of Object.keys(ENGLISH)) {
    const own = dataset[`string${name[0].toUpperCase()}${name.slice(1)}`];
    if (own !== undefined) texts[name] = own;
  }
  return (name, values = {}) => texts[name].replace(/\{(\w+)\}/g, (place, key) => values[key] ?? place);
}

const BY_CODE = {
  offline: "offline",
  session_over: "over",
  thread_running: "busy",
  rate_limited: "later",
  budget_exceeded: "later",
  too_many_chat_sessions: "later",
  too_many_streams: "later",
  invalid_agent_key: "refused",
  origin_not_allowed: "refused",
  agent_disabled: "refused",
  identity_required: "unknownVisitor",
  invalid_identity_proof: "unknownVisitor",
};

/** A sentence for what went wrong: ours where we have one, else the hub's own. */
export function sentenceOf(say, { code, detail }) {
  return BY_CODE[code] ? say(BY_CODE[code]) : detail || say("failed");
}
