import type { Outcome } from "../outcome.ts";
import type { Refusal, Status } from "../types.ts";
import type { Waiter } from "../waiters.ts";
import type { Following, News, Tab, Tabs, Unsent } from "./tabs.ts";

/** What a tab knows of the one that leads, and asks it for. */
export class FollowingTab implements Following {
  readonly tabs: Tabs;
  readonly #tab: Tab;
  readonly #onRefusal: (refusal: Refusal) => void;
  #news: News | undefined;
  /** Whether there was no round yet: a tab that is opened looks for news, also in the background. */
  #isFirst = true;
  /** The calls of `sync` for which the leading tab was asked. */
  readonly #asked = new Set<Waiter>();
  /** Those that it has answered: to be resolved once what it has is delivered. */
  #answered: Waiter[] = [];

  /** @param join joins the tabs, and says what is called when the leading one shows something else */
  constructor(
    tab: Tab,
    onRefusal: (refusal: Refusal) => void,
    join: (onNews: (news: News) => void) => Tabs,
  ) {
    this.#tab = tab;
    this.#onRefusal = onRefusal;
    this.tabs = join((news) => this.#onNews(news));
  }

  get news(): News | undefined {
    return this.tabs.leads ? undefined : this.#news;
  }

  tell(news: News): void {
    // This tab may follow next, and has shown that then.
    if (this.tabs.leads) this.#news = news;
    this.tabs.tell(news);
  }

  status(pending: number): Status {
    const { refused = 0, live = false } = this.#news?.status ?? {};
    const told = this.#news?.status ?? { state: "pending", pending, refused, live };
    if (told.state !== "synced") return { ...told, pending: Math.max(told.pending, pending) };
    return pending === 0 ? told : { state: "pending", pending, refused, live };
  }

  async round(
    calls: readonly Waiter[],
    unsent: Unsent,
    deliver: () => Promise<Outcome>,
  ): Promise<Outcome> {
    // What other tabs have left, the leading one sends.
    await unsent.close();
    const answered = this.#answered;
    this.#answered = [];
    void this.#ask(calls.filter((call) => !answered.includes(call)));
    const outcome = await deliver();
    if (outcome.kind === "failed") return outcome;
    for (const { resolve } of answered) resolve();
    const isAsked = calls.some((call) => !answered.includes(call));
    this.tabs.want(this.#isFirst || isAsked || unsent.isUrgent);
    this.#isFirst = false;
    return outcome;
  }

  /** Each call once. */
  async #ask(calls: readonly Waiter[]): Promise<void> {
    const fresh = calls.filter((call) => !this.#asked.has(call));
    if (fresh.length === 0) return;
    for (const call of fresh) this.#asked.add(call);
    try {
      // What was appended before is to be sent, also where it is still being stored.
      await this.#tab.settled();
      await this.tabs.ask({});
      this.#answered.push(...fresh);
      this.#tab.onNews();
    } catch (error) {
      for (const { reject } of fresh) reject(error);
    }
    for (const call of fresh) this.#asked.delete(call);
  }

  #onNews(news: News): void {
    const known = new Set(this.#news?.refusals.map((one) => JSON.stringify(one)));
    this.#news = news;
    this.#tab.onNews();
    for (const one of news.refusals) {
      if (!known.has(JSON.stringify(one))) this.#onRefusal(one);
    }
  }
}
