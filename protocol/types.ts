/** One operation as the server sends it: a line of a response, parsed. */
export interface Line {
  /** The client that created the operation: a UUID in lower case. */
  readonly client: string;
  /** Its operation index under that client. */
  readonly index: number;
  /** What the client sealed; opaque to the server. */
  readonly payload: string;
}
