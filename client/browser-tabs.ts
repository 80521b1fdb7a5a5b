import type { Tabs } from "./stores/store.ts";

/**
 * The tabs of a browser, which take turns by a Web Lock, so that the waiting requests of many tabs do
 * not use up the browser's connections to the server. A tab that nobody sees does not wait.
 */
export class BrowserTabs implements Tabs {
  readonly #lock: string;
  readonly #onWake: () => void;

  /**
   * @param lock the name of the Web Lock
   * @param onWake called when the browser is online again, and when the tab is shown or hidden
   */
  constructor(lock: string, onWake: () => void) {
    this.#lock = lock;
    this.#onWake = onWake;
    addEventListener("online", onWake);
    // A worker has no document.
    globalThis.document?.addEventListener("visibilitychange", onWake);
  }

  /** As `Tabs.turn`. In a hidden tab it does not resolve: `onWake` tells when the tab is shown. */
  async turn(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      if (globalThis.document?.hidden) {
        signal.addEventListener("abort", () => reject(signal.reason));
        return;
      }
      navigator.locks
        .request(this.#lock, { signal }, () => new Promise<void>((end) => resolve(end)))
        .catch(reject);
    });
  }

  close(): void {
    removeEventListener("online", this.#onWake);
    globalThis.document?.removeEventListener("visibilitychange", this.#onWake);
  }
}
