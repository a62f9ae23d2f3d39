/** What can go wrong between the chat and the hub. */

/** The hub refused, or could not be reached (`code` "offline"). */
export class Refused extends Error {
  constructor({ code, message = "", status = 0, retryAfter = 0 }) {
    super(message || code);
    this.code = code;
    this.detail = message;
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed in a moment, without anybody changing anything. */
  get passing() {
    return ["offline", "too_many_streams"].includes(this.code) || [502, 503, 504].includes(this.status);
  }
}

/** The chat session has ended: expired, revoked, or its agent closed to pages. */
export class SessionOver extends Error {
  code = "session_over";
}

export async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  return new Refused({
    code: problem.code ?? `http_${response.status}`,
    message: problem.detail,
    status: response.status,
    retryAfter: Number(response.headers.get("Retry-After")) || 0,
  });
}

const PAUSES = [0.5, 1, 2, 4, 8, 8, 8, 8];

/** How long to wait before the next try, in ms, each time somewhat else, so that not all come at once; null: give up. */
export function pause(tries) {
  const seconds = PAUSES[tries];
  return seconds === undefined ? null : seconds * 1000 * (0.75 + Math.random() / 2);
}

/** Waits; shorter when the network comes back. Rejects when aborted. */
export function rest(ms, signal) {
  return new Promise((resolve, reject) => {
    const done = (settle) => () => {
      clearTimeout(timer);
      window.removeEventListener("online", back);
      signal?.removeEventListener("abort", stop);
      settle();
    };
    const back = done(resolve);
    const stop = done(() => reject(signal.reason));
    const timer = setTimeout(back, ms);
    window.addEventListener("online", back);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
  });
}

/** Calls `attempt` until it succeeds or fails for good; `onTrouble(true)` while it waits for the next try. */
export async function persistently(attempt, { signal, onTrouble }) {
  for (let tries = 0; ; tries += 1) {
    try {
      const result = await attempt();
      if (tries) onTrouble(false);
      return result;
    } catch (error) {
      const ms = error instanceof Refused && error.passing ? pause(tries) : null;
      if (ms === null) {
        onTrouble(false);
        throw error;
      }
      onTrouble(true);
      await rest(ms, signal);
    }
  }
}
