/** The widget: a button in the corner of somebody's page, and the chat in a panel. It stands in a shadow tree, so that
 * neither's styles reach the other; it asks the hub as the page does, by the page's own origin. */

import { Chat } from "./chat.js";
import { element, icon } from "./elements.js";
import { stringsOf } from "./strings.js";

const base = new URL("../..", import.meta.url).href.replace(/\/$/, "");

/** `dataset`: the data attributes of the script's element. */
export function embed(dataset) {
  const own = (window.threadhub ??= {});
  const say = stringsOf(dataset);
  const host = element("div", { id: "threadhub-chat", lang: dataset.lang ?? null });
  const shadow = host.attachShadow({ mode: "open" });
  const launcher = element("button", { type: "button", class: "th-launcher", "aria-expanded": "false", "aria-controls": "th-panel", "aria-label": say("launcher") }, icon("chat"));
  const panel = element("div", { id: "th-panel", class: "th-chat th-panel", role: "dialog", "aria-label": say("title"), hidden: true });
  const frame = element("div", { class: "th-widget", "data-theme": dataset.theme ?? null, "data-position": dataset.position ?? null }, panel, launcher);
  const style = element("link", { rel: "stylesheet", crossorigin: "anonymous", href: `${base}/static/chat/chat.css` });
  // Unstyled it would be a broken corner of the page: it shows itself once it can.
  frame.hidden = true;
  style.addEventListener("load", () => {
    frame.hidden = false;
    if (dataset.open !== undefined) open({ focus: false });
  });
  shadow.append(style, frame);

  let chat = null;
  const open = ({ focus = true } = {}) => {
    if (!chat) {
      chat = new Chat(panel, { base, dataset, identity: own.identity, onClose: close });
      chat.begin();
    }
    panel.hidden = false;
    launcher.setAttribute("aria-expanded", "true");
    launcher.setAttribute("aria-label", say("closer"));
    if (focus) chat.focus();
  };
  const close = () => {
    panel.hidden = true;
    launcher.setAttribute("aria-expanded", "false");
    launcher.setAttribute("aria-label", say("launcher"));
    launcher.focus();
  };
  launcher.addEventListener("click", () => (panel.hidden ? open() : close()));
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) close();
  });
  document.body.append(host);
  Object.assign(own, { open, close, claim: (accessToken) => chat?.claim(accessToken) });
}
