/** What the chat remembers over reloads and shares between tabs: one JSON object per agent in localStorage. Where the
 * browser gives none (third-party frames, private windows), it lasts as long as the page. */
export class Memory {
  #key;
  #fallback = {};

  constructor(key) {
    this.#key = key;
  }

  read() {
    try {
      return JSON.parse(localStorage.getItem(this.#key)) ?? {};
    } catch {
      return this.#fallback;
    }
  }

  /** Changes some fields of what is stored now, by whichever tab; undefined removes one. */
  update(changes) {
    const all = { ...this.read(), ...changes };
    this.#fallback = all;
    try {
      localStorage.setItem(this.#key, JSON.stringify(all));
    } catch {
      // Full or forbidden: the fallback has it.
    }
  }

  /** Calls back with old and new when another tab has changed something. */
  onChange(callback) {
    window.addEventListener("storage", (event) => {
      if (event.key === this.#key) callback(JSON.parse(event.oldValue) ?? {}, this.read());
    });
  }
}
