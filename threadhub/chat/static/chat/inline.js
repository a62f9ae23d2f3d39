import { element } from "./elements.js";

const SPECIAL = /[\\`*_~[!<\n]|https?:\/\//g;
const SCHEMES = ["http:", "https:", "mailto:"];
const LONGEST = 20_000; // characters; longer paragraphs are shown as they are
const LABEL = 2_000; // of a link
const DEEPEST = 8;

/** Appends a paragraph's text to `parent`, and returns it. */
export function inline(parent, text) {
  if (text.length > LONGEST) parent.append(text);
  else new Reader(text, 0).readInto(parent);
  return parent;
}

/** The address as the browser understands it, or null where it may not be followed. */
export function safeAddress(text) {
  if (!/^(https?:\/\/|mailto:)/i.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  return SCHEMES.includes(url.protocol) ? url.href : null;
}

function link(address) {
  return element("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" });
}

class Reader {
  #text;
  #depth;
  #at = 0;
  #missing = new Set(); // marks that close nowhere in the rest

  constructor(text, depth) {
    this.#text = text;
    this.#depth = depth;
  }

  readInto(parent) {
    let plain = "";
    const say = (node) => {
      if (plain) parent.append(plain);
      plain = "";
      parent.append(node);
    };
    while (this.#at < this.#text.length) {
      SPECIAL.lastIndex = this.#at;
      const found = SPECIAL.exec(this.#text);
      const until = found ? found.index : this.#text.length;
      plain += this.#text.slice(this.#at, until);
      this.#at = until;
      if (!found) break;
      const node = this.#depth < DEEPEST ? this.#special(found[0]) : null;
      if (node === null) {
        plain += found[0];
        this.#at += found[0].length;
      } else if (typeof node === "string") plain += node;
      else say(node);
    }
    if (plain) parent.append(plain);
  }

  /** What begins here, read to its end; null where the mark is only text. */
  #special(mark) {
    switch (mark) {
      case "\n":
        return this.#past(1, element("br"));
      case "\\":
        return /[!-/:-@[-`{-~]/.test(this.#text[this.#at + 1] ?? "") ? this.#past(2, this.#text[this.#at + 1]) : null;
      case "`":
        return this.#code();
      case "*":
      case "_":
      case "~":
        return this.#emphasis(mark);
      case "[":
        return this.#link(this.#at, false);
      case "!":
        return this.#text[this.#at + 1] === "[" ? this.#link(this.#at + 1, true) : null;
      case "<":
        return this.#bracketed();
      default:
        return this.#bare();
    }
  }

  #past(length, result) {
    this.#at += length;
    return result;
  }

  #code() {
    const ticks = /^`+/.exec(this.#text.slice(this.#at, this.#at + 100))[0];
    if (this.#missing.has(ticks)) return null;
    let end = this.#text.indexOf(ticks, this.#at + ticks.length);
    while (end >= 0 && this.#text[end + ticks.length] === "`") {
      while (this.#text[end] === "`") end += 1;
      end = this.#text.indexOf(ticks, end);
    }
    if (end < 0) {
      this.#missing.add(ticks);
      return this.#past(ticks.length, ticks);
    }
    const inside = this.#text.slice(this.#at + ticks.length, end).replaceAll("\n", " ");
    return this.#past(end + ticks.length - this.#at, element("code", { dir: "ltr" }, inside.replace(/^ (.*) $/, "$1")));
  }

  #emphasis(mark) {
    const double = this.#text[this.#at + 1] === mark;
    if (mark === "~" && !double) return null;
    const delimiter = double ? mark + mark : mark;
    const from = this.#at + delimiter.length;
    const before = this.#text[this.#at - 1] ?? " ";
    if (this.#missing.has(delimiter) || /\s|^$/.test(this.#text[from] ?? "")) return null;
    if (mark === "_" && /\w/.test(before)) return null;
    let end = this.#text.indexOf(delimiter, from + 1);
    while (end >= 0 && !this.#mayClose(end, delimiter)) end = this.#text.indexOf(delimiter, end + 1);
    if (end < 0) {
      this.#missing.add(delimiter);
      return null;
    }
    const made = element(mark === "~" ? "del" : double ? "strong" : "em");
    new Reader(this.#text.slice(from, end), this.#depth + 1).readInto(made);
    return this.#past(end + delimiter.length - this.#at, made);
  }

  #mayClose(at, delimiter) {
    const after = this.#text[at + delimiter.length] ?? " ";
    if (/[\s\\]/.test(this.#text[at - 1])) return false;
    if (delimiter.length === 1 && (after === delimiter || this.#text[at - 1] === delimiter)) return false;
    return delimiter[0] !== "_" || !/\w/.test(after);
  }

  #link(at, picture) {
    const label = bracketedLabel(this.#text, at);
    if (label === null) return null;
    const rest = this.#text.slice(at + label.length + 2, at + label.length + 2 + LABEL);
    const target = /^\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/.exec(rest);
    if (!target) return null;
    const length = at - this.#at + label.length + 2 + target[0].length;
    const address = safeAddress(target[1]);
    if (address === null) return this.#past(length, `${label} (${target[1]})`);
    const made = link(address);
    if (picture) made.append(`[image: ${label || address}]`);
    else new Reader(label, this.#depth + 4).readInto(made);
    if (!made.textContent.trim()) made.append(address);
    return this.#past(length, made);
  }

  #bracketed() {
    const found = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i.exec(this.#text.slice(this.#at, this.#at + LABEL));
    const address = found && safeAddress(found[1]);
    if (!address) return null;
    const made = link(address);
    made.append(found[1]);
    return this.#past(found[0].length, made);
  }

  #bare() {
    let found = /^https?:\/\/[^\s<>"`*]+/.exec(this.#text.slice(this.#at, this.#at + LABEL))?.[0] ?? "";
    found = found.replace(/[.,;:!?'_~\]]+$/, "");
    while (found.endsWith(")") && found.split(")").length > found.split("(").length) found = found.slice(0, -1);
    const address = this.#depth < 4 ? safeAddress(found) : null; // no link in a link
    if (!address) return null;
    const made = link(address);
    made.append(found);
    return this.#past(found.length, made);
  }
}

/** The text between this bracket and the one that closes it; null where none does. */
function bracketedLabel(text, at) {
  let open = 0;
  for (let end = at; end < text.length && end - at < LABEL; end += 1) {
    if (text[end] === "\\") end += 1;
    else if (text[end] === "[") open += 1;
    else if (text[end] === "]" && (open -= 1) === 0) return text.slice(at + 1, end);
  }
  return null;
}
