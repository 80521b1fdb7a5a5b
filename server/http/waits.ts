import type { ServerRequest } from "srvx";
import { PREFER, PREFERENCE_APPLIED } from "../../protocol/limits.ts";
import type { SyncRequest } from "../../sync/request.ts";
import type { RequestContext, SyncService } from "../../sync/service.ts";
import type { Waiter, Waiters, Wake } from "../../sync/waiters.ts";
import type { ConcurrencyLimiter, Permit } from "./concurrency-limiter.ts";
import { type Deliveries, linesReply } from "./deliveries.ts";
import { isPipelined, onDisconnect } from "./disconnect.ts";
import { forgetHeaders } from "./incoming-body.ts";
import { preferredWait } from "./prefer.ts";
import { Problem } from "./problems.ts";
import type { Reply } from "./response.ts";

/** How a wait ended: by what let its reader go on, or by a refusal. */
export type WaitEnd = Wake | "refused";

export interface WaitsOptions {
  readonly service: SyncService;
  readonly waiters: Waiters;
  readonly limiter: ConcurrencyLimiter;
  readonly deliveries: Deliveries;
  /** The requests being answered: those that wait are not. */
  readonly running: { count: number };
  /** `MAX_WAIT` in milliseconds. */
  readonly maxWait: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly onEnd: (end: WaitEnd, seconds: number) => void;
  /** Called when a request that wants to wait is answered at once because there is no place. */
  readonly onFull: () => void;
}

/** A request that waits: all that its answer needs. It stands for many, so each byte counts. */
export class Waiting {
  readonly waiter: Waiter;
  readonly signed: boolean;
  readonly takesSnapshots: boolean;
  /** How many seconds the server waits. */
  readonly seconds: number;
  readonly #versionVector: string;

  constructor(
    waiter: Waiter,
    signed: boolean,
    seconds: number,
    { versionVector, takesSnapshots = false }: SyncRequest,
  ) {
    this.waiter = waiter;
    this.signed = signed;
    this.seconds = seconds;
    this.takesSnapshots = takesSnapshots;
    // As text it takes a third of the memory.
    this.#versionVector = JSON.stringify([...versionVector]);
  }

  get versionVector(): SyncRequest["versionVector"] {
    const entries: [string, number][] = JSON.parse(this.#versionVector);
    return new Map(entries);
  }
}

/** Answers requests that prefer to wait for news, by the rules. */
export class Waits {
  readonly #options: WaitsOptions;
  /** The longest wait in seconds; 0 where waiting is turned off. */
  readonly #most: number;

  constructor(options: WaitsOptions) {
    this.#options = options;
    this.#most = Math.floor(options.maxWait / 1000);
  }

  /** How many seconds a request is to wait; `undefined` where it does not ask, or may not. */
  preferred(request: ServerRequest): number | undefined {
    const field = request.headers.get(PREFER);
    if (field === null || this.#most === 0 || isPipelined(request)) return undefined;
    const seconds = preferredWait(field);
    return seconds === undefined ? undefined : Math.min(seconds, this.#most);
  }

  /** The answer, where there is one at once. Throws as `SyncService.sync` does. */
  async begin(
    request: ServerRequest,
    seconds: number,
    parsed: SyncRequest,
    context: RequestContext,
    permit: Permit,
  ): Promise<Reply | Waiting> {
    const { service, waiters, deliveries, onFull } = this.#options;
    const { user, append, versionVector } = parsed;
    const { address, bytes, signed } = context;
    const mayWait = append === undefined && seconds > 0;
    const waiter = mayWait
      ? waiters.enter(user, address, versionVector.size, seconds * 1000)
      : undefined;
    let waits = false;
    try {
      const synced = await service.sync(parsed, context);
      permit.free(bytes);
      if (waiter !== undefined && synced.reading.count === 0) {
        permit.release();
        waits = true;
        return new Waiting(waiter, signed, seconds, parsed);
      }
      const reply = await deliveries.reply(request, user, synced, permit);
      if (!mayWait || waiter !== undefined) applied(reply, seconds);
      else onFull();
      return reply;
    } finally {
      if (waiter !== undefined && !waits) waiters.leave(waiter);
    }
  }

  /** The answer to a request that waits, once there is one. Throws as `SyncService.sync` does. */
  async wait(request: ServerRequest, waiting: Waiting): Promise<Reply> {
    const { service, waiters, running, now, onEnd } = this.#options;
    const { waiter, signed, seconds } = waiting;
    const since = now();
    let end: WaitEnd = "refused";
    let waited = 0;
    running.count--;
    forgetHeaders(request);
    onDisconnect(request, () => waiter.hangUp());
    try {
      for (;;) {
        const wake = await waiter.wait();
        waited = now() - since;
        const reply =
          wake === "gone" || wake === "stopped"
            ? linesReply(0, null, service.rate(waiter.user, signed))
            : await this.#look(request, waiting, wake);
        if (reply === undefined) continue;
        end = wake;
        return { ...applied(reply, seconds), waited };
      }
    } finally {
      running.count++;
      waiters.leave(waiter);
      onEnd(end, waited / 1000);
    }
  }

  /** Looks again as a poll does. The answer, if there is one: news, or the end of the wait. */
  async #look(
    request: ServerRequest,
    { waiter, signed, versionVector, takesSnapshots }: Waiting,
    wake: "news" | "ended",
  ): Promise<Reply | undefined> {
    const { service, waiters, limiter, deliveries } = this.#options;
    const { user, address } = waiter;
    waiter.beforeLook();
    const permit = limiter.acquire(address);
    if (permit === undefined) {
      if (wake === "ended") throw new Problem("overloaded");
      waiters.later(waiter);
      return undefined;
    }
    try {
      const context = { address, bytes: 0, signed, budget: permit };
      const synced = await service.look({ user, versionVector, takesSnapshots }, context);
      if (synced.reading.count > 0 || wake === "ended") {
        return await deliveries.reply(request, user, synced, permit);
      }
      permit.release();
      return undefined;
    } catch (error) {
      permit.release();
      throw error;
    }
  }
}

/** Says in an answer for how long the server would wait. */
function applied(reply: Reply, seconds: number): Reply {
  reply.headers[PREFERENCE_APPLIED] = `wait=${seconds}`;
  return reply;
}
