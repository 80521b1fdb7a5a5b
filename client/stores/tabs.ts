/** What the tabs of a browser that have one store open do for each other. */
import type { Outcome } from "../outcome.ts";
import type { OperationName, Refusal, Status } from "../types.ts";
import type { Waiter } from "../waiters.ts";

/** What the leading tab shows, and the others after it. */
export interface News {
  readonly status: Status;
  readonly refusals: readonly Refusal[];
  readonly tooLarge: readonly OperationName[];
  /** How large a request the server accepts. */
  readonly maxBody: number;
}

/** What a tab asks the leading one to do: to sync, or to drop an operation. */
export type Request = { readonly drop?: OperationName };

/** What a tab does for the others. */
export interface Tab {
  /** Aborted once the tab closes. */
  readonly signal: AbortSignal;
  /** Resolves once what the app has appended in this tab is stored. */
  settled(): Promise<void>;
  /** Another tab may have changed the store. */
  onChange(): void;
  /** Another tab leads, and shows something else than before, or has answered. */
  onNews(): void;
  /** It is time to ask the server: this tab leads now, is shown or hidden, or is online again. */
  onWake(): void;
  /** Does what another tab asks for. */
  answer(request: Request): Promise<void>;
}

/** The tabs that have one store open. One of them at a time leads: it alone talks to the server. */
export interface Tabs {
  readonly leads: boolean;
  /** Wants to lead: always in a tab that is shown, and in a hidden one if something is to be sent. */
  want(isUrgent: boolean): void;
  /** There is nothing to do: a hidden tab lets another one lead. */
  rest(): void;
  /** Shows the others what this tab shows, if it leads. */
  tell(news: News): void;
  /** Resolves or rejects as the leading tab answers, also if that is another one by then. */
  ask(request: Request): Promise<void>;
}

/** What a tab has to send. */
export interface Unsent {
  /** Whether something waits to be sent that no server has. */
  readonly isUrgent: boolean;
  /** Closes the stores that other processes abandoned. */
  close(): Promise<void>;
}

/** What a tab knows of the one that leads, and asks it for. */
export interface Following {
  readonly tabs: Tabs;
  /** What the leading tab shows; `undefined` as long as that is not known, or if this tab leads. */
  readonly news: News | undefined;
  /** Shows the others what this tab does, if it leads. */
  tell(news: News): void;
  /** @param pending how many entries are not acknowledged, as far as this tab knows */
  status(pending: number): Status;
  /**
   * Delivers what is on this device, and asks the leading tab for what waits.
   *
   * @param calls those of `sync`
   * @param deliver delivers, and never rejects
   */
  round(
    calls: readonly Waiter[],
    unsent: Unsent,
    deliver: () => Promise<Outcome>,
  ): Promise<Outcome>;
}
