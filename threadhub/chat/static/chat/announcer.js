const SENTENCE_END = /[.!?…:]["')\]]*\s|\n/g;
const PAUSE = 1_000;
const KEPT = 6;

/** Reads a growing answer to screen readers, sentence by sentence: each token by itself would be noise. */
export class Announcer {
  #region;
  #heard = "";
  #due = "";
  #timer = null;

  /** `region`: an element with aria-live. */
  constructor(region) {
    this.#region = region;
  }

  hear(piece) {
    this.#heard += piece;
    let end = 0;
    for (const found of this.#heard.matchAll(SENTENCE_END)) end = found.index + found[0].length;
    this.#say(this.#heard.slice(0, end));
    this.#heard = this.#heard.slice(end);
  }

  /** The rest, and a last sentence of ours. */
  finish(sentence) {
    this.#say(`${this.#heard}\n${sentence}`);
    this.#heard = "";
  }

  #say(text) {
    this.#due += text;
    if (this.#due.trim() && this.#timer === null) this.#timer = setTimeout(() => this.#speak(), PAUSE);
  }

  #speak() {
    this.#timer = null;
    const sentence = document.createElement("p");
    sentence.textContent = this.#due.replace(/[*_`#>|~]+/g, " ").replace(/\s+/g, " ").trim();
    this.#due = "";
    this.#region.append(sentence);
    while (this.#region.children.length > KEPT) this.#region.firstElementChild.remove();
  }
}
