/** Requests as bytes, prepared before the measurement begins. */
import { clientOf, SEEDER, type User } from "./users.ts";

/** `POST /sync` with a body of this many bytes, up to the body. */
export function syncHead(length: number, fields: Readonly<Record<string, string>> = {}): string {
  const more = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more.join("")}\r\n`;
}

/** `POST /sync` with a body of JSON, as text. */
export function syncRequest(json: string, fields?: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(syncHead(Buffer.byteLength(json), fields) + json);
}

/** A request for a file, which the HTTP baseline streams. */
export function fileRequest(path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
}

/**
 * The body of a poll by a client that has all of a seeded log, and everything that `others` append
 * during the measurement.
 */
export function pollBody(user: User, operations: number, others = 0): string {
  const ahead = Array.from({ length: others }, (_, i) => clientOf(i + 1));
  const sync_status = { [SEEDER]: operations - 1, ...upToDateWith(ahead) };
  return JSON.stringify({ client_id: clientOf(0xfff), sync_status, user: user.key });
}

export function pollRequest(user: User, operations: number, others = 0): Buffer {
  return syncRequest(pollBody(user, operations, others));
}

/** The first request of a new device, which is sent the whole log. */
export function firstSyncRequest(user: User): Buffer {
  return syncRequest(JSON.stringify({ client_id: clientOf(1), user: user.key }));
}

/** A sync status by which nothing of these clients is sent, however much they append. */
export function upToDateWith(clients: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(clients.map((client) => [client, Number.MAX_SAFE_INTEGER]));
}
