/** The files of the test vectors, and the client ids in them. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBase64url } from "../../protocol/base64.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import { projectFolder } from "../support/process.ts";

export const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
export const CONTINUING = "0d9b4c3e-6a51-4d0f-8f6e-2b7c1e5a9d44";
export const OTHER = "c2a7e1f0-93b4-4c58-a1d6-7e0f3b9c8d21";

const path = (name: string) => join(projectFolder, "tests", "vectors", name);

/** What a file has. */
export const read = (name: string) => JSON.parse(readFileSync(path(name), "utf8"));

/** Writes a file anew. */
export const write = (name: string, value: unknown) =>
  writeFileSync(path(name), `${JSON.stringify(value, undefined, 2)}\n`);

/** The bytes of base64url. */
export const bytes = (text: string): Bytes => fromBase64url(text) ?? assert.fail("not base64url");
