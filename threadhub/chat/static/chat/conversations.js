import { element } from "./elements.js";

/** The list of the visitor's own threads, to go back to. */
export class Conversations {
  #say;
  #choose;

  /** `button` opens and closes it; `choose(thread id)`. */
  constructor(say, { button, choose }) {
    this.#say = say;
    this.#choose = choose;
    this.button = button;
    this.list = element("ul", {});
    this.node = element("nav", { class: "th-list", id: "th-list", hidden: true, "aria-label": say("conversations") }, this.list);
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-controls", "th-list");
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // it closes this list, not the whole chat
      this.close();
    });
  }

  get isOpen() {
    return !this.node.hidden;
  }

  /** `threads`: as the hub lists them, newest first. `current`: the id of the one that is shown. */
  open(threads, current) {
    const asked = threads.filter((thread) => thread.messages_count > 0);
    const rows = asked.map((thread) => {
      const button = element(
        "button",
        { type: "button", "aria-current": thread.id === current ? "true" : null, dir: "auto" },
        nameOf(thread) || this.#say("untitled"),
      );
      button.addEventListener("click", () => {
        this.close();
        this.#choose(thread.id);
      });
      return element("li", {}, button);
    });
    this.list.replaceChildren(...(rows.length ? rows : [element("li", {}, this.#say("noConversations"))]));
    this.node.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.list.querySelector("button")?.focus();
  }

  close() {
    this.node.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    this.button.focus();
  }
}

function nameOf(thread) {
  return thread.title || thread.messages.find((message) => message.role === "user" && message.content)?.content.slice(0, 80);
}
