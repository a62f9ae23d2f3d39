import { Refused, SessionOver, refusal } from "./failures.js";

/** A visitor's session with one agent: opened, kept in memory, its tokens renewed when they are refused. */
export class Session {
  #base;
  #agentKey;
  #memory;
  #identity;

  /** `base`: the hub's address, without slash at its end. `identity`: {external_ref, identity_proof, …} of a visitor
   * whom the page's server knows, or a function that gives it, or nothing. */
  constructor({ base, agentKey, memory, identity }) {
    this.#base = base;
    this.#agentKey = agentKey;
    this.#memory = memory;
    this.#identity = identity;
  }

  get known() {
    return this.#memory.read().session ?? null;
  }

  /** Forgets, and ends, the session of somebody else than the page says its visitor is. */
  async check() {
    const kept = this.known;
    if (kept && (kept.external_ref ?? null) !== ((await this.#whoever())?.external_ref ?? null)) await this.end();
  }

  /** A new session. Returns the id of its first thread. */
  async open() {
    const body = { agent_key: this.#agentKey, ...(await this.#whoever()) };
    const opened = await this.#json(await this.#fetchHeard("/chat_sessions", { method: "POST", body }));
    const reference = body.external_ref;
    this.#memory.update({ session: { ...tokensOf(opened), id: opened.id, external_ref: reference }, thread: undefined });
    return opened.thread_id;
  }

  /** Logs out, as well as it can. */
  async end() {
    const kept = this.known;
    this.forget();
    if (kept) await this.#fetch(`/chat_sessions/${kept.id}`, { method: "DELETE", token: kept.chat_token }).catch(() => {});
  }

  forget() {
    this.#memory.update({ session: undefined, thread: undefined, pending: undefined });
  }

  /** The session's threads become those of the user whose access token this is. */
  async claim(accessToken) {
    const { id, chat_token } = this.#needed();
    return this.#json(
      await this.#fetch(`/chat_sessions/${id}/claim`, { method: "POST", token: accessToken, body: { chat_token } }),
    );
  }

  /** JSON of an address below the session's. */
  async json(path, options) {
    const response = await this.request(path, options);
    return response.status === 204 ? null : response.json();
  }

  /** A response below the session's address; tokens that are refused are renewed once. Throws Refused, SessionOver. */
  async request(path, options = {}) {
    let kept = this.#needed();
    let response = await this.#fetch(`/chat_sessions/${kept.id}${path}`, { ...options, token: kept.chat_token });
    if (response.status === 401) {
      kept = await this.renew(kept.chat_token);
      response = await this.#fetch(`/chat_sessions/${kept.id}${path}`, { ...options, token: kept.chat_token });
    }
    if (response.status === 401) throw this.#over();
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /** New tokens in the place of those that were refused. Only one tab at a time asks; the others find what it got. */
  async renew(refused = this.#needed().chat_token) {
    const renew = async () => {
      const kept = this.#needed();
      if (kept.chat_token !== refused) return kept;
      const response = await this.#fetch(`/chat_sessions/${kept.id}/refresh`, { method: "POST", token: kept.refresh_token });
      if (response.status === 401) throw this.#over();
      const session = { ...kept, ...tokensOf(await this.#json(response)) };
      this.#memory.update({ session });
      return session;
    };
    return navigator.locks ? navigator.locks.request(`threadhub:${this.#agentKey}`, renew) : renew();
  }

  #needed() {
    const kept = this.known;
    if (!kept) throw new SessionOver();
    return kept;
  }

  #over() {
    this.forget();
    return new SessionOver();
  }

  async #whoever() {
    const given = typeof this.#identity === "function" ? await this.#identity() : this.#identity;
    if (!given) return {};
    const { external_ref, identity_proof, identity_expires_at } = given;
    return { external_ref, identity_proof, identity_expires_at };
  }

  async #json(response) {
    if (!response.ok) throw await refusal(response);
    return response.json();
  }

  /** As #fetch. The browser tells a page that the hub does not let in no more than one that is cut off: so it is asked
   * for something that anybody may ask for. */
  async #fetchHeard(path, options) {
    try {
      return await this.#fetch(path, options);
    } catch (error) {
      const foreign = new URL(this.#base).origin !== location.origin;
      const reached = foreign && (await fetch(`${this.#base}/health`, { mode: "no-cors" }).then(() => true, () => false));
      throw reached ? new Refused({ code: "origin_not_allowed" }) : error;
    }
  }

  async #fetch(path, { method = "GET", body, token, headers = {}, signal } = {}) {
    const all = { ...headers };
    if (token) all.Authorization = `Bearer ${token}`;
    if (body !== undefined) all["Content-Type"] = "application/json";
    try {
      return await fetch(this.#base + path, {
        method,
        headers: all,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        cache: "no-store",
        credentials: "omit",
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Refused({ code: "offline" });
    }
  }
}

function tokensOf({ chat_token, refresh_token }) {
  return { chat_token, refresh_token };
}
