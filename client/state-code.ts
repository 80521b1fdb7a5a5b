import { sha256, utf8 } from "../protocol/bytes.ts";
import type { Head } from "./types.ts";

/** The digits and capital letters but those that look like others (Crockford's base 32). */
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * A short code over the newest operation of each client id, such as `7K3M-9QXA`: two devices with the
 * same operations have the same one (ENVELOPE.md, E-3.10).
 */
export async function stateCode(heads: readonly Head[]): Promise<string> {
  const lines = heads.map(({ client, index, tag }) => `${client} ${index} ${tag}\n`).sort();
  const hash = await sha256(utf8(lines.join("")));
  // Forty bits, five for each digit.
  let bits = 0n;
  for (const byte of hash.subarray(0, 5)) bits = bits * 256n + BigInt(byte);
  const digits = Array.from(
    { length: 8 },
    (_, i) => DIGITS[Number((bits >> BigInt(35 - 5 * i)) & 31n)],
  );
  return `${digits.slice(0, 4).join("")}-${digits.slice(4).join("")}`;
}
