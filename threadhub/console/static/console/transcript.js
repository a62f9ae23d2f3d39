// A conversation as staff read it: windows of it around the reader, what is new while something goes on, words found, keys,
// and answering. Pieces of the page come from the server, escaped and cleaned there; what is put in here is text.
(() => {
  "use strict";

  const MOST_WINDOWS = 6; // in the page at once; each has 50 messages, the newest more while it grows
  const NEAR_END = 160; // pixels from the end within which the view follows what comes
  const BUSY = 1_000; // ms between looks while something is answered
  const IDLE = 4_000; // and while nothing is
  const PATIENCE = 30 * 60_000; // without any sign of the reader the looking stops

  const place = document.querySelector("[data-th-transcript]");
  if (!place) return;
  const find = (selector, root = place) => root.querySelector(selector);
  const older = find("[data-th-older]");
  const newer = find("[data-th-newer]");
  const said = find("[data-th-said]");
  let touched = Date.now();

  const windows = () => [...place.querySelectorAll("[data-th-window]")];
  const messagesIn = (root) => [...root.querySelectorAll(".th-message")];
  const positionOf = (message) => Number(message.dataset.position);

  /** A piece of the page from the server. Parsed apart from the page, so nothing in it is run. */
  async function piece(url) {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    return new DOMParser().parseFromString(await answer.text(), "text/html").body;
  }

  /** A query about this thread: it stays on the branch, and on the list that the reader came from. */
  function kept(query) {
    return `${place.dataset.thHere}${query}`;
  }

  async function windowAt(query) {
    const body = await piece(`${place.dataset.thWindowUrl}?${kept(query)}`);
    const made = document.adoptNode(body.querySelector("[data-th-window]"));
    document.dispatchEvent(new CustomEvent("th:added", { detail: made }));
    return made;
  }

  // --- windows

  /** Does something to the page, and keeps what the reader looks at where it is. */
  function keepingPlace(deed) {
    const anchor = messagesIn(place).find((message) => message.getBoundingClientRect().bottom > 120);
    const before = anchor?.getBoundingClientRect().top;
    deed();
    if (anchor?.isConnected) window.scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: "instant" });
  }

  function spell() {
    const [first] = windows();
    const last = windows().at(-1);
    older.hidden = !first.dataset.older;
    older.search = kept(`before=${first.dataset.older}`);
    newer.hidden = !last.dataset.newer;
    find("[data-th-newer-link]").search = kept(`after=${last.dataset.newer}`);
    mark();
  }

  let loading = false;
  async function grow(way) {
    if (loading) return;
    const edge = way === "older" ? windows()[0] : windows().at(-1);
    const at = way === "older" ? edge.dataset.older : edge.dataset.newer;
    if (!at) return;
    loading = true;
    try {
      const made = await windowAt(way === "older" ? `before=${at}` : `after=${at}`);
      keepingPlace(() => {
        if (way === "older") edge.before(made);
        else edge.after(made);
        edge.dataset[way] = "";
        const all = windows();
        const far = way === "older" ? all.at(-1) : all[0];
        if (all.length > MOST_WINDOWS) drop(far, way === "older" ? "newer" : "older");
        spell();
      });
    } catch {
      say("The messages could not be brought. Scroll on to try again.");
    } finally {
      loading = false;
    }
  }

  /** Takes a window out of the page; its neighbour knows how to bring it back. */
  function drop(far, side) {
    const messages = messagesIn(far);
    const beside = side === "newer" ? far.previousElementSibling : far.nextElementSibling;
    const edge = side === "newer" ? messagesIn(beside).at(-1) : messagesIn(beside)[0];
    if (!edge || !messages.length) return;
    far.remove();
    beside.dataset[side] = String(positionOf(edge));
  }

  const sight = new IntersectionObserver(
    (seen) => seen.forEach((one) => one.isIntersecting && grow(one.target === older ? "older" : "newer")),
    { rootMargin: "600px 0px" },
  );

  /** Shows the message of a position: scrolls to it, or brings the window around it. */
  async function show(position) {
    let target = messagesIn(place).find((message) => positionOf(message) === position);
    if (!target) {
      loading = true;
      try {
        const made = await windowAt(`at=${position}`);
        const [first, ...others] = windows();
        others.forEach((one) => one.remove());
        first.replaceWith(made);
        spell();
      } finally {
        loading = false;
      }
      target = messagesIn(place).findLast((message) => positionOf(message) <= position) ?? messagesIn(place)[0];
    }
    if (!target) return;
    place.querySelectorAll(".th-shown").forEach((one) => one.classList.remove("th-shown"));
    target.classList.add("th-shown");
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "center" });
    history.replaceState(null, "", `?${kept(`at=${position}`)}#${target.id}`);
  }

  // --- words

  /** The words and phrases of a search of the list (search_terms.py reads it alike). */
  function wordsOf(search) {
    return [...search.matchAll(/(-?)"([^"]*)"?|([^\s"]+)/g)]
      .filter(([, minus, , word]) => !minus && !word?.startsWith("-"))
      .map(([, , phrase, word]) => (phrase || word || "").trim().toLowerCase())
      .filter((each) => each && each !== "or");
  }

  let words = wordsOf(place.dataset.thFound || "");

  /** Marks the words that were looked for, without touching what stands there. */
  function mark() {
    if (!window.Highlight) return;
    const ranges = [];
    if (words.length) {
      for (const prose of place.querySelectorAll(".th-bubble")) {
        const walker = document.createTreeWalker(prose, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          const text = node.data.toLowerCase();
          if (text.length !== node.data.length) continue; // letters whose lower case is longer
          for (const word of words) {
            for (let at = text.indexOf(word); at >= 0 && ranges.length < 2_000; at = text.indexOf(word, at + word.length)) {
              const range = new Range();
              range.setStart(node, at);
              range.setEnd(node, at + word.length);
              ranges.push(range);
            }
          }
        }
      }
    }
    CSS.highlights.set("th-words", new Highlight(...ranges));
  }

  async function search(form) {
    const hits = find("[data-th-hits]");
    const term = form.elements.q.value.trim();
    const sought = term.replace(/^"+|"+$/g, "").trim().toLowerCase(); // here it is one piece of text, as the server seeks it
    words = sought ? [sought] : [];
    mark();
    if (term.length < 2) {
      hits.hidden = true;
      return;
    }
    try {
      hits.replaceChildren(...document.adoptNode(await piece(`${form.getAttribute("action")}?${kept(`q=${encodeURIComponent(term)}`)}`)).childNodes);
    } catch {
      hits.textContent = "The search could not be made.";
    }
    hits.hidden = false;
  }

  // --- live

  const now = find("[data-th-now]");
  let state = place.dataset.thState;

  async function look() {
    const answer = await fetch(place.dataset.thLiveUrl, { headers: { Accept: "application/json" } });
    if (answer.status === 403) return shutOut();
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const told = await answer.json();
    const follows = atEnd();
    const changed = state !== told.state;
    const tail = windows().at(-1);
    if (changed && !tail.dataset.newer) await refresh(tail);
    else if (changed && !find("[data-th-empty]")) newer.hidden = false;
    state = told.state;
    if (find("[data-th-reason]", said)) say("");
    tell(told);
    entitle(told.title);
    for (const shown of document.querySelectorAll("[data-th-count]")) {
      const count = told.counts[shown.dataset.thCount];
      if (shown.textContent !== count) shown.textContent = count;
    }
    desk(told.desk);
    if (follows && (changed || told.live)) toEnd();
    return told.live;
  }

  /** Agents name threads while they answer: the tab and the heading follow. */
  function entitle(title) {
    const end = document.title.lastIndexOf(" | ");
    if (document.title.slice(0, end) === title.replace(/\s+/g, " ").trim()) return; // as tabs spell it
    document.title = title + document.title.slice(end);
    const heading = document.querySelector("[data-th-heading]");
    if (heading) heading.textContent = title;
  }

  function tell({ live, waits, status, text }) {
    now.hidden = !live;
    if (!live) return;
    find("[data-th-now-status]").textContent = waits ? "Waits for a person" : text ? "Answering …" : `${status} …`;
    const shown = find("[data-th-now-text]");
    if (shown.textContent !== text) shown.textContent = text;
    shown.hidden = !text || waits;
  }

  /** The newest window as it is now. What was there stays the same element in its place: opened, selected, focused. */
  async function refresh(tail) {
    const [first] = messagesIn(tail);
    const made = await windowAt(`tail=1&after=${first ? positionOf(first) - 1 : 0}`);
    const there = new Map([...tail.children].filter((one) => one.id).map((one) => [one.id, one]));
    const children = [...made.children].map((one) => (isSame(there.get(one.id), one) ? there.get(one.id) : one));
    const kept = new Set(children);
    [...tail.children].filter((one) => !kept.has(one)).forEach((one) => one.remove());
    // An element that is put in again, if only where it was, loses what is selected and focused in it.
    children.forEach((one, at) => tail.children[at] !== one && tail.insertBefore(one, tail.children[at] ?? null));
    tail.dataset.newer = made.dataset.newer;
    find("[data-th-empty]")?.remove();
    document.dispatchEvent(new CustomEvent("th:added", { detail: tail }));
    spell();
  }

  /** Whether an element shows what the newer one does. Messages keep their order; others are known by what is above. */
  function isSame(old, one) {
    if (!old || old.textContent !== one.textContent) return false;
    if (old.querySelectorAll(".th-call, img").length !== one.querySelectorAll(".th-call, img").length) return false;
    return old.matches(".th-message") || old.previousElementSibling?.id === one.previousElementSibling?.id;
  }

  function isWriting() {
    return ["th-answer", "th-note"].some((id) => document.getElementById(id)?.value.trim());
  }

  /** A reason for reading is due again: the page asks for it. What is being written waits while it is given elsewhere. */
  function shutOut() {
    if (!isWriting()) return location.reload();
    if (find("[data-th-reason]", said)) return;
    const link = document.createElement("a");
    link.href = location.href;
    link.target = "_blank";
    link.className = "th-link";
    link.dataset.thReason = "";
    link.textContent = "Say why you read this conversation (in a new tab)";
    said.replaceChildren(link, ", then go on here: what you wrote stays.");
  }

  /** Somebody else took the thread over, or gave it back: the page is made anew, unless something is being written. */
  function desk(who) {
    const shown = find("[data-th-desk]");
    if (!shown || shown.dataset.thDesk === who) return;
    if (!isWriting()) return location.reload();
    say("Who answers in this thread has changed. Reload the page once what you write is sent.");
  }

  async function watch() {
    for (let wait = 0, failures = 0; ; ) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = IDLE;
      if (document.hidden || Date.now() - touched > PATIENCE) continue;
      try {
        wait = (await look()) ? BUSY : IDLE;
        failures = 0;
      } catch {
        failures += 1;
        wait = Math.min(IDLE * 2 ** failures, 60_000);
      }
    }
  }

  function atEnd() {
    const bottom = document.documentElement.scrollHeight - window.scrollY - window.innerHeight;
    return newer.hidden && bottom < NEAR_END;
  }

  function toEnd() {
    window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }

  // --- answering

  async function send(form) {
    const fault = find("[data-th-answer-fault]");
    const button = form.querySelector("[type=submit]");
    fault.textContent = "";
    button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
      if (answer.status === 403) await look().catch(() => {}); // which says so, where a reason for reading is due
      const told = await answer.json().catch(() => ({}));
      if (!answer.ok || answer.redirected) throw new Error(told.error ?? "Your answer was not sent. Try again.");
      form.reset();
      form.elements.sending.value = told.sending; // until now it may have arrived unnoticed, and is said once all the same
      await look().catch(() => {});
      toEnd();
    } catch (error) {
      fault.textContent = error instanceof TypeError ? "The server is away, and your answer may not have arrived. Send it again: it is said once." : error.message;
    } finally {
      button.disabled = false;
      form.elements.text.focus();
    }
  }

  function put(text) {
    const field = find("#th-answer");
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    field.focus();
  }

  // --- keys and buttons

  function say(text) {
    said.textContent = text;
  }

  function here() {
    const message = messagesIn(place).find((one) => one.getBoundingClientRect().bottom > 120);
    const url = new URL(location.pathname, location.href);
    if (message) {
      url.search = `${place.dataset.thBranch}at=${positionOf(message)}`; // without the list: that is the reader's own
      url.hash = message.id;
    }
    return url.href;
  }

  async function copyLink() {
    const link = here();
    try {
      await navigator.clipboard.writeText(link);
      say("The link is copied.");
    } catch {
      say(link); // no clipboard without https: it can be copied by hand
    }
  }

  const KEYS = {
    u: () => find("[data-th-list]").click(),
    J: () => find("[data-th-step=older]").click(),
    K: () => find("[data-th-step=newer]").click(),
    "/": () => find("#th-find").select(),
    g: () => find("#th-goto").select(),
    c: copyLink,
    r: () => find("#th-answer")?.focus(),
  };

  document.addEventListener("keydown", (event) => {
    touched = Date.now();
    const { target } = event;
    if (target.matches?.("#th-answer") && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      target.form.requestSubmit();
      return;
    }
    if (event.key === "Escape" && place.contains(target)) return target.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
    const deed = KEYS[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  });
  document.addEventListener("pointerdown", () => (touched = Date.now()));
  document.addEventListener("scroll", () => (touched = Date.now()), { passive: true });

  place.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-th-find]")) {
      event.preventDefault();
      search(form);
    } else if (form.matches(".th-goto")) {
      event.preventDefault();
      const wanted = Number(form.elements.at.value);
      if (Number.isInteger(wanted) && wanted > 0) show(wanted);
    } else if (form.matches("[data-th-answer]")) {
      event.preventDefault();
      send(form);
    }
  });

  place.addEventListener("click", (event) => {
    const hit = event.target.closest("[data-th-goto-position]");
    if (hit) {
      event.preventDefault();
      show(Number(hit.dataset.thGotoPosition));
    } else if (event.target.closest("[data-th-copy-link]")) copyLink();
    else if (event.target.closest("[data-th-older]") || event.target.closest("[data-th-newer-link]")) {
      event.preventDefault();
      grow(event.target.closest("[data-th-older]") ? "older" : "newer");
    }
  });

  find("[data-th-canned]")?.addEventListener("change", (event) => {
    if (event.target.value) put(event.target.value);
    event.target.value = "";
  });

  document.addEventListener("DOMContentLoaded", () => {
    spell();
    const at = Number(place.dataset.thAt);
    if (at) show(at);
    // Once the page has settled where it opens: else it would begin by bringing what nobody asked for.
    setTimeout(() => [older, newer].forEach((edge) => sight.observe(edge)), 300);
    if (place.dataset.thLiveUrl) watch();
  });
})();
