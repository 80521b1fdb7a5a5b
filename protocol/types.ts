/** An operation as the server sends it: one line of a response. */
export interface Line {
  /** The client that created the operation: a UUID in lower case. */
  readonly client: string;
  /** Its operation index under that client. */
  readonly index: number;
  /** An envelope of the client (ENVELOPE.md); any text to the server. */
  readonly payload: string;
  /** In a snapshot with which an answer begins: for each client, the last index that it stands for. */
  readonly covers?: Readonly<Record<string, number>>;
}
