import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startDeadline } from "./deadline.ts";

/** A sync request over a bare socket: the response's bytes as they come, and how it ends. */
export interface RawResponse {
  readonly socket: net.Socket;
  /** Bytes received so far, the head included. */
  readonly received: () => number;
  /** The first bytes received, the head among them. */
  readonly start: () => string;
  /** Resolves at the end: true if the response said itself that it was complete. */
  readonly complete: Promise<boolean>;
}

const LAST_CHUNK = "0\r\n\r\n";

/**
 * Sends the request and reads on; the caller may pause, resume or destroy the socket.
 *
 * @param wait how many seconds the request waits for news; none unless given
 */
export function postRaw(port: number, body: unknown, wait?: number): RawResponse {
  const text = JSON.stringify(body);
  const prefer = wait === undefined ? "" : `Prefer: wait=${wait}\r\n`;
  const socket = net.connect(port, "localhost");
  let received = 0;
  let start = "";
  let end = "";
  socket.on("connect", () => {
    socket.write(
      `POST /sync HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n${prefer}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  });
  socket.on("data", (data) => {
    received += data.byteLength;
    if (start.length < 2000) start += data.toString("latin1");
    end = (end + data.subarray(-LAST_CHUNK.length).toString("latin1")).slice(-LAST_CHUNK.length);
  });
  const complete = new Promise<boolean>((resolve) => {
    const finish = () => resolve(end === LAST_CHUNK || isWhole(start, received));
    // A connection that is broken may show as an error; it always closes.
    socket.on("error", finish);
    socket.on("close", finish);
  });
  return { socket, received: () => received, start: () => start, complete };
}

/** Whether so many bytes of a response are all that its head has announced. */
function isWhole(start: string, received: number): boolean {
  const head = start.indexOf("\r\n\r\n") + 4;
  const [, length] = /^content-length: (\d+)\r$/im.exec(start.slice(0, head)) ?? [];
  return length !== undefined && received === head + Number(length);
}

/** Between two looks, in milliseconds. What takes long is looked at less often: a look takes CPU. */
const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 100;

/** Waits until a condition holds. Fails, naming the condition, if that takes too long. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = String(condition),
): Promise<void> {
  const { lost, end } = startDeadline(() => what);
  try {
    // The loss comes first: of a race in which all are over, the first one listed has won.
    for (let pause = FIRST_PAUSE; !(await Promise.race([lost, condition()])); ) {
      await sleep(pause);
      pause = Math.min(1.3 * pause, LONGEST_PAUSE);
    }
  } finally {
    end();
  }
}

/** Waits until a number has not changed for half a second, and returns it. */
export async function settled(read: () => number): Promise<number> {
  let value = Number.NaN;
  let since = performance.now();
  await until(() => {
    if (read() !== value) [value, since] = [read(), performance.now()];
    return performance.now() - since > 500;
  });
  return value;
}
