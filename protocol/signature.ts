/** The signature base of a request: HTTP Message Signatures (RFC 9421) as PROTOCOL.md profiles them. */

/** The algorithm, by its name in the registry of RFC 9421. */
export const SIGNATURE_ALGORITHM = "rsa-pss-sha512";

/** The salt of RSASSA-PSS in that algorithm, in bytes (RFC 9421, section 3.3.1). */
export const SIGNATURE_SALT_BYTES = 64;

/** The components that a signature must cover, in the order of the signature base. */
export const SIGNED_COMPONENTS = [
  "@method",
  "@authority",
  "@path",
  "content-type",
  "content-digest",
] as const;

/** The largest difference between the times of a signature and of the server. */
export const MAX_CLOCK_SKEW_SECONDS = 300;

/** The component that a signature must cover as well where the request has an invite. */
export const INVITE_COMPONENT = "sync-invite";

/** The component that it must cover if the request names a guest. */
export const GUEST_COMPONENT = "sync-guest";

/** Header fields that a signature must cover where the request has them. */
export type SignedFields = Readonly<
  Partial<Record<typeof INVITE_COMPONENT | typeof GUEST_COMPONENT, string>>
>;

/** The values of the covered components, in the order of the signature base. */
export type SignedValues = Readonly<Record<(typeof SIGNED_COMPONENTS)[number], string>> &
  SignedFields;

/** Covered components in the form that `Signature-Input` has. */
export function coveredComponents(names: readonly string[]): string {
  return `(${names.map((name) => `"${name}"`).join(" ")})`;
}

/**
 * The parameters of a signature and its signature base, the text that is signed (RFC 9421, section
 * 2.5).
 *
 * @param created seconds of Unix time
 */
export function signatureBase(
  fingerprint: string,
  created: number,
  values: SignedValues,
): { readonly base: string; readonly parameters: string } {
  const parameters = `${coveredComponents(Object.keys(values))};created=${created};keyid="${fingerprint}";alg="${SIGNATURE_ALGORITHM}"`;
  const lines = Object.entries(values).map(([name, value]) => `"${name}": ${value}`);
  return { base: [...lines, `"@signature-params": ${parameters}`].join("\n"), parameters };
}
