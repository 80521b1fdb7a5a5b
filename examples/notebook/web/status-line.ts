/** The line at the top of the page: what the client does, and whether the page still works. */
import type { Status } from "../../../client/index.ts";
import { find, sentenceOf, setText, showError } from "./dom.ts";

export class StatusLine {
  readonly #line = find("status", HTMLElement);
  readonly #progress = find("progress", HTMLElement);
  #isStopped = false;

  /** Shows a text without a state of the client. */
  showText(text: string): void {
    if (!this.#isStopped) setText(this.#line, text);
  }

  show(status: Status): void {
    if (this.#isStopped) return;
    const { refused } = status;
    this.#line.dataset.state = status.state;
    this.#line.dataset.live = String(status.live);
    const devices = refused === 1 ? "1 device" : `${refused} devices`;
    setText(
      this.#line,
      `${describeStatus(status)}${refused === 0 ? "" : ` (notes of ${devices} refused)`}`,
    );
  }

  /** Shows that the server has deleted everything and takes nothing more. */
  showErased(): void {
    if (this.#isStopped) return;
    this.#line.dataset.state = "erased";
    setText(this.#line, "Deleted from the server");
  }

  /** Shows how far a transfer has come. A screen reader does not announce each step. */
  showProgress(text: string): void {
    if (!this.#isStopped) setText(this.#progress, text);
  }

  /** Shows that the page cannot go on, and why. Nothing replaces that. */
  stop(error: unknown): void {
    if (this.#isStopped) return;
    this.showProgress("");
    this.#line.dataset.state = "stopped";
    setText(this.#line, "Stopped");
    showError(error);
    this.#isStopped = true;
  }

  /** Shows an error, unless the page has stopped: what follows from that explains nothing. */
  report(error: unknown): void {
    if (!this.#isStopped) showError(error);
  }
}

function describeStatus(status: Status): string {
  const { pending } = status;
  const notes = pending === 1 ? "1 note" : `${pending} notes`;
  if (status.state === "synced") return status.live ? "Synced, live" : "Synced";
  if (status.state === "pending" && status.why === undefined) {
    return pending === 0 ? "Syncing…" : `Sending ${notes}…`;
  }
  const notSent = pending === 0 ? "" : ` ${notes} not sent yet.`;
  const name = { pending: "Waiting", offline: "Offline", refused: "Refused" }[status.state];
  return `${name}: ${sentenceOf(status.why)}${notSent}`;
}
