import { type ErrorCode, ServerRejected, StoreDamaged } from "../errors.ts";
import type { News, Request, Tab, Tabs } from "./tabs.ts";

/** How often a tab that waits to lead listens whether the one that leads is still there. */
const LISTEN_MS = 10_000;

const CLOSED = new DOMException("the client was closed", "AbortError");

/** What tabs say to each other. */
type Message =
  | { readonly type: "changed" }
  /** Asks which tab leads. */
  | { readonly type: "hello" }
  | { readonly type: "leads"; readonly from: string; readonly news: News | undefined }
  | { readonly type: "ask"; readonly id: string; readonly request: Request }
  | { readonly type: "answer"; readonly id: string; readonly failure?: Failure };

/** An error, as a message can carry it. */
interface Failure {
  readonly name: string;
  readonly message: string;
  /** Of a refusal by the server. */
  readonly code?: ErrorCode;
  readonly status?: number;
  readonly members?: Readonly<Record<string, unknown>>;
}

interface Asked {
  readonly request: Request;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * The tabs of a browser that share a log. The one that holds a Web Lock leads; the others wait for the
 * lock. A tab that nobody sees leads only as long as it has something to send, because a browser may
 * suspend it.
 */
export class BrowserTabs implements Tabs {
  readonly #name: string;
  readonly #tab: Omit<Tab, "onNews">;
  readonly #onNews: (news: News) => void;
  readonly #channel: BroadcastChannel;
  /** Ends the wait for the lock. */
  #waiting: AbortController | undefined;
  /** Releases the lock. */
  #release: (() => void) | undefined;
  /** The tab that leads, as far as it is known, and what this one shows if it does. */
  #leader = "";
  readonly #id = crypto.randomUUID();
  #news: News | undefined;
  /** What the leading tab has shown last. */
  #heard: string | undefined;
  readonly #asked = new Map<string, Asked>();
  /** What other tabs have asked for. */
  readonly #answering = new Set<string>();
  /** How often in a row the leading tab was not heard. */
  #silence = 0;
  readonly #timer: ReturnType<typeof setInterval>;
  #isClosed = false;

  /**
   * @param name of the Web Lock and of the channel
   * @param onNews called when the leading tab shows something else than before
   */
  constructor(name: string, tab: Omit<Tab, "onNews">, onNews: (news: News) => void) {
    this.#name = name;
    this.#tab = tab;
    this.#onNews = onNews;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#hear(data);
    this.#say({ type: "hello" });
    this.#timer = setInterval(() => this.#listen(), LISTEN_MS);
    // Another tab goes on, and need not wait for what the app still does here.
    tab.signal.addEventListener("abort", () => this.#stop());
    addEventListener("online", tab.onWake);
    // A worker has no document.
    globalThis.document?.addEventListener("visibilitychange", tab.onWake);
  }

  get leads(): boolean {
    return this.#release !== undefined;
  }

  want(isUrgent: boolean): void {
    if (this.leads || this.#isClosed) return;
    const isWanted = isUrgent || this.#asked.size > 0 || !isHidden();
    if (!isWanted) {
      this.#waiting?.abort();
      this.#waiting = undefined;
    } else if (this.#waiting === undefined) this.#request(false);
  }

  rest(): void {
    if (!isHidden()) return;
    this.#release?.();
    this.#release = undefined;
  }

  tell(news: News): void {
    if (!this.leads) return;
    const isSame = JSON.stringify(news) === JSON.stringify(this.#news);
    this.#news = news;
    if (!isSame) this.#say({ type: "leads", from: this.#id, news });
  }

  ask(request: Request): Promise<void> {
    const id = crypto.randomUUID();
    if (this.#isClosed) return Promise.reject(CLOSED);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { request, resolve, reject });
      if (this.leads) this.#answerMyself();
      else this.#say({ type: "ask", id, request });
      this.want(false);
    });
  }

  /** This tab has changed the store. */
  changed(): void {
    this.#say({ type: "changed" });
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
    clearInterval(this.#timer);
    removeEventListener("online", this.#tab.onWake);
    globalThis.document?.removeEventListener("visibilitychange", this.#tab.onWake);
    this.#waiting?.abort();
    this.#channel.close();
    for (const { reject } of this.#asked.values()) reject(CLOSED);
  }

  #stop(): void {
    this.#release?.();
    this.#release = undefined;
    this.#waiting?.abort();
  }

  /** Waits for the lock, or takes it away from a tab that is suspended. */
  #request(steal: boolean): void {
    const waiting = new AbortController();
    this.#waiting?.abort();
    this.#waiting = waiting;
    let release: (() => void) | undefined;
    navigator.locks
      .request(this.#name, steal ? { steal } : { signal: waiting.signal }, () => {
        if (waiting.signal.aborted) return undefined;
        this.#waiting = undefined;
        return new Promise<void>((resolve) => {
          release = resolve;
          this.#lead(resolve);
        });
      })
      .catch(() => {
        if (this.#waiting === waiting) this.#waiting = undefined;
        if (release === undefined || this.#release !== release) return;
        // Another tab has taken it away from this one.
        this.#release = undefined;
        this.#tab.onWake();
      });
  }

  #lead(release: () => void): void {
    this.#release = release;
    this.#news = undefined;
    this.#say({ type: "leads", from: this.#id, news: undefined });
    this.#answerMyself();
    this.#tab.onWake();
  }

  #answerMyself(): void {
    for (const [id, { request, resolve, reject }] of this.#asked) {
      this.#asked.delete(id);
      this.#tab.answer(request).then(resolve, reject);
    }
  }

  #say(message: Message): void {
    if (!this.#isClosed) this.#channel.postMessage(message);
  }

  #hear(message: Message): void {
    switch (message.type) {
      case "changed":
        this.#tab.onChange();
        break;
      case "hello":
        if (this.leads) this.#say({ type: "leads", from: this.#id, news: this.#news });
        break;
      case "leads":
        this.#hearLeader(message.from, message.news);
        break;
      case "ask":
        if (this.leads) void this.#answer(message.id, message.request);
        break;
      case "answer":
        this.#hearAnswer(message.id, message.failure);
    }
  }

  #hearLeader(from: string, news: News | undefined): void {
    this.#silence = 0;
    if (from !== this.#leader || news === undefined) {
      for (const [id, { request }] of this.#asked) this.#say({ type: "ask", id, request });
    }
    const text = JSON.stringify(news);
    const isSame = this.#leader === from && this.#heard === text;
    this.#leader = from;
    this.#heard = text;
    if (news !== undefined && !isSame) this.#onNews(news);
  }

  async #answer(id: string, request: Request): Promise<void> {
    if (this.#answering.has(id)) return;
    this.#answering.add(id);
    try {
      await this.#tab.answer(request);
      this.#say({ type: "answer", id });
    } catch (error) {
      // Another tab leads soon, and is asked again.
      if (!this.#tab.signal.aborted) this.#say({ type: "answer", id, failure: failureOf(error) });
    }
    this.#answering.delete(id);
  }

  #hearAnswer(id: string, failure: Failure | undefined): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (failure === undefined) asked?.resolve();
    else asked?.reject(errorOf(failure));
  }

  /** Takes the lock away from a tab that says nothing: the browser has suspended it. */
  #listen(): void {
    if (this.leads || isHidden()) {
      this.#silence = 0;
      return;
    }
    // The browser has refused the lock.
    if (this.#waiting === undefined) this.#tab.onWake();
    this.#silence++;
    if (this.#silence > 2 && this.#waiting !== undefined) this.#request(true);
    else this.#say({ type: "hello" });
  }
}

function isHidden(): boolean {
  return globalThis.document?.hidden ?? false;
}

function failureOf(error: unknown): Failure {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (!(error instanceof ServerRejected)) return { name, message };
  const { code, status, members } = error;
  return { name, message, code, status, members };
}

function errorOf({ name, message, code, status, members }: Failure): Error {
  if (status !== undefined && members !== undefined) {
    return new ServerRejected(status, members, message, code);
  }
  if (name === "StoreDamaged") return new StoreDamaged(message);
  return name === "RangeError" ? new RangeError(message) : new Error(message);
}
