/** What the cases of the contract of a store work with. */
import type { OwnClient, Store } from "../../client/stores/store.ts";
import type { Cursor } from "../../client/types.ts";

/** A place for stores, empty at first. */
export interface StorePlace {
  /** Opens a store, as a client does when it starts. */
  readonly open: () => Promise<Store>;
  /** Whether a place can be open twice. The second client gets another store then. */
  readonly shared: boolean;
}

export interface StoreCase {
  readonly name: string;
  /** Throws when the store violates the contract. */
  readonly run: (place: StorePlace) => Promise<void>;
}

export const A = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
export const B = "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22";
export const C = "3b241101-e2bb-4255-8caf-4136c566a962";
export const ALL = Number.POSITIVE_INFINITY;

export function cursor(client: string, index: number): Cursor {
  const [tag, previous] = ["47DEQpj8HBSa-_TImW-5JA", "AAAAAAAAAAAAAAAAAAAAAA"];
  return { client, index, tag, previous, session: { first: 0, secret: "c2VjcmV0" } };
}

/** Throws unless two values are the same as JSON: for suites that run in browsers as well. */
export function same(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`got ${a}, expected ${b}`);
}

/** @param name of the error */
export async function fails(work: Promise<unknown>, name?: string): Promise<void> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => (reason instanceof Error ? reason : new Error(String(reason))),
  );
  if (error === undefined) throw new Error("expected a rejection");
  if (name !== undefined) same(error.name, name);
}

/** The state of a store, with the cursors sorted. */
export async function stateOf(store: Store) {
  const { own, drafts, cursors, starts } = await store.load();
  return {
    // Without members that are undefined, in one order.
    own: own.map(({ client, length, acknowledged, highWater, delivered, moved }): OwnClient => {
      const counts = { client, length, acknowledged, highWater };
      return { ...counts, ...(delivered && { delivered }), ...(moved && { moved }) };
    }),
    drafts,
    cursors: sorted(cursors),
    starts: sorted(starts),
  };
}

function sorted(cursors: readonly Cursor[]): Cursor[] {
  const inOrder = [...cursors].sort((one, other) => (one.client < other.client ? -1 : 1));
  return inOrder.map(({ client, index, tag, previous, session, continues }) => {
    return { client, index, tag, previous, session, ...(continues && { continues }) };
  });
}
