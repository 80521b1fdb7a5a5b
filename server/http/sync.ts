import type { ServerRequest } from "srvx";
import { LINES_TYPE, OPERATION_COUNT } from "../../protocol/limits.ts";
import type { PublicKey } from "../../sync/public-key.ts";
import type { EraseRequest, RequestParser } from "../../sync/request.ts";
import type { RequestContext, SyncService } from "../../sync/service.ts";
import type { Strangers } from "../../sync/strangers.ts";
import type { BodyReader } from "./body-reader.ts";
import type { ClientAddresses } from "./client-address.ts";
import type { ConcurrencyLimiter, Permit } from "./concurrency-limiter.ts";
import type { Deliveries } from "./deliveries.ts";
import { Problem } from "./problems.ts";
import { type Reply, rateFields } from "./response.ts";
import { type RequestSignatures, SignatureInvalid } from "./signature.ts";

export interface SyncEndpointOptions {
  readonly service: SyncService;
  /** Absent where the rate limit is turned off. */
  readonly strangers: Strangers | undefined;
  readonly parser: RequestParser;
  readonly signatures: RequestSignatures;
  readonly addresses: ClientAddresses;
  readonly limiter: ConcurrencyLimiter;
  readonly bodies: BodyReader;
  readonly deliveries: Deliveries;
}

/** `/sync` over HTTP: permit, body and signature, then the service, and its lines as NDJSON. */
export class SyncEndpoint {
  readonly #options: SyncEndpointOptions;

  constructor(options: SyncEndpointOptions) {
    this.#options = options;
  }

  /** Answers `POST`. Throws errors that `problemReply` turns into an answer. */
  sync(request: ServerRequest): Promise<Reply> {
    const { service, parser, deliveries } = this.#options;
    return this.#receive(request, parser.sync, async (parsed, context, permit) => {
      const synced = await service.sync(parsed, context);
      // Not before: the version vector of the request may be as large as its body.
      permit.free(context.bytes);
      const { result, body } = await deliveries.begin(request, parsed.user, synced, permit);
      const headers = {
        "Content-Type": LINES_TYPE,
        "Cache-Control": "no-store",
        [OPERATION_COUNT]: String(result.reading.count),
        ...rateFields(result.rate),
      };
      return { status: 200, headers, body };
    });
  }

  /** Answers `DELETE`: erases the user. Throws as `sync` does. */
  erase(request: ServerRequest): Promise<Reply> {
    const { service, parser } = this.#options;
    return this.#receive(request, parser.erase, async (parsed, context, permit) => {
      const rate = await service.erase(parsed, context);
      permit.release();
      const headers = { "Cache-Control": "no-store", ...rateFields(rate) };
      return { status: 204, headers, body: null };
    });
  }

  /**
   * Takes a permit, reads, checks and authenticates a request, in the order of what it costs, and
   * answers it. The answer releases the permit; an error does so as well.
   */
  async #receive<Parsed extends EraseRequest>(
    request: ServerRequest,
    parse: (json: unknown) => Parsed,
    answer: (parsed: Parsed, context: RequestContext, permit: Permit) => Promise<Reply>,
  ): Promise<Reply> {
    const { service, signatures, addresses, limiter, bodies } = this.#options;
    const address = addresses.of(request);
    const permit = limiter.acquire(address);
    if (permit === undefined) throw new Problem("overloaded");
    try {
      const { json, body } = await bodies.readJson(request, permit);
      const parsed = parse(json);
      const check = service.checkAllowed(parsed.user);
      if (check !== undefined) await check;
      const signed = signatures.has(request);
      if (signed) await this.#checkSignature(request, body, parsed.key, address);
      const context = { address, bytes: body.byteLength, signed, budget: permit };
      return await answer(parsed, context, permit);
    } catch (error) {
      permit.release();
      throw error;
    }
  }

  /** Throws `SignatureInvalid`, and `AddressLimited` where too many were. */
  async #checkSignature(
    request: ServerRequest,
    body: Uint8Array,
    key: PublicKey,
    address: string,
  ): Promise<void> {
    const { signatures, strangers } = this.#options;
    strangers?.beforeSignature(address, key);
    try {
      await signatures.check(request, body, key);
      strangers?.afterSignature(address, key, true);
    } catch (error) {
      if (error instanceof SignatureInvalid) strangers?.afterSignature(address, key, false);
      throw error;
    }
  }
}
