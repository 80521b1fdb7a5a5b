/** What examples/notebook/README.md says of a note. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { noteData, noteOf } from "../../examples/notebook/notes.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { fences, read, section } from "../support/documents.ts";

describe("the notebook's README", () => {
  it("shows the data of a note as the notebook writes and reads it", () => {
    const text = section(read("examples/notebook/README.md"), "What a note is");
    const shown =
      fences(text)
        .find(({ language }) => language === "json")
        ?.body.trim() ?? "";
    const { at, text: note } = noteOf({ client: "", index: 0, position: 0, data: utf8(shown) });
    assert.deepEqual([at, note], [1767225600000, "Buy milk."]);
    assert.equal(noteData(note, at), shown);
  });
});
