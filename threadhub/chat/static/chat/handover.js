import { SessionOver } from "./failures.js";

const WITH_PERSON = 3_000; // ms between looks while a person answers
const ASKED = 4_000; // while an answer is waited for
const QUIET = 20_000; // otherwise
const PATIENCE = 15 * 60_000; // after this long without a question hardly anybody is expected any more
const LATE = 60_000; // then
const LONGEST = 2 * 3_600_000; // after this long only who turns to the page looks: looking keeps the session alive

/** Looks whether a person answers in the thread that is shown, and whether they have said something. */
export class Handover {
  person = false;
  #session;
  #told;
  #thread = null;
  #seen = null;
  #since = 0;
  #round = 0;
  #wake = () => {};

  /** `told`: {person(is), news(message), waiting()}; `news` is told the thread's newest message when one has come. */
  constructor(session, told) {
    this.#session = session;
    this.#told = told;
  }

  /** From now on this thread; null: none. */
  watch(thread) {
    this.#since = performance.now();
    this.#wake();
    if (thread === this.#thread) return;
    this.#thread = thread;
    this.#seen = null;
    this.#is(false);
    this.#round += 1;
    if (thread) this.#look(this.#round);
  }

  async #look(round) {
    while (round === this.#round) {
      if (!document.hidden) await this.#once(round).catch((error) => this.#failed(error));
      await this.#pause();
    }
  }

  /** Until it is time to look again, or somebody turns to the page. */
  #pause() {
    const since = performance.now() - this.#since;
    const quiet = since > LONGEST ? null : since > PATIENCE ? LATE : QUIET;
    const time = this.person ? WITH_PERSON : this.#told.waiting() ? ASKED : quiet;
    return new Promise((resolve) => {
      const over = (this.#wake = () => {
        clearTimeout(timer);
        document.removeEventListener("visibilitychange", over);
        resolve();
      });
      const timer = time === null ? undefined : setTimeout(over, time);
      document.addEventListener("visibilitychange", over);
    });
  }

  /** Away: the next look may find it back. Over: there is nothing to look for. Others say so. */
  #failed(error) {
    if (error instanceof SessionOver) this.watch(null);
  }

  async #once(round) {
    const thread = await this.#session.json(`/threads/${this.#thread}`);
    if (round !== this.#round) return;
    this.#is(thread.handled_by === "person");
    if (thread.last_activity_at === this.#seen) return;
    const { data } = await this.#session.json(`/threads/${this.#thread}/messages?order=desc&take=1`);
    if (round !== this.#round) return;
    this.#seen = thread.last_activity_at;
    if (data[0]) this.#told.news(data[0]);
  }

  #is(person) {
    if (person === this.person) return;
    this.person = person;
    this.#told.person(person);
  }
}
