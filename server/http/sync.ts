import type { ServerRequest } from "srvx";
import type { Fingerprint } from "../../oplog/names.ts";
import { SYNC_INVITE } from "../../protocol/limits.ts";
import { INVITE_COMPONENT, SIGNED_COMPONENTS } from "../../protocol/signature.ts";
import { SignatureRequired } from "../../sync/access.ts";
import type { Invite } from "../../sync/invites.ts";
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
import type { RequestSignatures } from "./signature.ts";
import { SignatureInvalid } from "./signature-invalid.ts";
import { Waiting, type Waits } from "./waits.ts";

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
  readonly waits: Waits;
}

/** What a signature has to cover where its request has an invite. */
const WITH_INVITE = [...SIGNED_COMPONENTS, INVITE_COMPONENT];

/** Refused: the request has an invite, and is not signed. */
class InviteUnsigned extends SignatureRequired {
  readonly covers = WITH_INVITE;
  constructor(user: Fingerprint) {
    super(user, "one with an invite must be");
  }
}

/** `/sync` over HTTP: permit, body and signature, then the service, and its lines as NDJSON. */
export class SyncEndpoint {
  readonly #options: SyncEndpointOptions;

  constructor(options: SyncEndpointOptions) {
    this.#options = options;
  }

  /** Answers `POST`. Throws errors that `problemReply` turns into an answer. */
  sync(request: ServerRequest): Promise<Reply> {
    const { service, parser, deliveries, waits } = this.#options;
    const seconds = waits.preferred(request);
    if (seconds !== undefined) return this.#syncOrWait(request, seconds);
    return this.#receive(request, parser.sync, async (parsed, context, permit) => {
      const synced = await service.sync(parsed, context);
      // Not before: the version vector of the request may be as large as its body.
      permit.free(context.bytes);
      return await deliveries.reply(request, parsed.user, synced, permit);
    });
  }

  /** What a reader that waits holds is in `Waiting`: nothing of its body is in this function. */
  async #syncOrWait(request: ServerRequest, seconds: number): Promise<Reply> {
    const { parser, waits } = this.#options;
    const first = await this.#receive(request, parser.sync, (parsed, context, permit) =>
      waits.begin(request, seconds, parsed, context, permit),
    );
    return first instanceof Waiting ? waits.wait(request, first) : first;
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
   * answers it, or has it wait. The answer releases the permit; an error does so as well.
   */
  async #receive<Parsed extends EraseRequest, Answer>(
    request: ServerRequest,
    parse: (json: unknown) => Parsed,
    answer: (parsed: Parsed, context: RequestContext, permit: Permit) => Promise<Answer>,
  ): Promise<Answer> {
    const { service, signatures, addresses, limiter, bodies } = this.#options;
    const address = addresses.of(request);
    const permit = limiter.acquire(address);
    if (permit === undefined) throw new Problem("overloaded");
    try {
      const { json, body } = await bodies.readJson(request, permit);
      const parsed = parse(json);
      const invite = service.hasList ? await this.#admit(request, parsed.user, address) : undefined;
      const signed = signatures.has(request);
      if (invite !== undefined && !signed) throw new InviteUnsigned(parsed.user);
      if (signed) await this.#checkSignature(request, body, parsed.key, address, invite);
      if (invite !== undefined) await service.enter(parsed.user, invite);
      const context = { address, bytes: body.byteLength, signed, budget: permit };
      return await answer(parsed, context, permit);
    } catch (error) {
      permit.release();
      throw error;
    }
  }

  /**
   * Rejects with `UserNotAllowed`, or as `SyncService.inviteFor` does. Returns the invite of a request
   * by which its user may enter the list once the signature is verified.
   */
  async #admit(
    { method, headers }: ServerRequest,
    user: Fingerprint,
    address: string,
  ): Promise<Invite | undefined> {
    const { service } = this.#options;
    const code = method === "POST" ? headers.get(SYNC_INVITE) : null;
    if (code !== null) return service.inviteFor(user, code, address);
    await service.checkAllowed(user);
    return undefined;
  }

  /** Throws `SignatureInvalid`, and `AddressLimited` where too many were. */
  async #checkSignature(
    request: ServerRequest,
    body: Uint8Array,
    key: PublicKey,
    address: string,
    invite: Invite | undefined,
  ): Promise<void> {
    const { signatures, strangers } = this.#options;
    strangers?.beforeSignature(address, key);
    try {
      await signatures.check(request, body, key, invite && WITH_INVITE);
      strangers?.afterSignature(address, key, true);
    } catch (error) {
      if (error instanceof SignatureInvalid) strangers?.afterSignature(address, key, false);
      throw error;
    }
  }
}
