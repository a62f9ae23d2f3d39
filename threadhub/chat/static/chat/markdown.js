/** Markdown of messages, made of DOM nodes and text only: what a model writes can never become markup, load anything, or
 * lead anywhere but to http, https and mailto. Raw HTML stays text, pictures are named and linked, not drawn. */

import { inline } from "./inline.js";
import { element } from "./elements.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const DELIMITERS = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const DEEPEST = 6; // of quotes and lists in each other; what is deeper is text

/** The line after the block that begins at `at`; the line at `at` is not blank. */
function endOf(lines, at) {
  const first = lines[at];
  const fence = FENCE.exec(first);
  let end = at + 1;
  if (fence) {
    while (end < lines.length && !closes(lines[end], fence[1])) end += 1;
    return Math.min(end + 1, lines.length);
  }
  if (HEADING.test(first) || RULE.test(first)) return end;
  if (QUOTE.test(first)) {
    while (end < lines.length && QUOTE.test(lines[end])) end += 1;
    return end;
  }
  if (ITEM.test(first)) return endOfList(lines, at);
  if (beginsTable(lines, at)) {
    while (end < lines.length && lines[end].includes("|")) end += 1;
    return end;
  }
  while (end < lines.length && lines[end].trim() !== "" && !interrupts(lines, end)) end += 1;
  return end;
}

function closes(line, fence) {
  const text = line.trim();
  return text.length >= fence.length && text === fence[0].repeat(text.length);
}

function interrupts(lines, at) {
  const line = lines[at];
  const item = ITEM.exec(line);
  const list = item && line.length > item[0].length && !/^\d/.test(item[2].replace(/^1[.)]$/, ""));
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || list || beginsTable(lines, at);
}

function beginsTable(lines, at) {
  return lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") && DELIMITERS.test(lines[at + 1]);
}

const indentOf = (line) => line.length - line.trimStart().length;

/** Lists of other bullets, or of numbers, are other lists. */
const kindOf = (marker) => (/\d/.test(marker) ? marker.at(-1) : marker);

function endOfList(lines, at) {
  const [, indent, marker] = ITEM.exec(lines[at]);
  let end = at + 1;
  let blank = false;
  for (let next = end; next < lines.length; next += 1) {
    const line = lines[next];
    if (line.trim() === "") {
      blank = true;
      continue;
    }
    const inside = indentOf(line) >= indent.length + 2;
    const item = RULE.test(line) ? null : ITEM.exec(line);
    if (item && !inside && kindOf(item[2]) !== kindOf(marker)) break;
    if (!item && !inside && (blank || interrupts(lines, next))) break;
    blank = false;
    end = next + 1;
  }
  return end;
}

/** The nodes of a text's blocks. */
export function render(text, depth = 0) {
  const lines = text.split("\n");
  const nodes = [];
  for (let at = 0; at < lines.length; ) {
    if (lines[at].trim() === "") {
      at += 1;
      continue;
    }
    const end = endOf(lines, at);
    nodes.push(block(lines.slice(at, end), depth));
    at = end;
  }
  return nodes;
}

function block(lines, depth) {
  const first = lines[0];
  const fence = FENCE.exec(first);
  if (fence) return codeBlock(lines, fence);
  const heading = HEADING.exec(first);
  // Below the headings of the page: the outline stays one.
  if (heading) return inline(element(`h${Math.min(heading[1].length + 2, 6)}`, { dir: "auto" }), heading[2] ?? "");
  if (RULE.test(first)) return element("hr");
  if (depth < DEEPEST && QUOTE.test(first)) {
    return element("blockquote", {}, ...render(lines.map((line) => line.replace(QUOTE, "")).join("\n"), depth + 1));
  }
  if (depth < DEEPEST && ITEM.test(first)) return list(lines, depth);
  if (beginsTable(lines, 0)) return table(lines);
  return inline(element("p", { dir: "auto" }), lines.map((line) => line.trim()).join("\n"));
}

function codeBlock(lines, [, fence, language]) {
  const closed = lines.length > 1 && closes(lines.at(-1), fence);
  const text = lines.slice(1, closed ? -1 : undefined).join("\n");
  const name = language.trim().split(/\s/)[0].slice(0, 30);
  const code = element("pre", { tabindex: "0" }, element("code", { dir: "ltr" }, text));
  return element("figure", { class: "th-code" }, ...(name ? [element("figcaption", {}, name)] : []), code);
}

function list(lines, depth) {
  const ordered = /\d/.test(ITEM.exec(lines[0])[2]);
  const made = element(ordered ? "ol" : "ul", { dir: "auto" });
  if (ordered && Number.parseInt(lines[0], 10) !== 1) made.start = Number.parseInt(lines[0], 10);
  let item = [];
  const close = () => {
    const nodes = render(item.join("\n"), depth + 1);
    // The only paragraph of an item stands in it as it is.
    const content = nodes[0]?.tagName === "P" ? [...nodes[0].childNodes, ...nodes.slice(1)] : nodes;
    made.append(element("li", {}, ...content));
  };
  let width = 0;
  for (const line of lines) {
    const marker = ITEM.exec(line);
    if (marker && (!item.length || indentOf(line) < Math.max(width, 2))) {
      if (item.length) close();
      width = Math.min(marker[0].length, marker[1].length + marker[2].length + 1);
      item = [line.slice(marker[0].length)];
    } else {
      item.push(line.slice(Math.min(indentOf(line), width)));
    }
  }
  close();
  return made;
}

function table(lines) {
  const aligned = cells(lines[1]).map((cell) => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "end") : "start"));
  const row = (line, tag) => {
    const texts = cells(line).slice(0, aligned.length);
    return element("tr", {}, ...aligned.map((align, at) => inline(element(tag, { class: `th-${align}` }), texts[at] ?? "")));
  };
  const body = lines.slice(2).map((line) => row(line, "td"));
  const made = element("table", {}, element("thead", {}, row(lines[0], "th")), element("tbody", {}, ...body));
  return element("div", { class: "th-table", tabindex: "0" }, made);
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** A text that grows: only what its new end changes is made anew, so nothing that stands flickers or loses its place. */
export class GrowingText {
  text = "";
  #parent;
  #open = 0; // where the first block begins that what is to come may still change
  #nodes = []; // from there on

  constructor(parent) {
    this.#parent = parent;
  }

  append(piece) {
    this.text += piece;
  }

  draw() {
    const lines = this.text.slice(this.#open).split("\n");
    const made = [];
    let firm = 0; // so many of them are final
    let open = 0; // and end at this line
    for (let at = 0; at < lines.length; ) {
      if (lines[at].trim() === "") {
        at += 1;
        continue;
      }
      // Two whole lines decide what a block is: the second may make a table of the first.
      if (made.length && lines.length - at > 2) [firm, open] = [made.length, at];
      const end = endOf(lines, at);
      made.push(block(lines.slice(at, end), 0));
      at = end;
    }
    this.#show(made);
    this.#nodes = this.#nodes.slice(firm);
    this.#open += lines.slice(0, open).reduce((length, line) => length + line.length + 1, 0);
  }

  #show(made) {
    const kept = made.map((node, at) => (this.#nodes[at]?.isEqualNode(node) ? this.#nodes[at] : node));
    this.#nodes.forEach((old, at) => {
      if (old !== kept[at]) kept[at] ? old.replaceWith(kept[at]) : old.remove();
    });
    this.#parent.append(...kept.slice(this.#nodes.length));
    this.#nodes = kept;
  }
}
