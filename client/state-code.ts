import { sha256, utf8 } from "../protocol/bytes.ts";
import { Input } from "./binary.ts";
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
  const bits = new Input(hash).number(5);
  const digits = Array.from({ length: 8 }, (_, i) => DIGITS[Math.floor(bits / 32 ** (7 - i)) % 32]);
  return `${digits.slice(0, 4).join("")}-${digits.slice(4).join("")}`;
}
