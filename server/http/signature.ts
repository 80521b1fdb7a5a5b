/**
 * Signed requests: HTTP Message Signatures (RFC 9421) by the user's own key, as PROTOCOL.md profiles
 * them. The server keeps nothing of a request and needs no secret: the key is in the body, and the
 * user is its hash.
 */
import {
  SignatureError,
  SignatureErrorCode,
  type UntrustedSignatureCandidate,
  verifySignature,
} from "http-message-sig";
import type { Fingerprint } from "../../oplog/names.ts";
import type { Telemetry } from "../../oplog/telemetry.ts";
import { SYNC_PATH } from "../../protocol/limits.ts";
import {
  coveredComponents,
  MAX_CLOCK_SKEW_SECONDS,
  SIGNATURE_ALGORITHM,
  SIGNED_COMPONENTS,
} from "../../protocol/signature.ts";
import type { PublicKey } from "../../sync/public-key.ts";
import type { SignatureVerifier } from "../../sync/signature-verifier.ts";
import { digestFault } from "./content-digest.ts";
import { type CheckedAddress, type SignatureCheck, SignatureInvalid } from "./signature-invalid.ts";

export interface RequestSignaturesOptions {
  /**
   * The address by which clients reach the server, without a slash at its end. Without it, the Host
   * field of a request is believed.
   */
  readonly publicUrl: string | undefined;
  /**
   * Called for the first signature that may be invalid because of the address: a proxy changes the
   * Host, or `PUBLIC_URL` is not the address that clients use.
   */
  readonly onOtherAddress: (advice: string, checked: CheckedAddress) => void;
  readonly keys: SignatureVerifier;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  readonly telemetry: Telemetry;
}

/** Characters of a field at most: the signature of the largest key takes some 1,400. */
const MAX_FIELD = 4096;

/** Characters of a host and port at most: a name in DNS has 253. */
const MAX_HOST = 260;

/** More blanks in a row than a field that is signed may have. */
const MANY_BLANKS = /[\t ]{65}/;

/** Turns off the clock check of the library, whose error does not say that it was the clock. */
const ANY_TIME = Number.MAX_SAFE_INTEGER;

/** The errors of the library that are faults of the client. */
const CHECKS: Partial<Record<SignatureErrorCode, SignatureCheck>> = {
  [SignatureErrorCode.MissingField]: "components",
  [SignatureErrorCode.InvalidComponent]: "components",
  [SignatureErrorCode.DuplicateComponent]: "components",
  [SignatureErrorCode.UnsupportedFeature]: "components",
  [SignatureErrorCode.MalformedField]: "format",
  [SignatureErrorCode.LabelRequired]: "format",
  [SignatureErrorCode.LabelMismatch]: "format",
  [SignatureErrorCode.DuplicateLabel]: "format",
  [SignatureErrorCode.AlgorithmMismatch]: "algorithm",
  [SignatureErrorCode.PolicyViolation]: "algorithm",
};

/** Checks the signatures of requests. */
export class RequestSignatures {
  readonly #options: RequestSignaturesOptions;
  #hasWarned = false;

  constructor(options: RequestSignaturesOptions) {
    this.#options = options;
  }

  /** True for a request with a signature, valid or not. */
  has({ headers }: Request): boolean {
    if (headers.has("signature") || headers.has("signature-input")) return true;
    this.#options.telemetry.count("signatures", "none");
    return false;
  }

  /**
   * Throws `SignatureInvalid` unless the request is signed by the user's key. A request that `has` a
   * signature never counts as an unsigned one.
   *
   * @param required the components that the signature has to cover
   */
  async check(
    request: Request,
    body: Uint8Array,
    user: PublicKey,
    required: readonly string[] = SIGNED_COMPONENTS,
  ): Promise<void> {
    const { telemetry } = this.#options;
    try {
      await this.#check(request, body, user, required);
    } catch (error) {
      if (error instanceof SignatureInvalid) {
        error.covers = required;
        telemetry.count("signatures", error.members.check);
      }
      throw error;
    }
    telemetry.count("signatures", "valid");
  }

  async #check(
    request: Request,
    body: Uint8Array,
    user: PublicKey,
    required: readonly string[],
  ): Promise<void> {
    const { fingerprint } = user;
    for (const name of ["signature", "signature-input"]) {
      const length = request.headers.get(name)?.length ?? 0;
      if (length === 0)
        throw new SignatureInvalid(fingerprint, "format", `there is no ${name} field`);
      if (length > MAX_FIELD)
        throw new SignatureInvalid(fingerprint, "format", `the ${name} field is too long`);
    }
    const { publicUrl, time } = this.#options;
    const claimedOrigin = claimedOriginOf(request);
    const expectedOrigin = publicUrl ?? claimedOrigin;
    if (expectedOrigin === undefined) {
      throw new SignatureInvalid(fingerprint, "authority", "the request names no host");
    }

    const now = Math.floor(time() / 1000);
    const isFor = (origin: string) =>
      this.#isSigned(request, origin, user, (claims) =>
        checkClaims(claims, request.headers.get("content-digest") ?? "", body, user, now, required),
      );
    if (await isFor(expectedOrigin)) return;
    const { host: authority, pathname: path } = new URL(expectedOrigin + SYNC_PATH);
    const checked = { authority, path };
    if (
      claimedOrigin !== undefined &&
      claimedOrigin !== expectedOrigin &&
      (await isFor(claimedOrigin))
    ) {
      this.#warn("clients sign for another address than PUBLIC_URL: correct one of them", checked);
      const claimed = new URL(claimedOrigin).host + SYNC_PATH;
      const message = `it is for ${claimed}, and this is ${authority}${path}. Use that address, or have the server's PUBLIC_URL corrected`;
      throw new SignatureInvalid(fingerprint, "authority", message, checked);
    }
    let message = `it is not that of this key over ${request.method} ${path} at ${authority}`;
    if (publicUrl === undefined) {
      const advice =
        "if clients use another address, set PUBLIC_URL to it: a proxy changes the Host";
      this.#warn(advice, checked);
      message += ". If you use another address, have the server's PUBLIC_URL set to it";
    }
    throw new SignatureInvalid(fingerprint, "signature", message, checked);
  }

  #warn(advice: string, checked: CheckedAddress): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#options.onOtherAddress(advice, checked);
  }

  /** Whether the signature is valid for a server at this origin. Throws `SignatureInvalid`. */
  async #isSigned(
    request: Request,
    origin: string,
    user: PublicKey,
    checkClaims: (candidate: UntrustedSignatureCandidate) => void,
  ): Promise<boolean> {
    const message = {
      kind: "request",
      method: request.method,
      targetUri: origin + SYNC_PATH,
      fields: fieldsOf(request.headers),
    } as const;
    try {
      await verifySignature(message, {
        policy: {
          algorithms: [SIGNATURE_ALGORITHM],
          requiredComponents: [],
          requiredParameters: [],
          clockSkew: ANY_TIME,
        },
        resolveVerifier: (candidate) => {
          checkClaims(candidate);
          const { keys } = this.#options;
          const verify = (data: Uint8Array, signature: Uint8Array) =>
            keys.verify(user, Uint8Array.from(data), Uint8Array.from(signature));
          return { algorithm: SIGNATURE_ALGORITHM, verify };
        },
      });
      return true;
    } catch (error) {
      if (!(error instanceof SignatureError)) throw error;
      if (error.code === SignatureErrorCode.VerificationFailed) return false;
      if (error.code === SignatureErrorCode.ResolverFailed) throw error.cause;
      const check = CHECKS[error.code];
      if (check === undefined) throw error;
      throw new SignatureInvalid(user.fingerprint, check, error.message);
    }
  }
}

/** Checks the claims of a signature, before the costly verification. Throws `SignatureInvalid`. */
function checkClaims(
  { components, parameters }: UntrustedSignatureCandidate,
  digest: string,
  body: Uint8Array,
  { fingerprint }: PublicKey,
  now: number,
  required: readonly string[],
): void {
  const covered = components.flatMap(({ name, parameters }) =>
    Object.keys(parameters).length === 0 ? [name] : [],
  );
  const missing = required.filter((name) => !covered.includes(name));
  if (missing.length > 0) {
    throw new SignatureInvalid(
      fingerprint,
      "components",
      `it does not cover ${missing.join(", ")}`,
    );
  }
  if (parameters.keyid !== fingerprint) {
    throw new SignatureInvalid(
      fingerprint,
      "key",
      "its keyid is not the fingerprint of the key in the body",
    );
  }
  const { created, expires = Number.POSITIVE_INFINITY } = parameters;
  if (created === undefined)
    throw new SignatureInvalid(fingerprint, "clock", "it has no created time");
  const off = now - created;
  if (Math.abs(off) > MAX_CLOCK_SKEW_SECONDS) {
    const way = off > 0 ? "ago" : "ahead";
    throw new SignatureInvalid(
      fingerprint,
      "clock",
      `it was created ${Math.abs(off)} s ${way} by this clock`,
    );
  }
  if (expires < now)
    throw new SignatureInvalid(fingerprint, "clock", `it expired ${now - expires} s ago`);
  const fault = digestFault(digest, body);
  if (fault !== undefined) throw new SignatureInvalid(fingerprint, "digest", fault);
}

/**
 * The `Accept-Signature` field (RFC 9421, section 5) that asks a user for a signature.
 *
 * @param required the components that it has to cover
 */
export function acceptSignature(
  user: Fingerprint,
  required: readonly string[] = SIGNED_COMPONENTS,
): string {
  return `sig=${coveredComponents(required)};created;keyid="${user}";alg="${SIGNATURE_ALGORITHM}"`;
}

/** The origin that a request is for by its own account; `undefined` where that is no origin. */
export function claimedOriginOf({ headers, url }: Request): string | undefined {
  // HTTP/2 has no Host: some runtimes have it in the URL only.
  const host = headers.get("host") ?? (URL.canParse(url) ? new URL(url).host : "");
  // The port of a scheme is left out of what is signed, and the server does not see the scheme.
  const origin = `${host.endsWith(":443") ? "https" : "http"}://${host}`;
  // A longer one is no name of a host, and decoding it (IDNA) takes time that grows faster than it.
  if (host.length > MAX_HOST) return undefined;
  const isHost = /^[^/?#@\\\s]+$/.test(host) && URL.canParse(origin);
  return isHost ? origin : undefined;
}

/**
 * The fields that can be signed. The library refuses a message with other characters in a field, and
 * trims values in a time that grows with the square of the blanks in a row.
 */
function fieldsOf(headers: Headers): { name: string; value: string }[] {
  return [...headers]
    .filter(([, value]) => /^[\t\x20-\x7e]*$/.test(value) && !MANY_BLANKS.test(value))
    .map(([name, value]) => ({ name, value }));
}
