// The panel beside an agent's form: asks with the form's values as they stand, and shows the answer as it comes.
(() => {
  "use strict";

  function start(place) {
    const panel = place.querySelector(".th-trial-panel");
    const opener = place.querySelector(".th-trial-open");
    const log = place.querySelector(".th-trial-said");
    const form = place.querySelector(".th-trial-form");
    const question = form.querySelector("textarea");
    const ask = form.querySelector("[type=submit]");
    const stop = form.querySelector("[data-th-trial-stop]");
    let said = [];
    let asking = null;

    function show(open) {
      panel.hidden = !open;
      opener.setAttribute("aria-expanded", String(open));
      (open ? question : opener).focus();
    }

    function add(kind, text) {
      const line = document.createElement("p");
      line.className = `th-trial-line th-trial-${kind}`;
      line.textContent = text;
      log.append(line);
      log.scrollTop = log.scrollHeight;
      return line;
    }

    function busy(yes) {
      ask.hidden = yes;
      stop.hidden = !yes;
      log.setAttribute("aria-busy", String(yes));
    }

    async function* events(body) {
      const decoder = new TextDecoder();
      let rest = "";
      const reader = body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        rest += decoder.decode(value, { stream: true });
        const frames = rest.split("\n\n");
        rest = frames.pop();
        for (const frame of frames) if (frame.startsWith("data: ")) yield JSON.parse(frame.slice(6));
      }
    }

    async function hear(response) {
      let line = null;
      let answer = "";
      let tokens = 0;
      for await (const event of events(response.body)) {
        if (event.text !== undefined) {
          line ??= add("assistant", "");
          answer += event.text;
          line.textContent = answer;
          log.scrollTop = log.scrollHeight;
        } else if (event.tool !== undefined) {
          add("note", `Would call ${event.tool}(${JSON.stringify(event.arguments)})`);
        } else if (event.tokens !== undefined) {
          tokens = event.tokens;
        } else if (event.error !== undefined) {
          add("fault", event.error);
          return answer;
        } else if (event.end !== undefined) {
          if (!answer && event.end !== "tool_calls") add("note", "It said nothing.");
          if (event.end === "length") add("note", "Cut off at the output tokens it may use.");
          if (tokens) add("note", `${tokens.toLocaleString()} tokens`);
          return answer;
        }
      }
      throw new Error("cut off");
    }

    async function send() {
      const text = question.value.trim();
      if (!text || asking) return;
      const values = new FormData(document.querySelector("#agent_form"));
      said.push(["user", text]);
      values.set("said", JSON.stringify(said));
      add("user", text);
      question.value = "";
      asking = new AbortController();
      busy(true);
      let answer = "";
      try {
        const response = await fetch(place.dataset.thTrial, { method: "POST", body: values, signal: asking.signal });
        if (response.status === 422) {
          for (const sentence of (await response.json()).errors) add("fault", sentence);
        } else if (response.redirected || !response.ok || !response.body) {
          add("fault", "It could not be asked. Reload the page, and sign in again if it wants that.");
        } else {
          answer = await hear(response);
        }
      } catch {
        add(asking.signal.aborted ? "note" : "fault", asking.signal.aborted ? "Stopped." : "The connection was lost.");
      }
      if (answer) said.push(["assistant", answer]);
      else said.pop();
      asking = null;
      busy(false);
      question.focus();
    }

    opener.addEventListener("click", () => show(panel.hidden));
    place.querySelector("[data-th-trial-close]").addEventListener("click", () => show(false));
    place.querySelector("[data-th-trial-again]").addEventListener("click", () => {
      asking?.abort();
      said = [];
      log.replaceChildren();
      question.focus();
    });
    stop.addEventListener("click", () => asking?.abort());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send();
    });
    question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
      if (event.key === "Escape") show(false);
    });
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-th-trial]").forEach(start));
})();
