/** What a store has that the tabs of a browser have open at the same time. */
import type { Following } from "../following.ts";
import type { SyncOptions } from "../options.ts";
import type { Cursor, OperationName, Refusal, Status } from "../types.ts";
import type { StoreState } from "./store.ts";

/** A store that several tabs have open: each has the same log, and its own places of delivery. */
export interface SharedStore {
  /** Whether another tab has changed the store since `reload`, or since it was opened. */
  isChanged(): Promise<boolean>;
  /** As `Store.load`. Changes from here on are to follow this state: others reject. */
  reload(): Promise<StoreState>;
  /** Runs a task while no other tab changes the store. */
  exclusive<Result>(task: () => Promise<Result>): Promise<Result>;
  /** Records up to where the operations of others were delivered in this tab. */
  recordDelivered(cursors: readonly Cursor[]): Promise<void>;
  /** The same, and nothing of other client ids: the app of this tab was given a state for what it had. */
  restartDelivered(cursors: readonly Cursor[]): Promise<void>;
  /** Joins the other tabs, until the store is closed. */
  join(tab: Tab, app: Pick<SyncOptions, "onRefusal">): Following;
}

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
