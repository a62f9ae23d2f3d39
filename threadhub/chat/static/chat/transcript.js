import { Answer, question } from "./answer.js";
import { element, iconButton } from "./elements.js";

const NEAR = 80; // pixels from the end within which the view follows what grows

/** The questions and answers on the screen. */
export class Transcript {
  #say;
  #deeds;
  #openFile;
  #follows = true;
  #answers = [];

  /** `deeds`: of answers (answer.js). `openFile(file)`; `earlier()` brings what comes before. */
  constructor(say, { deeds, openFile, earlier }) {
    this.#say = say;
    this.#deeds = deeds;
    this.#openFile = openFile;
    this.list = element("ol", { class: "th-messages" });
    this.empty = element("div", { class: "th-empty" }, element("p", {}, say("about") || say("empty")));
    this.earlier = element("button", { type: "button", class: "th-button", hidden: true }, say("earlier"));
    this.earlier.addEventListener("click", earlier);
    this.scroll = element("section", { class: "th-scroll", tabindex: "0", role: "log", "aria-live": "off", "aria-label": say("transcript") }, this.empty, this.earlier, this.list);
    this.latest = iconButton("down", say("latest"), () => this.toEnd(), { class: "th-latest", hidden: true });
    this.node = element("div", { class: "th-middle" }, this.scroll, this.latest);
    this.scroll.addEventListener("scroll", () => this.#look(), { passive: true });
    this.list.addEventListener("grown", () => this.#keepUp());
    new ResizeObserver(() => this.#keepUp()).observe(this.scroll);
  }

  clear() {
    this.list.replaceChildren();
    this.empty.hidden = false;
    this.earlier.hidden = true;
    this.#follows = true;
  }

  ask(asked) {
    this.list.append(question(this.#say, { files: [], ...asked, open: this.#openFile }));
    this.empty.hidden = true;
    this.toEnd();
  }

  /** A new answer at the end. */
  answer() {
    const answer = new Answer(this.#say, this.#deeds);
    this.list.append(answer.node);
    this.#answers.push(answer);
    this.empty.hidden = true;
    this.toEnd();
    return answer;
  }

  /** Whether the message of this id ends an answer on the screen. */
  has(id) {
    return this.#shown().some((answer) => answer.id === id);
  }

  /** Shows what the visitor thinks of the answers now: it may have been said in another tab, or while they were loaded. */
  mark() {
    for (const answer of this.#shown()) answer.mark();
  }

  #shown() {
    this.#answers = this.#answers.filter((answer) => answer.node.isConnected);
    return this.#answers;
  }

  /** Takes this answer away, and all that comes after it. */
  cutAt(answer) {
    while (this.list.lastElementChild && this.list.lastElementChild !== answer.node) this.list.lastElementChild.remove();
    answer.node.remove();
  }

  /** Messages as the hub keeps them, oldest first, before those that are here. `branch`: the number that is read. */
  prepend(messages, branch) {
    const height = this.scroll.scrollHeight;
    const nodes = [];
    let answer = null;
    let files = [];
    const answered = () => {
      if (answer) answer.finish(answer.ending);
      answer = null;
    };
    const asked = (text) => {
      if (text || files.length) nodes.push(question(this.#say, { text, files, open: this.#openFile }));
      files = [];
    };
    for (const message of messages) {
      if (message.role === "user") {
        answered();
        files.push(...message.documents);
        if (message.message_type === "text") asked(message.content ?? "");
      } else if (message.role === "assistant" || message.role === "tool") {
        asked("");
        if (answer && answer.runId !== message.run_id) answered();
        if (!answer) {
          answer = new Answer(this.#say, this.#deeds);
          answer.runId = message.run_id;
          answer.ending = {};
          nodes.push(answer.node);
          this.#answers.push(answer);
        }
        this.#tell(answer, message, branch);
      }
    }
    answered();
    asked("");
    this.list.prepend(...nodes);
    this.empty.hidden = this.list.childElementCount > 0;
    if (this.#follows) this.toEnd();
    else this.scroll.scrollTop += this.scroll.scrollHeight - height;
  }

  #tell(answer, message, branch) {
    if (message.role === "tool") {
      const content = message.tool_result ?? message.content ?? "";
      answer.result(message.tool_call_id, content, Boolean(content?.error));
      return;
    }
    if (message.content) answer.write(message.content, message.author);
    for (const call of message.tool_calls ?? []) answer.call(call.id, call.name, call.arguments);
    answer.id = message.id;
    answer.ending = { note: message.partial ? this.#say("partial") : null, versions: message.branches ?? [], number: branch };
  }

  toEnd() {
    this.#follows = true;
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.latest.hidden = true;
  }

  #keepUp() {
    if (this.#follows) this.toEnd();
    else this.#look();
  }

  #look() {
    const left = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight;
    this.#follows = left < NEAR;
    this.latest.hidden = this.#follows;
  }
}
