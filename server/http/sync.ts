import type { ServerRequest } from "srvx";
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import type { Telemetry } from "../../oplog/telemetry.ts";
import { LINES_TYPE, OPERATION_COUNT } from "../../protocol/limits.ts";
import type { EraseRequest, RequestParser } from "../../sync/request.ts";
import type { RequestContext, SyncResult, SyncService } from "../../sync/service.ts";
import type { BodyReader } from "./body-reader.ts";
import type { ClientAddresses } from "./client-address.ts";
import type { ConcurrencyLimiter, Permit } from "./concurrency-limiter.ts";
import { Problem } from "./problems.ts";
import { type Reply, rateFields } from "./response.ts";
import type { RequestSignatures } from "./signature.ts";
import { streamOf } from "./stream.ts";

export interface SyncEndpointOptions {
  readonly service: SyncService;
  readonly parser: RequestParser;
  readonly signatures: RequestSignatures;
  readonly addresses: ClientAddresses;
  readonly limiter: ConcurrencyLimiter;
  readonly bodies: BodyReader;
  /** How long a client may take nothing of a response, in milliseconds. */
  readonly timeout: number;
  /** The requests being answered, in which responses count until their last byte. */
  readonly running: { count: number };
  readonly telemetry: Telemetry;
  /** Called when a response was cut because its operations could not be read to their end. */
  readonly onCut: (user: string, sent: number, error: unknown) => void;
}

/** `/sync` over HTTP: permit, body and signature, then the service, and its lines as NDJSON. */
export class SyncEndpoint {
  readonly #options: SyncEndpointOptions;

  constructor(options: SyncEndpointOptions) {
    this.#options = options;
  }

  /** Answers `POST`. Throws errors that `problemReply` turns into an answer. */
  sync(request: ServerRequest): Promise<Reply> {
    const { service, parser } = this.#options;
    return this.#withPermit(request, async (permit) => {
      const { asked, context } = await this.#receive(request, parser.sync, permit);
      const synced = await service.sync(asked, context);
      // Not before: the version vector of the request may be as large as its body.
      permit.free(context.bytes);
      const { result, body } = await this.#answer(asked.user, synced, permit);
      const headers = {
        "Content-Type": LINES_TYPE,
        "Cache-Control": "no-store",
        [OPERATION_COUNT]: String(result.count),
        ...rateFields(result.rate),
      };
      return { status: 200, headers, body };
    });
  }

  /** Answers `DELETE`: erases the user. Throws as `sync` does. */
  erase(request: ServerRequest): Promise<Reply> {
    const { service, parser } = this.#options;
    return this.#withPermit(request, async (permit) => {
      const { asked, context } = await this.#receive(request, parser.erase, permit);
      const rate = await service.erase(asked, context);
      permit.release();
      const headers = { "Cache-Control": "no-store", ...rateFields(rate) };
      return { status: 204, headers, body: null };
    });
  }

  /** Works with a permit, which the work releases when it is done with it. */
  async #withPermit(request: ServerRequest, work: (permit: Permit) => Promise<Reply>) {
    const { addresses, limiter } = this.#options;
    const permit = limiter.acquire(addresses.of(request));
    if (permit === undefined) throw new Problem("overloaded");
    try {
      return await work(permit);
    } catch (error) {
      permit.release();
      throw error;
    }
  }

  /** Reads, checks and authenticates a request: what costs little comes first. */
  async #receive<Asked extends EraseRequest>(
    request: ServerRequest,
    parse: (json: unknown) => Asked,
    permit: Permit,
  ): Promise<{ asked: Asked; context: RequestContext }> {
    const { service, signatures, bodies } = this.#options;
    const { json, body } = await bodies.readJson(request, permit);
    const asked = parse(json);
    await service.checkAllowed(asked.user);
    const signed = signatures.has(request);
    if (signed) await signatures.check(request, body, asked.key);
    const { address } = permit;
    return { asked, context: { address, bytes: body.byteLength, signed, budget: permit } };
  }

  /** The body of an answer, and the result that it holds: without what turns out to be damaged. */
  async #answer(user: string, synced: SyncResult, permit: Permit) {
    for (let result = synced; ; ) {
      if (result.count === 0) {
        permit.release();
        return { result, body: null };
      }
      try {
        return { result, body: await this.#stream(user, result, permit) };
      } catch (error) {
        if (!(error instanceof ObjectDamaged)) throw error;
        // Nothing was sent yet, so the answer can promise less.
        result = await result.again();
      }
    }
  }

  async #stream(user: string, result: SyncResult, permit: Permit) {
    const { service, timeout, running, telemetry, onCut } = this.#options;
    running.count++;
    const body = streamOf(result.lines, {
      timeout,
      onEnd: ({ sent, error, stalled = false }) => {
        running.count--;
        permit.release();
        service.refund(result, sent);
        if (stalled) telemetry.count("stalled");
        if (error !== undefined) onCut(user, sent, error);
      },
    });
    return body.catch((error: unknown) => {
      running.count--;
      service.refund(result, 0);
      throw error;
    });
  }
}
