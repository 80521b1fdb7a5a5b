import type { ServerRequest } from "srvx";
import { type Fingerprint, isFingerprint } from "../../oplog/names.ts";
import { SYNC_GUEST, SYNC_INVITE } from "../../protocol/limits.ts";
import { GUEST_COMPONENT, INVITE_COMPONENT, SIGNED_COMPONENTS } from "../../protocol/signature.ts";
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

/** What a signed request is to change in the list of users. */
interface ListChange {
  /** By which its user enters the list. */
  readonly invite: Invite | undefined;
  /** The guest that its user asks for. */
  readonly guest: Fingerprint | undefined;
  /** What the signature has to cover. */
  readonly covers: readonly string[];
}

/** Refused: the request is to change the list, and is not signed. */
class ChangeUnsigned extends SignatureRequired {
  readonly covers: readonly string[];
  constructor(user: Fingerprint, { invite, covers }: ListChange) {
    const what = invite === undefined ? "names a guest" : "has an invite";
    super(user, `one that ${what} must be`);
    this.covers = covers;
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
      const { user, key } = parsed;
      const change = service.hasList ? await this.#admit(request, user, address) : undefined;
      const signed = signatures.has(request);
      if (change !== undefined && !signed) throw new ChangeUnsigned(user, change);
      if (signed) await this.#checkSignature(request, body, key, address, change?.covers);
      if (change?.invite !== undefined) await service.enter(user, change.invite);
      const [bytes, guest] = [body.byteLength, change?.guest];
      const context = { address, bytes, signed, guest, budget: permit };
      return await answer(parsed, context, permit);
    } catch (error) {
      permit.release();
      throw error;
    }
  }

  /**
   * Rejects with `UserNotAllowed`, or as `SyncService.inviteFor` does. Returns how the request changes the
   * list once its signature is verified; `undefined` if it does not.
   */
  async #admit(
    { method, headers }: ServerRequest,
    user: Fingerprint,
    address: string,
  ): Promise<ListChange | undefined> {
    const { service } = this.#options;
    const field = (name: string) => (method === "POST" ? headers.get(name) : null);
    const [code, named] = [field(SYNC_INVITE), field(SYNC_GUEST)];
    if (named !== null && !isFingerprint(named)) {
      throw new Problem("invalid-request", "Sync-Guest takes a fingerprint, of 43 characters.");
    }
    const invite = code === null ? undefined : await service.inviteFor(user, code, address);
    if (code === null) await service.checkAllowed(user);
    if (invite === undefined && named === null) return undefined;
    const covers = [
      ...SIGNED_COMPONENTS,
      ...(invite === undefined ? [] : [INVITE_COMPONENT]),
      ...(named === null ? [] : [GUEST_COMPONENT]),
    ];
    return { invite, guest: named ?? undefined, covers };
  }

  /** Throws `SignatureInvalid`, and `AddressLimited` where too many were. */
  async #checkSignature(
    request: ServerRequest,
    body: Uint8Array,
    key: PublicKey,
    address: string,
    covers: readonly string[] | undefined,
  ): Promise<void> {
    const { signatures, strangers } = this.#options;
    strangers?.beforeSignature(address, key);
    try {
      await signatures.check(request, body, key, covers);
      strangers?.afterSignature(address, key, true);
    } catch (error) {
      if (error instanceof SignatureInvalid) strangers?.afterSignature(address, key, false);
      throw error;
    }
  }
}
