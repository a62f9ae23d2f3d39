/** The chat page: the chat fills it. */

import { Chat } from "./chat.js";

const root = document.getElementById("chat");
const base = new URL("../..", import.meta.url).href.replace(/\/$/, "");
const chat = new Chat(root, { base, dataset: root.dataset });
chat.focus();
chat.begin();
