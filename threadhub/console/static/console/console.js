// The console's own script: times in the reader's zone, copying, keys. It writes text only, never markup.
(() => {
  "use strict";

  const spell = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  // The days of filters are the reader's too (console/zone.py).
  function tellZone() {
    const zone = spell.resolvedOptions().timeZone;
    const path = location.pathname.replace(/\/admin\/.*$/, "/admin/");
    const secure = location.protocol === "https:" ? "; Secure" : "";
    if (zone && !document.cookie.split("; ").includes(`th_zone=${zone}`)) {
      document.cookie = `th_zone=${zone}; path=${path}; max-age=31536000; SameSite=Lax${secure}`;
    }
  }

  function localise(root) {
    for (const time of root.querySelectorAll("time.th-time:not([data-th-done])")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.title = time.textContent;
      time.textContent = spell.format(moment);
      time.dataset.thDone = "";
    }
  }

  function selectAll(event) {
    if (event.target.matches("[data-th-copy]")) event.target.select();
  }

  function typing(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  }

  // j and k go from message to message of a transcript.
  function step(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const way = { j: 1, k: -1 }[event.key];
    const messages = way ? [...document.querySelectorAll(".th-message")] : [];
    if (!messages.length) return;
    const top = 90;
    const at = messages.findIndex((message) => message.getBoundingClientRect().top > top - 8);
    const now = at === -1 ? messages.length : at;
    const aligned = at !== -1 && Math.abs(messages[at].getBoundingClientRect().top - top) < 8;
    const next = messages[way > 0 ? now + (aligned ? 1 : 0) : now - 1];
    if (next) window.scrollBy({ top: next.getBoundingClientRect().top - top });
  }

  tellZone();
  document.addEventListener("th:added", (event) => localise(event.detail));
  document.addEventListener("focusin", selectAll);
  document.addEventListener("keydown", step);
  // A long thread opens where it is now; on a phone the facts make room for the conversation.
  function arrange() {
    if (window.matchMedia("(max-width: 640px)").matches) {
      for (const facts of document.querySelectorAll("[data-th-folded-on-phones]")) facts.open = false;
    }
    const end = document.getElementById("end");
    if (end && !location.hash && document.querySelector("[data-th-opens-at-end]")) end.scrollIntoView({ block: "end" });
  }

  // A job in hand: how far it is, asked again every second; when it has ended the page is loaded with its report.
  async function watch(place) {
    const [bar, count] = [place.querySelector("progress"), place.querySelector("[data-th-done-count]")];
    for (let wait = 1000; ; ) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (document.hidden) continue;
      let told;
      try {
        const answer = await fetch(place.dataset.thProgress, { headers: { Accept: "application/json" } });
        if (answer.redirected || answer.status === 404) return location.reload(); // signed out, or gone
        if (!answer.ok) throw new Error(String(answer.status));
        told = await answer.json();
      } catch {
        wait = Math.min(wait * 2, 30000); // the server is away: asked less often
        continue;
      }
      wait = 1000;
      if (!["queued", "running"].includes(told.status)) return location.reload();
      bar.value = told.done;
      count.textContent = told.done.toLocaleString();
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    localise(document);
    arrange();
    document.querySelectorAll("[data-th-progress]").forEach(watch);
  });
})();
