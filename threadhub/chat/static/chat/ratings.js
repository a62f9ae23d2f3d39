const KEPT = 200;

/** What the visitor thinks of answers: told to the hub, and remembered here to be shown. */
export class Ratings {
  #session;
  #memory;

  constructor(session, memory) {
    this.#session = session;
    this.#memory = memory;
  }

  /** 1, -1 or null. */
  of(id) {
    return this.#memory.read().ratings?.[id] ?? null;
  }

  /** `rating`: 1 or -1; null takes it back. */
  async give(thread, id, rating) {
    const path = `/threads/${thread}/messages/${id}/feedback`;
    if (rating === null) await this.#session.json(path, { method: "DELETE" });
    else await this.#session.json(path, { method: "PUT", body: { rating } });
    const others = Object.entries(this.#memory.read().ratings ?? {}).filter(([each]) => each !== id);
    const all = rating === null ? others : [...others, [id, rating]];
    this.#memory.update({ ratings: Object.fromEntries(all.slice(-KEPT)) });
  }
}
