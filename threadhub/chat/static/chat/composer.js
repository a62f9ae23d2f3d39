import { element, icon, iconButton } from "./elements.js";

const TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"];
const MOST_BYTES = 7 * 2 ** 20; // of all files of one question: as base64 they fit into one request
const DOUBLE_CLICK = 600; // ms: the second click of one that was meant for "send" must not stop the answer

/** Where the visitor writes: text, files, and the button that sends, or stops the answer. */
export class Composer {
  #say;
  #files = [];
  #busy = false;
  #sent = -Infinity;
  #stop;

  /** `send({text, documents})`, `stop()`. */
  constructor(say, { send, stop }) {
    this.#say = say;
    this.#stop = stop;
    this.text = element("textarea", {
      id: "th-text", rows: "1", "aria-label": say("message"), "aria-describedby": "th-hint", placeholder: say("placeholder"),
      enterkeyhint: "send", dir: "auto", maxlength: "100000",
    });
    this.picker = element("input", { type: "file", multiple: true, accept: TYPES.join(","), hidden: true });
    this.chips = element("ul", { class: "th-files" });
    this.note = element("p", { class: "th-note", role: "status" });
    this.button = element("button", { type: "submit", class: "th-send", title: say("send"), "aria-label": say("send") }, icon("send"));
    const line = element("div", { class: "th-line" }, iconButton("attach", say("attach"), () => this.picker.click()), this.picker, this.text, this.button);
    this.node = element("form", { class: "th-form" }, this.chips, this.note, line, element("p", { id: "th-hint", class: "th-hint" }, say("hint")));
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(send);
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.#busy) this.#submit(send);
    });
    this.text.addEventListener("input", () => this.#fit());
    this.picker.addEventListener("change", () => this.#attach([...this.picker.files]));
  }

  set busy(busy) {
    this.#busy = busy;
    const name = busy ? "stop" : "send";
    this.button.replaceChildren(icon(name));
    this.button.title = this.#say(name);
    this.button.setAttribute("aria-label", this.#say(name));
    this.button.classList.toggle("th-stop", busy);
  }

  set enabled(enabled) {
    for (const one of [this.text, this.button, this.picker]) one.disabled = !enabled;
  }

  /** Brings back what could not be sent. */
  restore(text) {
    if (!this.text.value) this.text.value = text;
    this.#fit();
  }

  focus() {
    this.text.focus();
  }

  #submit(send) {
    if (this.#busy) {
      if (performance.now() - this.#sent > DOUBLE_CLICK) this.#stop();
      return;
    }
    const text = this.text.value.trim();
    if (!text) return;
    const documents = this.#files.map(({ url, filename }) => ({ url, filename }));
    this.#files = [];
    this.#list();
    this.text.value = "";
    this.#fit();
    this.#sent = performance.now();
    send({ text, documents });
  }

  async #attach(chosen) {
    this.note.textContent = "";
    for (const file of chosen) {
      const all = this.#files.reduce((sum, one) => sum + one.size, file.size);
      if (!TYPES.includes(file.type) || all > MOST_BYTES) {
        this.note.textContent = this.#say("tooLarge", { name: file.name, limit: MOST_BYTES / 2 ** 20 });
        continue;
      }
      this.#files.push({ url: await dataUrl(file), filename: file.name, size: file.size });
    }
    this.picker.value = "";
    this.#list();
    this.text.focus();
  }

  #list() {
    this.chips.replaceChildren(
      ...this.#files.map((file) => {
        const remove = () => {
          this.#files = this.#files.filter((one) => one !== file);
          this.#list();
          this.text.focus();
        };
        const button = iconButton("close", this.#say("detach", { name: file.filename }), remove);
        return element("li", { class: "th-file" }, file.filename, button);
      }),
    );
  }

  /** As high as its text, within bounds that the style sets. */
  #fit() {
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}
