import { runLoad } from "./load.ts";
import type { HttpProcess } from "./process.ts";
import { syncRequest, upToDateWith } from "./requests.ts";
import type { Sample } from "./sample.ts";
import { PAYLOAD_BYTES, payloadOf } from "./seed.ts";
import { clientOf, type User } from "./users.ts";

/** A client that appends one operation after the other. */
export class AppendingClient {
  readonly #user: User;
  readonly #client: string;
  /** Suppresses the operations of other clients in the responses: they are not to be measured. */
  readonly #syncStatus: Readonly<Record<string, number>>;
  #index = 0;

  /** @param others the other clients of the user */
  constructor(user: User, client: string, others: readonly string[] = []) {
    this.#user = user;
    this.#client = client;
    this.#syncStatus = upToDateWith(others);
  }

  next(): Buffer {
    const index = this.#index++;
    return syncRequest(
      JSON.stringify({
        client_id: this.#client,
        operation_index: index,
        sync_status: this.#syncStatus,
        payload: payloadOf(index, PAYLOAD_BYTES),
        user: this.#user.key,
      }),
    );
  }
}

/** Clients of one user. None is sent the operations of the others. */
export function appendersOf(
  user: User,
  count: number,
  others: readonly string[] = [],
): AppendingClient[] {
  const clients = Array.from({ length: count }, (_, i) => clientOf(i + 1));
  return clients.map((client) => {
    const siblings = clients.filter((sibling) => sibling !== client);
    return new AppendingClient(user, client, [...siblings, ...others]);
  });
}

/** Lets each client append over its own connection. */
export function runAppends(
  process: HttpProcess,
  appenders: readonly AppendingClient[],
  seconds: number,
): Promise<Sample> {
  return runLoad(process, {
    connections: appenders.length,
    seconds,
    next: (connection) => appenders[connection]?.next() ?? Buffer.of(),
  });
}
