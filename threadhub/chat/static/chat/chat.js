import { Announcer } from "./announcer.js";
import { Composer } from "./composer.js";
import { Conversations } from "./conversations.js";
import { element, iconButton } from "./elements.js";
import { Refused, SessionOver, persistently, refusal } from "./failures.js";
import { download } from "./files.js";
import { Handover } from "./handover.js";
import { Memory } from "./memory.js";
import { Ratings } from "./ratings.js";
import { Session } from "./session.js";
import { follow } from "./stream.js";
import { sentenceOf, stringsOf } from "./strings.js";
import { Transcript } from "./transcript.js";

const PAGE = 50; // messages that are shown at once
const WATCH = 3_000; // ms between looks at a run that waits for a person
const LIVE = ["queued", "running"];

/** The chat: what the visitor sees and does, and the hub's answers to it. */
export class Chat {
  #say;
  #memory;
  #session;
  #thread = null;
  #oldest = null;
  #branch = 1;
  #showing = null; // what loads the thread that is shown
  #run = null; // {thread, id, answer, control, stopping} of the answer that is being written

  /** `root`: where it is shown. `base`: the hub's address. `onClose`: where it can be closed. */
  constructor(root, { base, dataset, identity, onClose }) {
    const say = (this.#say = stringsOf(dataset));
    this.#memory = new Memory(`threadhub:${dataset.agent}`);
    this.#session = new Session({ base, agentKey: dataset.agent, memory: this.#memory, identity });
    const ratings = new Ratings(this.#session, this.#memory);
    this.transcript = new Transcript(say, {
      deeds: {
        rate: (answer, rating) => this.#guarded(async () => {
          await ratings.give(this.#thread, answer.id, rating);
          this.transcript.mark();
        }),
        ratingOf: (id) => ratings.of(id),
        again: (answer) => this.#again(answer),
        version: (answer, number) => this.#activate(number),
      },
      openFile: (file) => this.#guarded(() => download(this.#session, file)),
      earlier: () => this.#earlier(),
    });
    this.composer = new Composer(say, { send: (asked) => this.ask(asked), stop: () => this.#stop() });
    this.handover = new Handover(this.#session, {
      person: (is) => this.#withPerson(is),
      news: (message) => this.#news(message),
      waiting: () => Boolean(this.#run && !this.#run.answer.text),
    });
    this.withPerson = element("p", { class: "th-status", role: "status" });
    this.status = element("div", { class: "th-status", role: "status" });
    const heard = element("div", { class: "th-sr", "aria-live": "polite" });
    this.announcer = new Announcer(heard);
    root.replaceChildren(this.#head(onClose), this.conversations.node, this.transcript.node, this.withPerson, this.status, heard, this.composer.node);
    this.#memory.onChange((old, now) => this.#otherTab(old, now));
  }

  #head(onClose) {
    const say = this.#say;
    const list = iconButton("list", say("conversations"), () => this.#toggleList());
    this.conversations = new Conversations(say, { button: list, choose: (id) => this.show(id) });
    const buttons = [list, iconButton("plus", say("fresh"), () => this.fresh())];
    if (onClose) buttons.push(iconButton("close", say("closer"), onClose));
    return element("header", { class: "th-head" }, element("h1", { dir: "auto" }, say("title")), ...buttons);
  }

  /** Goes on where the visitor left: with the thread they were in, and what they had just asked. */
  async begin() {
    await this.#guarded(async () => {
      await this.#session.check();
      const { thread, pending } = this.#memory.read();
      if (!this.#session.known) return;
      if (thread) await this.show(thread);
      if (pending && !this.#run) await this.#askPending(pending);
    });
  }

  focus() {
    this.composer.focus();
  }

  claim(accessToken) {
    return this.#session.claim(accessToken);
  }

  /** An empty conversation; its thread is made with its first question. */
  fresh() {
    this.#leave();
    this.#thread = null;
    this.#memory.update({ thread: undefined });
    this.handover.watch(null);
    this.transcript.clear();
    this.#notice(null);
    this.composer.enabled = true;
    this.composer.focus();
  }

  /** Shows a thread as it stands, and goes on with the answer that is being written in it. */
  show(id) {
    return (this.#showing = this.#load(id));
  }

  async #load(id) {
    this.#leave();
    this.#thread = id;
    this.#memory.update({ thread: id });
    this.handover.watch(id);
    await this.#guarded(async () => {
      const [page, runs] = await this.#persistently(() =>
        Promise.all([
          this.#session.json(`/threads/${id}/messages?order=desc&take=${PAGE}`),
          this.#session.json(`/threads/${id}/runs?take=1`),
        ]),
      );
      if (this.#thread !== id || this.#run) return;
      const [run] = runs.data;
      // What a live run has stored comes again with its events.
      const ofRun = (message) => run && LIVE.includes(run.status) && message.run_id === run.id && message.role !== "user";
      const messages = page.data.filter((message) => !ofRun(message)).reverse();
      this.#branch = messages.some((message) => message.branches?.length > 1) ? await this.#activeBranch() : 1;
      this.transcript.clear();
      this.transcript.prepend(messages, this.#branch);
      this.#paged(page);
      if (run) this.#goOnWith(run, messages);
    });
  }

  #goOnWith(run, messages) {
    if (LIVE.includes(run.status)) this.#follow({ thread: this.#thread, id: run.id, answer: this.#thinking() });
    else if (run.status === "requires_action") this.#wait(run);
    else if (run.error && messages.at(-1)?.role === "user") {
      this.transcript.answer().fail(sentenceOf(this.#say, { code: run.error.code, detail: run.error.message }), () => this.#retry());
    }
  }

  #paged(page) {
    this.#oldest = page.data.at(-1)?.position ?? null;
    this.transcript.earlier.hidden = !page.has_more;
  }

  async #earlier() {
    await this.#guarded(async () => {
      const path = `/threads/${this.#thread}/messages?order=desc&take=${PAGE}&before=${this.#oldest}`;
      const page = await this.#session.json(path);
      this.transcript.prepend(page.data.toReversed(), this.#branch);
      this.#paged(page);
    });
  }

  async #activeBranch() {
    const { data } = await this.#session.json(`/threads/${this.#thread}/branches`);
    return data.find((branch) => branch.active)?.number ?? 1;
  }

  async #activate(number) {
    if (this.#run) return;
    await this.#guarded(async () => {
      await this.#session.json(`/threads/${this.#thread}/branches/${number}/activate`, { method: "POST", body: {} });
      await this.show(this.#thread);
    });
  }

  /** Asks. Sent again, over reloads too, it is still asked once: `pending` has its key. */
  async ask({ text, documents }) {
    if (this.#run && !this.handover.person) return;
    if (this.#run) this.#setAside(this.#run);
    const pending = { key: crypto.randomUUID(), thread: this.#thread, text, documents };
    this.#memory.update({ pending: documents.length ? { ...pending, documents: [], files: true } : pending });
    await this.#askPending(pending);
  }

  async #askPending(pending) {
    if (pending.files && !pending.documents.length) {
      // The files are gone with the page that had them: the visitor attaches them once more.
      this.#memory.update({ pending: undefined });
      this.composer.restore(pending.text);
      return;
    }
    this.#notice(null);
    this.transcript.ask({ text: pending.text, files: pending.documents.map(({ filename }) => ({ filename })) });
    const body = { prompt: pending.text, ...(pending.documents.length ? { documents: pending.documents } : {}) };
    await this.#ask(async () => `/threads/${await this.#threadFor(pending)}/invoke`, body, pending.key, this.#thinking());
  }

  /** A person is told more than one thing at a time: the newest question is the one that waits for them. */
  #setAside(run) {
    this.#leave();
    run.answer.finish();
    if (run.answer.empty) run.answer.node.remove();
  }

  #withPerson(is) {
    this.withPerson.textContent = is ? this.#say("withPerson") : "";
    this.composer.busy = Boolean(this.#run) && !is;
  }

  /** Something was said that is not on the screen: by a person, or in another tab. */
  async #news(message) {
    const thread = this.#thread;
    await this.#showing;
    if (this.#thread !== thread || this.#run || message.role !== "assistant" || this.transcript.has(message.id)) return;
    this.announcer.finish(message.content ?? "");
    this.show(this.#thread);
  }

  async #threadFor(pending) {
    if (!pending.thread) {
      pending.thread = this.#session.known ? await this.#newThread(pending.key) : await this.#session.open();
      this.#thread = pending.thread;
      const kept = this.#memory.read().pending;
      this.#memory.update({ thread: pending.thread, pending: kept && { ...kept, thread: pending.thread } });
    }
    return pending.thread;
  }

  async #newThread(key) {
    return (await this.#session.json("/threads", { method: "POST", body: {}, headers: { "Idempotency-Key": key } })).id;
  }

  #thinking() {
    const answer = this.transcript.answer();
    answer.think();
    return answer;
  }

  /** POSTs a question, again and again under one key until it is there, and follows the run that it began. */
  async #ask(pathOf, body, key, answer) {
    const run = this.#begin({ answer });
    const post = async () =>
      this.#session.request(await pathOf(), {
        method: "POST",
        body,
        signal: run.control.signal,
        headers: { "Idempotency-Key": key, Accept: "text/event-stream" },
      });
    try {
      const response = await this.#persistently(post, run);
      if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw await refusal(response);
      this.#memory.update({ pending: undefined });
      [, run.thread, run.id] = /\/threads\/([^/]+)\/runs\/([^/]+)\/events$/.exec(response.headers.get("Content-Location"));
      this.#memory.update({ asked: { thread: run.thread, run: run.id } });
      this.handover.watch(run.thread);
      if (run.stopping) this.#cancel(run);
      await this.#listen(run, response);
    } catch (error) {
      if (run.control.signal.aborted) return;
      this.#end(run);
      if (error instanceof SessionOver && !run.id) this.composer.restore(body.prompt ?? "");
      if (!(error instanceof Refused && error.passing)) this.#memory.update({ pending: undefined });
      const again = () => {
        answer.clear();
        answer.think();
        this.#ask(pathOf, body, key, answer);
      };
      this.#failed(answer, error, again);
    }
  }

  async #follow(known) {
    const run = this.#begin(known);
    try {
      await this.#listen(run);
    } catch (error) {
      if (run.control.signal.aborted) return;
      this.#end(run);
      this.#failed(run.answer, error, () => this.#followAgain(known));
    }
  }

  #followAgain(known) {
    known.answer.clear();
    known.answer.think();
    this.#follow(known);
  }

  #begin(known) {
    this.#run = { control: new AbortController(), stopping: false, ...known };
    this.composer.busy = !this.handover.person;
    return this.#run;
  }

  #end(run) {
    if (this.#run !== run) return;
    this.#run = null;
    this.composer.busy = false;
    this.#trouble(false);
  }

  /** Stops listening; the run goes on, and its answer will be there. */
  #leave() {
    if (!this.#run) return;
    const run = this.#run;
    this.#end(run);
    run.control.abort(new DOMException("left", "AbortError"));
  }

  async #listen(run, response) {
    let problem = null;
    const end = await follow(this.#session, {
      path: `/threads/${run.thread}/runs/${run.id}/events`,
      response,
      signal: run.control.signal,
      onTrouble: (is) => this.#trouble(is),
      onEvent: (event) => {
        if (event.name === "error") problem = event.data.error;
        const piece = run.answer.take(event);
        if (piece) this.announcer.hear(piece);
      },
    });
    this.#end(run);
    const note = run.stopping ? this.#say("stopped") : null;
    this.announcer.finish(note ?? (problem ? "" : this.#say("answerReady")));
    if (problem) this.#failed(run.answer, { code: problem.code, detail: problem.message }, () => this.#retry());
    else if (end.required_action) this.#wait({ id: run.id, required_action: end.required_action }, run.answer);
    else run.answer.finish({ note, ...(await this.#versionsOf(run)) });
    if (run.answer.empty && this.handover.person && !problem) run.answer.node.remove(); // a newer question took its place
  }

  /** The other versions of an answer that was given again. */
  async #versionsOf(run) {
    if (!run.again) return {};
    const message = await this.#session.json(`/threads/${run.thread}/messages/${run.answer.id}`).catch(() => ({}));
    this.#branch = await this.#activeBranch().catch(() => this.#branch);
    return { versions: message.branches ?? [], number: this.#branch };
  }

  #stop() {
    if (!this.#run) return;
    this.#run.stopping = true;
    if (this.#run.id) this.#cancel(this.#run);
  }

  async #cancel(run) {
    // Over already: so be it.
    await this.#session.json(`/threads/${run.thread}/runs/${run.id}/cancel`, { method: "POST", body: {} }).catch(() => {});
  }

  /** A run that needs a person: an approval is looked out for; what this page cannot do is said. */
  async #wait(run, answer = this.transcript.answer()) {
    const names = (calls) => calls.map((call) => call.name).join(", ");
    const { approvals = [], tool_calls: calls = [] } = run.required_action ?? {};
    if (!approvals.length) {
      answer.finish({ note: calls.length ? this.#say("clientTools", { names: names(calls) }) : null });
      return;
    }
    answer.finish({ note: this.#say("approval", { names: names(approvals) }) });
    const thread = this.#thread;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, WATCH));
      if (this.#thread !== thread || this.#run || !answer.node.isConnected) return;
      if (document.hidden) continue;
      const now = await this.#session.json(`/threads/${thread}/runs/${run.id}`).catch(() => null);
      if (now?.continued_by) return this.#follow({ thread, id: now.continued_by, answer });
      if (now && !now.required_action) return answer.finish();
    }
  }

  /** Asks the last question again, in its place. */
  async #retry() {
    if (this.#run) return;
    await this.#guarded(async () => {
      const { data } = await this.#session.json(`/threads/${this.#thread}/messages?order=desc&take=${PAGE}`);
      const asked = data.find((message) => message.role === "user" && message.message_type === "text");
      if (!asked) return;
      this.transcript.list.lastElementChild.remove();
      const path = `/threads/${this.#thread}/messages/${asked.id}/edit`;
      await this.#ask(async () => path, { prompt: asked.content }, crypto.randomUUID(), this.#thinking());
    });
  }

  async #again(answer) {
    if (this.#run) return;
    this.transcript.cutAt(answer);
    const path = `/threads/${this.#thread}/messages/${answer.id}/regenerate`;
    const made = this.#thinking();
    const asking = this.#ask(async () => path, {}, crypto.randomUUID(), made);
    if (this.#run) this.#run.again = true;
    await asking;
    this.composer.focus();
  }

  async #toggleList() {
    if (this.conversations.isOpen) return this.conversations.close();
    await this.#guarded(async () => {
      const threads = this.#session.known ? await this.#session.json("/threads?take=30") : [];
      this.conversations.open(threads, this.#thread);
    });
  }

  #otherTab(old, now) {
    this.transcript.mark();
    const { asked } = now;
    if (asked && asked.run !== old.asked?.run && asked.thread === this.#thread && this.#run?.id !== asked.run) this.show(asked.thread);
  }

  #persistently(attempt, run = {}) {
    return persistently(attempt, { signal: run.control?.signal, onTrouble: (is) => this.#trouble(is) });
  }

  #trouble(is) {
    this.status.textContent = is ? this.#say("reconnecting") : "";
  }

  /** Does something, and says what went wrong with it. */
  async #guarded(deed) {
    try {
      await deed();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.code === "thread_not_found") this.fresh();
      else this.#notice(error);
    }
  }

  #failed(answer, error, retry) {
    if (error instanceof SessionOver) {
      answer.finish();
      if (!answer.text) answer.node.remove();
      this.#notice(error);
    } else if (error.code === "thread_running") this.show(this.#thread);
    else answer.fail(sentenceOf(this.#say, error), retry);
  }

  /** A sentence above the composer; where the session is over with the way to a new one. */
  #notice(error) {
    this.notice?.remove();
    if (!error) return;
    if (!error.code) console.error(error);
    this.notice = element("div", { class: "th-error th-notice", role: "alert" }, element("p", {}, sentenceOf(this.#say, error)));
    if (error instanceof SessionOver) {
      const button = element("button", { type: "button", class: "th-button" }, this.#say("begin"));
      button.addEventListener("click", () => this.fresh());
      this.notice.append(button);
      this.composer.enabled = false;
    }
    this.status.before(this.notice);
  }
}
