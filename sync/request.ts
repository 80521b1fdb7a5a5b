/** The requests of the protocol: their rules, and what is wrong with those that break them. */

import type { Covers } from "../oplog/batch.ts";
import type { Fingerprint } from "../oplog/names.ts";
import { isOperationIndex, MAX_INDEX, parseClientId } from "../protocol/ids.ts";
import { MAX_OPERATIONS } from "../protocol/limits.ts";
import { InvalidPublicKey, type PublicKey, type PublicKeyCache } from "./public-key.ts";

/** A request to erase a user, and the part that every request has. */
export interface EraseRequest {
  readonly user: Fingerprint;
  readonly key: PublicKey;
}

/** The operations to append: their payloads, and the operation index of the first. */
export interface AppendRequest {
  readonly first: number;
  readonly payloads: readonly string[];
  /** What the one operation covers, where it is a snapshot. */
  readonly snapshot?: Covers | undefined;
}

/** A valid sync request. */
export interface SyncRequest extends EraseRequest {
  /** Lower case. */
  readonly client: string;
  readonly append: AppendRequest | undefined;
  /** Whether the sender can go on from a snapshot. */
  readonly takesSnapshots?: boolean;
  /** For each client, the last operation index the sender is aware of; its own included. */
  readonly versionVector: ReadonlyMap<string, number>;
}

/** What is wrong with a request, and where: a JSON pointer as RFC 9457 shows it. */
export interface ValidationIssue {
  readonly pointer: string;
  readonly detail: string;
}

/** Refused: members of the request break their rules. */
export class InvalidRequest extends Error {
  override name = "InvalidRequest";
  readonly code = "invalid-request";
  readonly members: { readonly errors: readonly ValidationIssue[] };

  /** @param issues at least one */
  constructor(issues: readonly ValidationIssue[]) {
    const [{ pointer, detail } = { pointer: "#", detail: "is invalid" }] = issues;
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more in "errors")` : "";
    super(`${pointer} ${detail}${more}. Nothing was stored.`);
    this.members = { errors: issues };
  }
}

/** Issues listed at most: a body may have one in every few bytes. */
const MAX_ISSUES = 100;

/** Characters of an unknown name or path that an answer repeats at most. */
const MAX_ECHO = 64;

const uuidRule = "must be a UUID such as 5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const indexRule = `must be a whole number from 0 to ${MAX_INDEX}`;
const indexMissing = "is missing: a payload needs the operation index it is stored under";
const indexTooHigh = `is too high: the last operation's index would be above ${MAX_INDEX}`;
const coversRule = "must be an object with one member, covers";
const aloneRule = "needs a payload that is one string: the operation that is the snapshot";
const ownRule =
  "must name the sender with the index before operation_index, and not where that is 0";
const payloadRule = "must be a string that is not empty and has no lone surrogates";

const ERASE_MEMBERS: ReadonlySet<string> = new Set(["user"]);
const SYNC_MEMBERS: ReadonlySet<string> = new Set([
  "user",
  "client_id",
  "operation_index",
  "sync_status",
  "payload",
  "snapshot",
  "snapshots",
]);

type Members = Readonly<Record<string, unknown>>;

/**
 * Parses requests. The public keys in them are cached. Written out instead of as schemas, which take
 * twice as long.
 */
export class RequestParser {
  readonly #keys: PublicKeyCache;

  constructor(keys: PublicKeyCache) {
    this.#keys = keys;
  }

  /** The sync request in a JSON document. Throws `InvalidRequest`. */
  readonly sync = (json: unknown): SyncRequest => {
    const members = membersOf(json);
    const issues: ValidationIssue[] = [];
    const key = this.#keyIn(members, issues);
    const client = clientIn(members, issues);
    const first = firstIn(members, issues);
    const versionVector = indexesIn(members.sync_status, ["sync_status"], issues);
    const payloads = payloadsIn(members, issues);
    const snapshot = snapshotIn(members, issues);
    const last = first === undefined ? -1 : first + ((payloads?.length ?? 1) - 1);
    if (issues.length === 0) {
      if (last > MAX_INDEX) issues.push(issueAt(indexTooHigh, "operation_index"));
      if (first === undefined && payloads !== undefined) {
        issues.push(issueAt(indexMissing, "operation_index"));
      }
      if (snapshot !== undefined && typeof members.payload !== "string") {
        issues.push(issueAt(aloneRule, "snapshot"));
      } else if (client !== undefined && snapshot?.get(client) !== ownIn(snapshot, first)) {
        issues.push(issueAt(ownRule, "snapshot", "covers"));
      }
    }
    addUnknown(members, SYNC_MEMBERS, "is not a member of a sync request", issues);
    if (key === undefined || client === undefined || issues.length > 0) throw invalid(issues);
    // The client holds what it sends, so none of it is sent back.
    if (last > (versionVector.get(client) ?? -1)) versionVector.set(client, last);
    const append =
      payloads === undefined || first === undefined ? undefined : { first, payloads, snapshot };
    const takesSnapshots = members.snapshots === true;
    return { user: key.fingerprint, key, client, append, versionVector, takesSnapshots };
  };

  /** The request to erase a user in a JSON document. Throws `InvalidRequest`. */
  readonly erase = (json: unknown): EraseRequest => {
    const members = membersOf(json);
    const issues: ValidationIssue[] = [];
    const key = this.#keyIn(members, issues);
    addUnknown(members, ERASE_MEMBERS, "is not a member of a request to erase", issues);
    if (key === undefined || issues.length > 0) throw invalid(issues);
    return { user: key.fingerprint, key };
  };

  #keyIn({ user }: Members, issues: ValidationIssue[]): PublicKey | undefined {
    if (typeof user !== "string") {
      const detail = "must be a string: the user's RSA public key";
      issues.push(issueAt(user === undefined ? "is missing" : detail, "user"));
      return undefined;
    }
    try {
      return this.#keys.keyOf(user);
    } catch (error) {
      if (!(error instanceof InvalidPublicKey)) throw error;
      issues.push(issueAt(error.message, "user"));
      return undefined;
    }
  }
}

function clientIn({ client_id: text }: Members, issues: ValidationIssue[]): string | undefined {
  const client = typeof text === "string" ? parseClientId(text) : undefined;
  if (client === undefined) {
    issues.push(issueAt(text === undefined ? "is missing" : uuidRule, "client_id"));
  }
  return client;
}

function firstIn({ operation_index: first }: Members, issues: ValidationIssue[]) {
  if (first === undefined || isOperationIndex(first)) return first;
  issues.push(issueAt(indexRule, "operation_index"));
  return undefined;
}

/** What an object says of each client, by operation index: a sync status, or what a snapshot covers. */
function indexesIn(
  object: unknown,
  keys: readonly string[],
  issues: ValidationIssue[],
): Map<string, number> {
  const indexes = new Map<string, number>();
  if (object === undefined) return indexes;
  if (!isObject(object)) {
    issues.push(issueAt("must be an object of client id to operation index", ...keys));
    return indexes;
  }
  for (const [key, value] of Object.entries(object)) {
    const client = parseClientId(key);
    const isTwice = client !== undefined && indexes.has(client);
    if (client !== undefined && !isTwice && isOperationIndex(value)) {
      indexes.set(client, value);
      continue;
    }
    if (client === undefined) issues.push(issueAt(`the key ${uuidRule}`, ...keys, key));
    if (isTwice) issues.push(issueAt("this client is named twice", ...keys, key));
    if (!isOperationIndex(value)) issues.push(issueAt(indexRule, ...keys, key));
    if (issues.length >= MAX_ISSUES) break;
  }
  return indexes;
}

/** What the snapshot of a request covers; `undefined` where there is none, or it is invalid. */
function snapshotIn(
  { snapshot, snapshots }: Members,
  issues: ValidationIssue[],
): Map<string, number> | undefined {
  if (snapshots !== undefined && typeof snapshots !== "boolean") {
    issues.push(issueAt("must be true or false", "snapshots"));
  }
  if (snapshot === undefined) return undefined;
  if (!isObject(snapshot) || Object.keys(snapshot).join() !== "covers") {
    issues.push(issueAt(coversRule, "snapshot"));
    return undefined;
  }
  const covers = indexesIn(snapshot.covers, ["snapshot", "covers"], issues);
  if (issues.length === 0 && covers.size === 0) {
    issues.push(issueAt("must name at least one client", "snapshot", "covers"));
  }
  return covers;
}

/** What a snapshot has to cover of its own client. */
function ownIn(snapshot: Covers | undefined, first: number | undefined): number | undefined {
  return snapshot === undefined || first === undefined || first === 0 ? undefined : first - 1;
}

function payloadsIn(
  { payload }: Members,
  issues: ValidationIssue[],
): readonly string[] | undefined {
  if (payload === undefined) return undefined;
  if (!Array.isArray(payload)) {
    if (isPayload(payload)) return [payload];
    issues.push(issueAt(payloadRule, "payload"));
    return undefined;
  }
  const batch: readonly unknown[] = payload;
  const payloads: string[] = [];
  if (batch.length === 0) issues.push(issueAt("must not be empty", "payload"));
  if (batch.length > MAX_OPERATIONS) {
    const detail = `must have at most ${MAX_OPERATIONS} operations: send them in parts`;
    issues.push(issueAt(detail, "payload"));
    return payloads;
  }
  for (const [i, value] of batch.entries()) {
    if (isPayload(value)) payloads.push(value);
    else issues.push(issueAt(payloadRule, "payload", String(i)));
    if (issues.length >= MAX_ISSUES) break;
  }
  return payloads;
}

/** Adds an issue for each member that is unknown. Not ignored: a misspelt one would be lost silently. */
function addUnknown(
  members: Members,
  known: ReadonlySet<string>,
  detail: string,
  issues: ValidationIssue[],
): void {
  for (const name of Object.keys(members)) {
    if (issues.length >= MAX_ISSUES) return;
    if (!known.has(name)) issues.push(issueAt(detail, name));
  }
}

function membersOf(json: unknown): Members {
  if (isObject(json)) return json;
  throw invalid([{ pointer: "#", detail: "must be a JSON object" }]);
}

function invalid(issues: readonly ValidationIssue[]): InvalidRequest {
  return new InvalidRequest(issues.slice(0, MAX_ISSUES));
}

function issueAt(detail: string, ...keys: readonly string[]): ValidationIssue {
  return { pointer: pointerTo(keys), detail };
}

function isPayload(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.isWellFormed();
}

function isObject(input: unknown): input is Members {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

/** A JSON pointer as a URI fragment (RFC 6901). A long key is cut: the sender chooses it. */
function pointerTo(keys: readonly string[]): string {
  const parts = keys.map((key) => shortened(key).replaceAll("~", "~0").replaceAll("/", "~1"));
  return parts.reduce((pointer, part) => `${pointer}/${part}`, "#");
}

/** A text from outside, cut so that an answer does not grow with it. */
export function shortened(text: string): string {
  // A cut in the middle of a surrogate pair leaves no valid text.
  return text.length <= MAX_ECHO ? text : `${text.slice(0, MAX_ECHO).toWellFormed()}…`;
}
