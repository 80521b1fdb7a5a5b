/** Stores an identity in a browser as `CryptoKey` objects, whose bytes no page can read. */
import { BrowserDatabase, result } from "../browser-database.ts";
import { isHead } from "../stores/stored-values.ts";
import type { Expected, Identity, IdentityKeys } from "../types.ts";

const TABLE = "identity";
const KEY = "current";

/**
 * Loads an identity; `undefined` if there is none. One that is damaged counts as none, and is kept
 * under another key. Rejects with the error of the database.
 *
 * @param name of the app, shared by all pages of an origin
 */
export async function loadIdentity(name: string): Promise<Identity | undefined> {
  const stored = await withTable<unknown>(name, "readonly", (table) => table.get(KEY));
  if (stored === undefined || isIdentity(stored)) return stored;
  await withTable(name, "readwrite", (table) => {
    table.put(stored, `damaged ${new Date().toISOString()}`);
    return table.delete(KEY);
  });
  return undefined;
}

/** Stores an identity durably, and replaces an earlier one of the same name. */
export async function saveIdentity(name: string, identity: Identity): Promise<void> {
  await withTable(name, "readwrite", (table) => table.put(identity, KEY));
}

/** Deletes an identity. Only the text from `createIdentity` brings it back. */
export async function forgetIdentity(name: string): Promise<void> {
  await withTable(name, "readwrite", (table) => table.delete(KEY));
}

async function withTable<Value>(
  name: string,
  mode: IDBTransactionMode,
  work: (table: IDBObjectStore) => IDBRequest<Value>,
): Promise<Value> {
  const database = await BrowserDatabase.open({
    name: `${name} identity`,
    create: (created) => created.createObjectStore(TABLE),
  });
  try {
    return await database.transaction([TABLE], mode, (table) => result(work(table(TABLE))));
  } finally {
    database.close();
  }
}

/** The keys of an identity. */
const KEYS: readonly (keyof IdentityKeys)[] = ["wrap", "unwrap", "sign", "verify", "signRequests"];

function isIdentity(stored: unknown): stored is Identity {
  const { fingerprint, publicKey, bits, keys, expected }: Partial<Record<keyof Identity, unknown>> =
    Object(stored);
  const found: Partial<Record<keyof IdentityKeys, unknown>> = Object(keys);
  return (
    typeof fingerprint === "string" &&
    typeof publicKey === "string" &&
    typeof bits === "number" &&
    KEYS.every((key) => found[key] instanceof CryptoKey) &&
    (expected === undefined || isExpected(expected))
  );
}

function isExpected(stored: unknown): boolean {
  const { heads, since }: Partial<Record<keyof Expected, unknown>> = Object(stored);
  return Array.isArray(heads) && heads.every(isHead) && typeof since === "number";
}
