/** Names and numbers of the wire that both ends depend on (PROTOCOL.md). */

/** The path of the one endpoint. Under a server address with a path, it is appended to that. */
export const SYNC_PATH = "/sync";

/** Operations that one request may append: each is work, however short its payload. */
export const MAX_OPERATIONS = 10_000;

/**
 * The slowest rate at which a body may arrive, in bytes per millisecond: 4 KiB/s. The server allows
 * a request body this much time beside its timeout, and the client waits that much longer.
 */
export const MIN_BYTES_PER_MS = 4.096;

/** The media type of a request. */
export const REQUEST_TYPE = "application/json";

/** The media type of a response with operations: one JSON document a line. */
export const LINES_TYPE = "application/x-ndjson";

/** The response header with the number of lines that follow. */
export const OPERATION_COUNT = "Operation-Count";
