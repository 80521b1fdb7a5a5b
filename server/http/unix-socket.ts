/** The place of a Unix socket: `HOST=unix:/run/sync.sock`. */
import { chmodSync, lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";

const PREFIX = "unix:";

/** Who may connect: the account of the server and its group, to which a proxy can belong. */
const MODE = 0o660;

/** The path of the socket that a host names; `undefined` for any other host. */
export function socketPath(host: string): string | undefined {
  return host.startsWith(PREFIX) ? host.slice(PREFIX.length) : undefined;
}

/** Removes the socket that a process left when it was killed. Throws where another one listens. */
export async function clearSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} exists, and is not a socket`);
  if (await isListening(path)) throw new Error(`another process listens on ${path}`);
  rmSync(path, { force: true });
}

/** Lets the group connect. Until then only the account of the server can. */
export function shareSocket(path: string): void {
  chmodSync(path, MODE);
}

/** Removes the socket of a server that has stopped. */
export function removeSocket(path: string): void {
  rmSync(path, { force: true });
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect({ path });
    const answer = (listening: boolean) => {
      connection.destroy();
      resolve(listening);
    };
    connection.once("connect", () => answer(true));
    connection.once("error", () => answer(false));
  });
}
