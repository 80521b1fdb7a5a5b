/** A journal on disk. Small reads and writes are synchronous: they go to and from the page cache. */
import {
  closeSync,
  fdatasync as fdatasyncCallback,
  fstatSync,
  futimesSync,
  lstatSync,
  readSync,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";
import { isUnreadable } from "../durable-files.ts";
import type { JournalFile } from "./folder.ts";
import { PLACE_BYTES } from "./header.ts";

const fdatasync = promisify(fdatasyncCallback);

/** What a disk cannot read is at least so many bytes. */
const BLOCK = 4096;

export class DiskFile implements JournalFile {
  #descriptor: number;
  readonly #path: string;

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.#path = path;
  }

  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#descriptor, bytes, done, length - done, offset + done);
      if (count === 0) return bytes.subarray(0, done);
      done += count;
    }
    return bytes;
  }

  salvage(offset: number, length: number): Buffer {
    try {
      return this.read(offset, length);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      // Not the block that the fault is in, but half of what is left until it is one block.
      if (length <= BLOCK) return Buffer.alloc(length);
      const half = Math.ceil(length / 2 / BLOCK) * BLOCK;
      return Buffer.concat([
        this.salvage(offset, half),
        this.salvage(offset + half, length - half),
      ]);
    }
  }

  write(bytes: Uint8Array, offset: number): void {
    this.writeNow(bytes, offset);
  }

  writeNow(bytes: Uint8Array, offset: number): void {
    let done = 0;
    while (done < bytes.byteLength) {
      done += writeSync(this.#descriptor, bytes, done, bytes.byteLength - done, offset + done);
    }
  }

  sync(): Promise<void> {
    return fdatasync(this.#descriptor);
  }

  place(): Buffer {
    const { ino, birthtimeMs } = fstatSync(this.#descriptor, { bigint: true });
    const place = Buffer.alloc(PLACE_BYTES);
    place.writeBigUInt64LE(ino);
    // Deno does not know the nanoseconds.
    place.writeBigUInt64LE(BigInt.asUintN(64, birthtimeMs), PLACE_BYTES / 2);
    return place;
  }

  isGone(): boolean {
    const { ino, dev } = fstatSync(this.#descriptor);
    // The folder may have been moved away, with a restored one in its place.
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    return found?.ino !== ino || found.dev !== dev;
  }

  age(): number {
    return Math.abs(Date.now() - fstatSync(this.#descriptor).mtimeMs);
  }

  touch(): void {
    const now = new Date();
    futimesSync(this.#descriptor, now, now);
  }

  close(): void {
    closeSync(this.#descriptor);
    // The system gives the number to the next file that is opened.
    this.#descriptor = -1;
  }
}
