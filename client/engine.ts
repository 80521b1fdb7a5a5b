/** One exchange with the server after the other, and what follows from the answer. */

import type { Line } from "../protocol/types.ts";
import { ServerRejected, ServerUnavailable } from "./errors.ts";
import type { Inbox } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import type { Rival, Sender, Turn } from "./recovery.ts";
import type { Transport } from "./transport.ts";
import type { ClientChange, Created } from "./types.ts";
import type { RunVerifier } from "./verify.ts";

export interface SyncEngineOptions {
  readonly exchange: Transport;
  readonly opener: RunVerifier;
  readonly sender: Sender;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly onClientChange: (change: ClientChange) => Promise<void>;
}

export class SyncEngine {
  /** Counts what came of the exchanges: operations acknowledged and delivered. */
  progress = 0;
  readonly #options: SyncEngineOptions;

  constructor(options: SyncEngineOptions) {
    this.#options = options;
  }

  /**
   * One exchange. True when nothing is left: all is acknowledged that is not held, and all is read.
   * Throws `ServerRejected`, `ServerUnavailable`, and what the app's handler and the store throw.
   */
  async step(signal: AbortSignal): Promise<boolean> {
    const { sender, outbox } = this.#options;
    const turn = await sender.next();
    const self = outbox.client;
    const client = turn.batch?.client ?? self;
    try {
      await this.#exchange(client, turn, signal);
    } catch (error) {
      if (error instanceof ServerRejected) {
        await sender.recover(turn, error, (of, place) => this.#rivalOf(of, place, signal));
        return false;
      }
      if (isTooSlow(error) && turn.batch !== undefined) sender.sendLess(turn.batch);
      throw error;
    }
    return client === self && !sender.isDue;
  }

  async #exchange(client: string, turn: Turn, signal: AbortSignal): Promise<void> {
    const { exchange, inbox, outbox, sender } = this.#options;
    const request = {
      client,
      first: turn.batch?.first ?? this.#lastOf(client),
      payloads: turn.batch?.payloads ?? [],
      status: this.#syncStatus(),
    };
    const self = outbox.client;
    let answered = false;
    inbox.drop();
    try {
      for await (const lines of exchange.sync(request, signal)) {
        if (!answered) this.progress += await sender.acknowledged(turn);
        answered = true;
        // What the server leaves out for the sender would be a hole: it is asked for as ourselves.
        const wanted = client === self ? lines : lines.filter((line) => line.client !== client);
        await this.#take(wanted, self);
      }
    } catch (error) {
      if (answered && error instanceof ServerUnavailable) this.progress += await inbox.flush();
      throw error;
    }
    this.progress += await inbox.flush();
  }

  /**
   * What the server shows of the user in the place of an own operation that it will not take. Its
   * word is not enough: operations that others have received would be created once more.
   */
  async #rivalOf(
    outbox: Outbox,
    { client, index }: Created,
    signal: AbortSignal,
  ): Promise<Rival | undefined> {
    const { exchange, opener } = this.#options;
    const { [client]: _, ...status } = this.#syncStatus();
    if (index > 0) status[client] = index - 1;
    const request = { client, first: undefined, payloads: [], status };
    const before = await outbox.cursorAt(client, index - 1);
    for await (const lines of exchange.sync(request, signal)) {
      const line = lines.find((one) => one.client === client);
      if (line === undefined) continue;
      if (line.index !== index || line.payload === (await outbox.payload(client, index))) break;
      const { refusal } = await opener.open(client, [line], before);
      if (refusal === undefined) return { follows: true };
      if (refusal.kind === "chain broken") return { follows: false };
      break;
    }
    return undefined;
  }

  async #take(lines: readonly Line[], self: string): Promise<void> {
    const { inbox } = this.#options;
    let rest = lines;
    const own = lines.findIndex((line) => line.client === self);
    if (own !== -1 && this.#options.outbox.client === self) {
      this.progress += await inbox.take(lines.slice(0, own));
      const line = lines[own];
      if (line !== undefined) await this.#ownLine(line);
      rest = lines.slice(own);
    }
    this.progress += await inbox.take(rest);
  }

  /**
   * The server sends something under our own client id that we did not know it has. If the user has
   * made it, then so did another installation with this client id: a copy of this one, or what this
   * one was before it was restored. We take a new id.
   */
  async #ownLine(line: Line): Promise<void> {
    const { outbox, inbox, opener, onClientChange } = this.#options;
    const { client, index } = line;
    const before = await outbox.acknowledgedCursor(client);
    const { refusal } = await opener.open(client, [line], before);
    const ours = (await outbox.payload(client, index)) === line.payload;
    if (refusal !== undefined || ours) {
      inbox.refuse(refusal ?? { kind: "out of place", client, index });
      return;
    }
    await onClientChange(await outbox.change(client, (before?.index ?? -1) + 1));
  }

  /** The last index created under an own client id. */
  #lastOf(client: string): number | undefined {
    const length = this.#options.outbox.own.find((own) => own.client === client)?.length ?? 0;
    return length === 0 ? undefined : length - 1;
  }

  /** What this client is aware of: what it has taken, and what it has created. */
  #syncStatus(): Record<string, number> {
    const status = this.#options.inbox.status();
    for (const { client, length } of this.#options.outbox.own) {
      if (length > 0) status[client] = Math.max(length - 1, status[client] ?? 0);
    }
    return status;
  }
}

/** Whether the server has given a request up because its body came too slowly. */
function isTooSlow(error: unknown): boolean {
  return error instanceof ServerUnavailable && error.code === "request-timeout";
}
