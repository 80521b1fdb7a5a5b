import { type Pair, runLoad, type TimedLoad } from "./load.ts";
import type { HttpProcess } from "./process.ts";
import { syncRequest, upToDateWith } from "./requests.ts";
import type { Sample } from "./sample.ts";
import { PAYLOAD_BYTES, payloadOf } from "./seed.ts";
import { clientOf, type User, userOf } from "./users.ts";

/** The users whose clients append at once. */
export type Users = "different users" | "one user";

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

/** A load of appends by new clients, as many as are in flight. */
export function appendLoad(users: Users, inFlight: number): TimedLoad {
  const clients =
    users === "one user"
      ? appendersOf(userOf("append one", inFlight), inFlight)
      : Array.from({ length: inFlight }, (_, i) => {
          return new AppendingClient(userOf(`append ${inFlight}`, i), clientOf(1));
        });
  return (process, seconds) => runAppends(process, clients, seconds);
}

/** A load of appends, one after the other, each followed by a poll of another client that gets it. */
export function deliveryLoad(): TimedLoad {
  const [user, client] = [userOf("delivery", 0), clientOf(1)];
  const appender = new AppendingClient(user, client);
  const poll = (index: number) =>
    syncRequest(
      JSON.stringify({
        client_id: clientOf(2),
        sync_status: index === 0 ? {} : { [client]: index - 1 },
        user: user.key,
      }),
    );
  let index = 0;
  const next = (): Pair => [appender.next(), poll(index++)];
  return (process, seconds) => runLoad(process, { connections: 1, seconds, next });
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
