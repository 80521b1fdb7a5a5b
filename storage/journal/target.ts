/** What a delete names: the record that stored the object. The body of a delete is its encoding. */
import { ID_BYTES } from "./header.ts";

export interface Target {
  /** The id of the journal. */
  readonly id: string;
  /** Where the record begins. */
  readonly offset: number;
  /** The object that holds the same data, where there is one. */
  readonly heldBy?: string | undefined;
}

const OFFSET_BYTES = 6;

/** The id, the offset, and the name of the other object if there is one. */
export function encodeTarget({ id, offset, heldBy = "" }: Target): Buffer {
  const bytes = Buffer.alloc(ID_BYTES + OFFSET_BYTES + heldBy.length);
  bytes.write(id, 0, "hex");
  bytes.writeUIntLE(offset, ID_BYTES, OFFSET_BYTES);
  bytes.write(heldBy, ID_BYTES + OFFSET_BYTES, "latin1");
  return bytes;
}

/** `undefined` for bytes that are no target. */
export function parseTarget(body: Uint8Array): Target | undefined {
  if (body.byteLength < ID_BYTES + OFFSET_BYTES) return undefined;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const heldBy = bytes.toString("latin1", ID_BYTES + OFFSET_BYTES);
  return {
    id: bytes.toString("hex", 0, ID_BYTES),
    offset: bytes.readUIntLE(ID_BYTES, OFFSET_BYTES),
    heldBy: heldBy === "" ? undefined : heldBy,
  };
}
