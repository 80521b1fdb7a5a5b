/** A sync request to change, and ways to send what no client would send. */
import assert from "node:assert/strict";
import net from "node:net";
import { newClient, newUser } from "./users.ts";

export const LAST_INDEX = Number.MAX_SAFE_INTEGER;
export const MAX_BODY = 8192;
export const user = newUser().base64;
export const client = newClient();
export const payload = "a payload that nobody may see again";
export const other = newClient();

/** A valid request with some members changed; `undefined` leaves one out. */
export function body(changes: Record<string, unknown> = {}): string {
  const right = { user, client_id: client, operation_index: 0, sync_status: {}, payload };
  return JSON.stringify({ ...right, ...changes });
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: { pointer: string; detail: string }[];
}

/** Checks what holds for every refusal, and returns the problem. */
export function problemIn(
  status: number,
  headers: Headers,
  text: string,
  secrets: string[],
): Problem {
  assert.equal(headers.get("content-type"), "application/problem+json");
  assert.equal(headers.get("cache-control"), "no-store");
  const problem: Problem = JSON.parse(text);
  assert.equal(problem.status, status);
  assert.match(problem.type, /^urn:sync-server:[a-z-]+$/);
  assert.match(problem.detail, /^.{20,}\.$/);
  for (const secret of secrets)
    assert.ok(!text.includes(secret.slice(0, 24)), "a secret is quoted");
  return problem;
}

/** The parts of an answer that came over a bare socket. */
export function parsed(answer: string): { status: number; headers: Headers; text: string } {
  const [head = "", ...rest] = answer.split("\r\n\r\n");
  const [line = "", ...fields] = head.split("\r\n");
  const pairs = fields.map((field): [string, string] => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon), field.slice(colon + 1).trim()];
  });
  const text = /\{.*\}/.exec(rest.join(""))?.[0] ?? "";
  return { status: Number(line.split(" ")[1]), headers: new Headers(pairs), text };
}

/** Sends bytes over a bare socket; returns the answer up to the end of a problem. */
export async function overSocket(
  port: number,
  bytes: string | Uint8Array,
  leave = false,
): Promise<string> {
  const socket = net.connect(port, "localhost");
  let answer = "";
  const answered = new Promise<void>((resolve) => {
    socket.on("data", (data) => {
      answer += data;
      if (answer.includes("}\n")) resolve();
    });
    socket.on("close", () => resolve());
    // "close" follows when the server breaks the connection.
    socket.on("error", () => resolve());
  });
  // A server that waits for more must not block the test.
  socket.setTimeout(10_000, () => socket.destroy());
  socket.write(bytes);
  if (leave) socket.end();
  await answered;
  socket.destroy();
  return answer;
}

export const POST = "POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
