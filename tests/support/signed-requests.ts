/** Signed requests to a server whose clock stands still, and what holds for their refusals. */
import assert from "node:assert/strict";
import { MemoryDriver } from "../../storage/memory.ts";
import {
  type Deviations,
  type FullAnswer,
  type InProcessServer,
  inProcessServer,
  SERVER,
  type SigningUser,
  signedHeaders,
  syncBody,
} from "./signing.ts";

/** The time of the server, in seconds of Unix time. */
export const NOW = 1_800_000_000;

/** A server whose clock stands still. */
export function atNow(
  settings: Record<string, string> = {},
): InProcessServer & { driver: MemoryDriver } {
  const driver = new MemoryDriver();
  return { driver, ...inProcessServer(settings, driver, { time: () => NOW * 1000 }) };
}

/** Checks what holds for every 401 of a user. */
export function assertRefused(
  user: SigningUser,
  { status, headers, problem, text }: FullAnswer,
  check: string | undefined,
): void {
  assert.equal(status, 401, text);
  const type = check === undefined ? "signature-required" : "signature-invalid";
  assert.equal(problem.type, `urn:sync-server:${type}`);
  assert.equal(problem.check, check, text);
  assert.match(String(problem.detail), /Nothing was stored\. Sign .*as Accept-Signature says\.$/);
  assert.equal(headers.get("date"), new Date(NOW * 1000).toUTCString());
  assert.equal(headers.get("www-authenticate"), "Signature");
  assert.equal(
    headers.get("accept-signature"),
    `sig=("@method" "@authority" "@path" "content-type" "content-digest");created;keyid="${user.fingerprint}";alg="rsa-pss-sha512"`,
  );
}

/** Sends a request of a user with a valid signature but for some deviations. */
export async function sendSigned(
  user: SigningUser,
  server: InProcessServer,
  deviations: Deviations = {},
  change: (headers: Record<string, string>) => Record<string, string> = (headers) => headers,
  body = syncBody(user, { operation_index: 0, payload: "a payload" }),
  url = SERVER,
): Promise<FullAnswer> {
  const right = { created: NOW, ...deviations };
  const headers = await signedHeaders(user, { url: SERVER, body }, right);
  return server.send(body, change(headers), "POST", url);
}

/** Headers with a part of their `Signature-Input` replaced. */
export function replace(
  headers: Record<string, string>,
  from: string,
  to: string,
): Record<string, string> {
  const input = headers["Signature-Input"] ?? "";
  assert.ok(input.includes(from), from);
  return { ...headers, "Signature-Input": input.replace(from, to) };
}

/** A signature with one bit changed. */
export function flipped(signature: string): string {
  const bytes = Buffer.from(signature.slice("sig=:".length, -1), "base64");
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  return signatureOf(bytes);
}

export function signatureOf(bytes: Buffer): string {
  return `sig=:${bytes.toString("base64")}:`;
}
