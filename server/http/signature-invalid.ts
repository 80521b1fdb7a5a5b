/** Why the signature of a request is refused. */
import type { Fingerprint } from "../../oplog/names.ts";
import { SIGNED_COMPONENTS } from "../../protocol/signature.ts";

/** The checks that a signature can fail; PROTOCOL.md says what to do about each. */
export const SIGNATURE_CHECKS = [
  "format",
  "components",
  "algorithm",
  "key",
  "clock",
  "digest",
  "authority",
  "signature",
] as const;
export type SignatureCheck = (typeof SIGNATURE_CHECKS)[number];

/** The address that a signature was checked for: `@authority` and `@path`. */
export interface CheckedAddress {
  readonly authority: string;
  readonly path: string;
}

/** Refused: the signature of the request is invalid. The message says why. */
export class SignatureInvalid extends Error {
  override name = "SignatureInvalid";
  readonly code = "signature-invalid";
  readonly members: { readonly check: SignatureCheck } & Partial<CheckedAddress>;
  readonly user: Fingerprint;
  /** The components that the signature has to cover. */
  covers: readonly string[] = SIGNED_COMPONENTS;
  constructor(
    user: Fingerprint,
    check: SignatureCheck,
    message: string,
    address: Partial<CheckedAddress> = {},
  ) {
    super(message);
    this.members = { check, ...address };
    this.user = user;
  }
}
