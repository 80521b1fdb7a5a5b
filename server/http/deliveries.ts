import type { ServerRequest } from "srvx";
import { OperationsTrimmed } from "../../oplog/chunks.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import type { Telemetry } from "../../oplog/telemetry.ts";
import { LINES_TYPE, OPERATION_COUNT } from "../../protocol/limits.ts";
import type { RateStatus } from "../../sync/rate-limiter.ts";
import type { SyncResult, SyncService } from "../../sync/service.ts";
import type { Permit } from "./concurrency-limiter.ts";
import { disconnect } from "./disconnect.ts";
import { type Reply, type ReplyEnd, rateFields } from "./response.ts";
import { streamOf } from "./stream.ts";

export interface DeliveriesOptions {
  readonly service: SyncService;
  /** How long a client may take nothing of a response, in milliseconds. */
  readonly timeout: number;
  /** The requests being answered, in which responses count until their last byte. */
  readonly running: { count: number };
  readonly telemetry: Telemetry;
}

/** The answer to a sync request. */
export function linesReply(
  count: number,
  body: Reply["body"],
  rate: RateStatus | undefined,
): Reply {
  const headers = {
    "Content-Type": LINES_TYPE,
    "Cache-Control": "no-store",
    [OPERATION_COUNT]: String(count),
    ...rateFields(rate),
  };
  return { status: 200, headers, body };
}

/** Delivers operations as the bodies of answers, and settles each when it ends. */
export class Deliveries {
  readonly #options: DeliveriesOptions;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  /**
   * The answer with the operations of a result, without what turns out to be damaged. Ends the permit
   * with the answer, or at once where nothing is to be sent. An answer that was cut because its reader
   * took nothing keeps its permit until its connection is gone.
   */
  async reply(
    request: ServerRequest,
    user: Fingerprint,
    synced: SyncResult,
    permit: Permit,
  ): Promise<Reply> {
    for (let result = synced; ; ) {
      const { reading, rate } = result;
      if (reading.count === 0) {
        permit.release();
        return linesReply(0, null, rate);
      }
      try {
        const { body, ended } = await this.#stream(request, user, result, permit);
        return { ...linesReply(reading.count, body, rate), ended };
      } catch (error) {
        if (!(error instanceof ObjectDamaged || error instanceof OperationsTrimmed)) throw error;
        // Nothing was sent yet, so the answer can promise something else.
        result = await this.#options.service.again(result);
      }
    }
  }

  async #stream(request: ServerRequest, user: string, result: SyncResult, permit: Permit) {
    const { service, timeout, running, telemetry } = this.#options;
    running.count++;
    let end: (how: ReplyEnd) => void = () => undefined;
    const ended = new Promise<ReplyEnd>((resolve) => {
      end = resolve;
    });
    const body = streamOf(result.reading.lines, {
      timeout,
      onEnd: ({ sent, error, stalled = false }) => {
        running.count--;
        service.refund(result, sent);
        end(error === undefined ? {} : { cut: { user, sent, error } });
        if (!stalled) return permit.release();
        telemetry.count("stalled");
        void disconnect(request).then(() => permit.release());
      },
    });
    return body.then(
      (body) => ({ body, ended }),
      (error: unknown) => {
        running.count--;
        service.refund(result, 0);
        throw error;
      },
    );
  }
}
