import { element, iconButton } from "./elements.js";
import { GrowingText } from "./markdown.js";

const SHOWN = 20_000; // characters of a tool's arguments or result

/** One answer: its texts and tool calls in their order, and what can be done with it. */
export class Answer {
  id = null;
  runId = null;
  text = "";
  #author = null;
  #say;
  #deeds;
  #body = element("div", { class: "th-body" });
  #foot = element("div", { class: "th-foot" });
  #texts = new Map();
  #calls = new Map();
  #frame = null;
  #mark = () => {};

  /** `deeds`: {rate(answer, rating), again(answer), version(answer, number), ratingOf(id)}. */
  constructor(say, deeds) {
    this.#say = say;
    this.#deeds = deeds;
    this.node = element(
      "li",
      { class: "th-message th-answer", "data-role": "assistant" },
      element("h2", { class: "th-sr" }, say("agent")),
      this.#body,
      this.#foot,
    );
  }

  /** Before the first word. */
  think() {
    this.node.setAttribute("aria-busy", "true");
    this.#body.append(element("p", { class: "th-thinking" }, this.#say("thinking")));
  }

  /** Empty again, for a run that is told from its beginning. */
  clear() {
    this.#body.replaceChildren();
    this.#foot.replaceChildren();
    this.#texts.clear();
    this.#calls.clear();
    this.#author = null;
    this.text = "";
  }

  /** One event of the run's stream. Returns the piece of text that it brought. */
  take({ name, data }) {
    switch (name) {
      case "message_start":
        this.id = data.message.id;
        return "";
      case "message_id":
        this.id = data.message_id;
        return "";
      case "content_block_start":
        this.#begin(data.index, data.content_block);
        return "";
      case "content_block_delta":
        this.#write(data.index, data.delta.text);
        return data.delta.text;
      case "tool_result":
        this.result(data.tool_use_id, data.content, data.is_error);
        return "";
      default:
        return "";
    }
  }

  #begin(index, block) {
    if (block.type === "tool_use") this.call(block.id, block.name, block.input);
    else this.#texts.set(index, this.#newText(block.author));
  }

  /** Nothing was said and nothing done in it. */
  get empty() {
    return !this.text && !this.#calls.size;
  }

  #newText(author = null) {
    this.#body.querySelector(".th-thinking")?.remove();
    if (author !== this.#author && author === "person") this.#body.append(element("p", { class: "th-author" }, this.#say("person")));
    this.#author = author;
    const part = element("div", { class: "th-text" });
    this.#body.append(part);
    return new GrowingText(part);
  }

  #write(index, piece) {
    if (!this.#texts.has(index)) this.#texts.set(index, this.#newText());
    this.#texts.get(index).append(piece);
    this.text += piece;
    this.#frame ??= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = null;
    this.#texts.forEach((text) => text.draw());
    this.#grown();
  }

  #grown() {
    this.node.dispatchEvent(new Event("grown", { bubbles: true }));
  }

  /** A whole text at once. */
  write(text, author = null) {
    const whole = this.#newText(author);
    whole.append(text);
    whole.draw();
    this.text += text;
  }

  call(id, name, input) {
    if (this.#calls.has(id)) return; // a run that goes on tells the calls of the one before again
    this.#body.querySelector(".th-thinking")?.remove();
    const state = element("span", { class: "th-state" }, this.#say("toolRunning"));
    const summary = element("summary", {}, element("code", {}, name), " ", state);
    const details = element("details", { class: "th-call" }, summary, ...this.#shown("arguments", input));
    this.#calls.set(id, { details, state, name });
    this.#body.append(details);
  }

  result(id, content, failed) {
    const call = this.#calls.get(id);
    if (!call) return;
    call.done = true;
    call.state.textContent = this.#say(failed ? "toolFailed" : "toolDone");
    call.details.classList.toggle("th-failed", Boolean(failed));
    call.details.append(...this.#shown("result", content));
  }

  #shown(title, value) {
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const pre = element("pre", { tabindex: "0", dir: "auto" }, text.length > SHOWN ? `${text.slice(0, SHOWN)} …` : text);
    return [element("h3", {}, this.#say(title)), pre];
  }

  /** Shows what the visitor thinks of it now. */
  mark() {
    this.#mark();
  }

  /** Nothing more comes. `note` says why it ends where it does. */
  finish({ note = null, versions = [], number = 1 } = {}) {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#draw();
    this.node.removeAttribute("aria-busy");
    this.#body.querySelector(".th-thinking")?.remove();
    for (const call of this.#calls.values()) if (!call.done) call.state.textContent = this.#say("toolOpen");
    this.#foot.replaceChildren(...(note ? [element("p", { class: "th-note" }, note)] : []));
    if (this.id && this.text) this.#foot.append(this.#buttons(versions, number));
    this.#grown();
  }

  /** An error in the place of what is missing, with a way to go on. */
  fail(sentence, retry) {
    this.finish();
    const button = element("button", { type: "button", class: "th-button" }, this.#say("retry"));
    button.addEventListener("click", retry, { once: true });
    this.#foot.prepend(element("div", { class: "th-error", role: "alert" }, element("p", {}, sentence), button));
    this.#grown();
  }

  #buttons(versions, number) {
    const say = this.#say;
    const row = element("div", { class: "th-row", role: "group" });
    const rate = (rating) => () => this.#deeds.rate(this, this.#deeds.ratingOf(this.id) === rating ? null : rating);
    const good = iconButton("good", say("good"), rate(1), { "aria-pressed": "false" });
    const bad = iconButton("bad", say("bad"), rate(-1), { "aria-pressed": "false" });
    this.#mark = () => {
      const rating = this.#deeds.ratingOf(this.id);
      good.setAttribute("aria-pressed", String(rating === 1));
      bad.setAttribute("aria-pressed", String(rating === -1));
    };
    this.mark();
    row.append(this.#copyButton(), good, bad, iconButton("again", say("regenerate"), () => this.#deeds.again(this), { class: "th-tool-button th-again" }));
    if (versions.length > 1) row.append(...this.#pager([...versions].sort((a, b) => a - b), number));
    return row;
  }

  #copyButton() {
    const copied = () => {
      button.title = this.#say("copied");
      button.classList.add("th-done");
    };
    const button = iconButton("copy", this.#say("copy"), () => navigator.clipboard?.writeText(this.text).then(copied));
    return button;
  }

  #pager(versions, number) {
    const at = Math.max(0, versions.indexOf(number));
    const to = (target) => () => this.#deeds.version(this, target);
    const back = iconButton("back", this.#say("previous"), to(versions[at - 1]), { disabled: at === 0 });
    const forth = iconButton("forth", this.#say("next"), to(versions[at + 1]), { disabled: at === versions.length - 1 });
    const label = this.#say("version", { at: at + 1, all: versions.length });
    return [back, element("span", { class: "th-version" }, label), forth];
  }
}

/** A question: its text and the names of its files. `open(file)` brings a file that the hub keeps. */
export function question(say, { text, files, open }) {
  const names = files.map((file) => {
    const button = element("button", { type: "button", class: "th-file", disabled: !file.url }, file.filename);
    button.addEventListener("click", () => open(file));
    return element("li", {}, button);
  });
  return element(
    "li",
    { class: "th-message th-question", "data-role": "user" },
    element("h2", { class: "th-sr" }, say("you")),
    ...(names.length ? [element("ul", { class: "th-files" }, ...names)] : []),
    ...(text ? [element("p", { class: "th-asked", dir: "auto" }, text)] : []),
  );
}
