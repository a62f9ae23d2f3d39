import { Refused, SessionOver, pause, rest } from "./failures.js";

// The hub pings every 15 seconds: a connection that is silent for longer than this is dead, whatever the browser thinks.
const SILENCE = 40_000;

/** The server-sent events of a response: {id, name, data}. EventSource would not do: it cannot POST or authorize. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = {};
  try {
    for (;;) {
      const { value, done } = await beforeSilence(reader.read());
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line !== "") take(event, line);
        else if (event.name) {
          yield { id: event.id, name: event.name, data: JSON.parse(event.data) };
          event = {};
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function take(event, line) {
  const [, field, value] = /^([a-z]*): ?(.*?)\r?$/.exec(line) ?? [];
  if (field === "id") event.id = Number(value);
  else if (field === "event") event.name = value;
  else if (field === "data") event.data = (event.data === undefined ? "" : `${event.data}\n`) + value;
}

function beforeSilence(reading) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Refused({ code: "offline" })), SILENCE);
  });
  return Promise.race([reading, silence]).finally(() => clearTimeout(timer));
}

/** Tells `onEvent` every event of a run exactly once, to its end, over cut connections and restarted servers.
 *
 * `path`: the run's events, below the session's address. `response`: a stream that is open already. Throws Refused when
 * the hub stays away or knows no such run, SessionOver.
 */
export async function follow(session, { path, response, signal, onEvent, onTrouble }) {
  let last = 0;
  let tries = 0;
  for (;;) {
    try {
      response ??= await session.request(path, {
        signal,
        headers: { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": String(last) } : {}) },
      });
      for await (const event of eventsOf(response)) {
        if (tries) onTrouble(false);
        tries = 0;
        if (event.id === undefined) {
          // Said by no run: the session has ended. Where it has not (a renewed one), it is asked again.
          await session.renew();
          break;
        }
        if (event.id <= last) continue;
        last = event.id;
        onEvent(event);
        if (event.name === "message_stop") return event.data;
      }
    } catch (error) {
      if (signal?.aborted || error instanceof SessionOver) throw error;
      if (error instanceof Refused && !error.passing) throw error;
    }
    response = undefined;
    const ms = pause(tries);
    tries += 1;
    if (ms === null) {
      onTrouble(false);
      throw new Refused({ code: "offline" });
    }
    onTrouble(true);
    await rest(ms, signal);
  }
}
