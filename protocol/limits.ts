/** Names and limits of the protocol that both ends use (PROTOCOL.md). */

/** The path of the one endpoint. Under a server address with a path, it is appended to that. */
export const SYNC_PATH = "/sync";

/** How many operations one request may append: each costs time, however short its payload. */
export const MAX_OPERATIONS = 10_000;

/**
 * The slowest rate at which a body may arrive, in bytes per millisecond: 4 KiB/s. The server adds
 * the time that a body takes at this rate to its timeout, and the client to its own.
 */
export const MIN_BYTES_PER_MS = 4.096;

/** The media type of a request. */
export const REQUEST_TYPE = "application/json";

/** The media type of a response with operations: one JSON document a line. */
export const LINES_TYPE = "application/x-ndjson";

/** The response header with the number of lines that follow. */
export const OPERATION_COUNT = "Operation-Count";

/** The response header with the largest body that the server accepts, in bytes. */
export const MAX_BODY = "Max-Body";

/** The response header with the id under which the server's log has the request. */
export const REQUEST_ID = "Request-Id";

/** The request header by which a client says how long it waits for news (RFC 7240): `wait=25`. */
export const PREFER = "Prefer";

/** The preference of a request that asks how it arrives, and is no sync request. */
export const DIAGNOSE = "diagnose";

/** The response header that says so where the server waits: `wait=25`. */
export const PREFERENCE_APPLIED = "Preference-Applied";

/** The request header with the code of an invite, of a user who is not on the server's list. */
export const SYNC_INVITE = "Sync-Invite";

/** The request header with the fingerprint of a key that a user on the server's list has asked to accept for a while. */
export const SYNC_GUEST = "Sync-Guest";

/** The request header by which a proxy can give a user's devices to the same server. */
export const SYNC_ROUTE = "Sync-Route";
