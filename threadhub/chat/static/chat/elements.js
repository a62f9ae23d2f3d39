/** Making DOM nodes. Texts become text nodes, whatever is in them. */

/** `element("p", {class: "x"}, "text", node)`. An attribute that is null or false is left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  send: "M12 20V5M5 12l7-7 7 7",
  stop: "M7 7h10v10H7z",
  attach: "M21 12l-8.5 8.5a5.5 5.5 0 0 1-8-8L13 4a3.7 3.7 0 0 1 5 5l-8.500 8.500a1.800 1.800 0 0 1-2.600-2.600L15 7",
  plus: "M12 5v14M5 12h14",
  list: "M4 6h16M4 12h16M4 18h10",
  close: "M6 6l12 12M18 6L6 18",
  good: "M7 11v9H4v-9zM7 11l4-8a2.500 2.500 0 0 1 2.500 3L13 9h5.500a2 2 0 0 1 2 2.300l-1.200 7A2 2 0 0 1 17.300 20H7",
  bad: "M7 13V4H4v9zM7 13l4 8a2.500 2.500 0 0 0 2.500-3L13 15h5.500a2 2 0 0 0 2-2.300l-1.200-7A2 2 0 0 0 17.300 4H7",
  again: "M20 11a8 8 0 1 0-2.300 6.300M20 4v7h-7",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  chat: "M5 4h14a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2h-7l-5 4v-4H5a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2z",
  back: "M15 5l-7 7 7 7",
  forth: "M9 5l7 7-7 7",
  down: "M12 4v15M5 12l7 7 7-7",
};

/** A picture beside a text that says the same. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "th-icon");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** A button that shows an icon, is called `label`, and does `act`. */
export function iconButton(name, label, act, attributes = {}) {
  const button = element("button", { type: "button", class: "th-tool-button", title: label, "aria-label": label, ...attributes });
  button.append(icon(name));
  button.addEventListener("click", act);
  return button;
}
