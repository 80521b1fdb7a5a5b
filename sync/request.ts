/** The requests of the protocol: their schemas, and what is wrong with those that break them. */
import * as v from "valibot";
import type { Fingerprint } from "../oplog/names.ts";
import { isOperationIndex, MAX_INDEX, parseClientId } from "../protocol/ids.ts";
import { MAX_OPERATIONS } from "../protocol/limits.ts";
import { InvalidPublicKey, type PublicKey, type PublicKeyCache } from "./public-key.ts";

/** A request to erase a user, and the part that every request has. */
export interface EraseRequest {
  readonly user: Fingerprint;
  readonly key: PublicKey;
}

/** A valid sync request. */
export interface SyncRequest extends EraseRequest {
  /** Lower case. */
  readonly client: string;
  /** The operations to append: their payloads, and the operation index of the first. */
  readonly append: { readonly first: number; readonly payloads: readonly string[] } | undefined;
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
const payloadRule = "must be a string that is not empty and has no lone surrogates";

const ClientId = v.pipe(
  v.string(uuidRule),
  v.check((text) => parseClientId(text) !== undefined, uuidRule),
  v.toLowerCase(),
);

const OperationIndex = v.custom<number>(isOperationIndex, indexRule);

const Payloads = v.pipe(
  v.custom<unknown>((input) => typeof input === "string" || Array.isArray(input), payloadRule),
  v.rawTransform(({ dataset: { value: input }, addIssue }) => {
    const batch: readonly unknown[] = Array.isArray(input) ? input : [input];
    const payloads: string[] = [];
    if (batch.length === 0) addIssue({ message: "must not be empty" });
    if (batch.length > MAX_OPERATIONS) {
      addIssue({ message: `must have at most ${MAX_OPERATIONS} operations: send them in parts` });
      return payloads;
    }
    for (const [key, value] of batch.entries()) {
      if (isPayload(value)) payloads.push(value);
      else if (batch === input) {
        const path = { type: "array", origin: "value", input: batch, key, value } as const;
        addIssue({ message: payloadRule, path: [path] });
      } else addIssue({ message: payloadRule });
      if (key - payloads.length >= MAX_ISSUES) break;
    }
    return payloads;
  }),
);

// Not v.record: it skips keys such as "constructor", and no member may go unchecked.
const SyncStatus = v.pipe(
  v.custom<Record<string, unknown>>(isObject, "must be an object of client id to operation index"),
  v.rawTransform(({ dataset, addIssue }) => {
    const versionVector = new Map<string, number>();
    let issues = 0;
    for (const [key, value] of Object.entries(dataset.value)) {
      const client = parseClientId(key);
      const isTwice = client !== undefined && versionVector.has(client);
      if (client !== undefined && !isTwice && isOperationIndex(value)) {
        versionVector.set(client, value);
        continue;
      }
      const messages: string[] = [];
      if (client === undefined) messages.push(`the key ${uuidRule}`);
      if (isTwice) messages.push("this client is named twice");
      if (!isOperationIndex(value)) messages.push(indexRule);
      for (const message of messages) {
        const path = { type: "object", origin: "value", input: dataset.value, key, value } as const;
        addIssue({ message, path: [path] });
      }
      issues += messages.length;
      if (issues >= MAX_ISSUES) break;
    }
    return versionVector;
  }),
);

/** Parses requests. The public keys in them are cached. */
export class RequestParser {
  readonly #eraseMembers;
  readonly #syncMembers;
  readonly #eraseRequest;
  readonly #syncRequest;

  constructor(keys: PublicKeyCache) {
    const user = userSchema(keys);
    this.#eraseMembers = v.object({ user }, "is missing");
    this.#eraseRequest = v.pipe(
      this.#eraseMembers,
      v.transform(({ user: key }): EraseRequest => ({ user: key.fingerprint, key })),
    );
    this.#syncMembers = v.object(
      {
        user,
        client_id: ClientId,
        operation_index: v.optional(OperationIndex),
        sync_status: v.optional(SyncStatus),
        payload: v.optional(Payloads),
      },
      "is missing",
    );
    this.#syncRequest = v.pipe(
      this.#syncMembers,
      v.rawTransform(({ dataset: { value }, addIssue, NEVER }): SyncRequest => {
        const { user: key, client_id: client, operation_index: first, payload: payloads } = value;
        const versionVector = value.sync_status ?? new Map<string, number>();
        const last = first === undefined ? -1 : first + ((payloads?.length ?? 1) - 1);
        if (last > MAX_INDEX || (first === undefined && payloads !== undefined)) {
          const key = "operation_index";
          const path = {
            type: "object",
            origin: "value",
            input: value,
            key,
            value: first,
          } as const;
          addIssue({ message: first === undefined ? indexMissing : indexTooHigh, path: [path] });
          return NEVER;
        }
        // The client holds what it sends, so none of it is sent back.
        if (last > (versionVector.get(client) ?? -1)) versionVector.set(client, last);
        const append =
          payloads === undefined || first === undefined ? undefined : { first, payloads };
        return { user: key.fingerprint, key, client, append, versionVector };
      }),
    );
  }

  /** The sync request in a JSON document. Throws `InvalidRequest`. */
  readonly sync = (json: unknown): SyncRequest =>
    parse(this.#syncRequest, this.#syncMembers.entries, "is not a member of a sync request", json);

  /** The request to erase a user in a JSON document. Throws `InvalidRequest`. */
  readonly erase = (json: unknown): EraseRequest =>
    parse(
      this.#eraseRequest,
      this.#eraseMembers.entries,
      "is not a member of a request to erase",
      json,
    );
}

function userSchema(keys: PublicKeyCache) {
  return v.pipe(
    v.string("must be a string: the user's RSA public key"),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return keys.keyOf(dataset.value);
      } catch (error) {
        if (!(error instanceof InvalidPublicKey)) throw error;
        addIssue({ message: error.message });
        return NEVER;
      }
    }),
  );
}

function parse<Output>(
  schema: v.GenericSchema<unknown, Output>,
  members: Readonly<Record<string, unknown>>,
  unknownMember: string,
  json: unknown,
): Output {
  if (!isObject(json)) {
    throw new InvalidRequest([{ pointer: "#", detail: "must be a JSON object" }]);
  }
  // Not ignored: a payload under a misspelt name would be lost silently.
  const unknown = Object.keys(json)
    .filter((name) => !Object.hasOwn(members, name))
    .slice(0, MAX_ISSUES)
    .map((name) => ({ pointer: pointerTo([name]), detail: unknownMember }));
  const result = v.safeParse(schema, json);
  if (result.success && unknown.length === 0) return result.output;
  const known = (result.issues ?? []).map(({ path, message }) => ({
    pointer: pointerTo((path ?? []).map(({ key }) => String(key))),
    detail: message,
  }));
  throw new InvalidRequest([...known, ...unknown].slice(0, MAX_ISSUES));
}

function isPayload(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.isWellFormed();
}

function isObject(input: unknown): input is Readonly<Record<string, unknown>> {
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
