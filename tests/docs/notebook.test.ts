/** What examples/notebook/README.md says of a note. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { adopt } from "../../examples/notebook/earlier-entries.ts";
import { docOf, newDoc } from "../../examples/notebook/note-doc.ts";
import { newNoteName, noteNameOf } from "../../examples/notebook/note-names.ts";
import { noteOf } from "../../examples/notebook/notes.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { fences, read, section } from "../support/documents.ts";

describe("the notebook's README", () => {
  const text = section(read("examples/notebook/README.md"), "What a note is");
  const shown = (language: string) =>
    fences(text)
      .find((fence) => fence.language === language)
      ?.body.trim() ?? "";

  it("shows the data of a note of the earlier form as the notebook reads it", () => {
    const place = { client: "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11", index: 2, position: 0 };
    const adopted = adopt({ ...place, data: utf8(shown("json")) });
    assert.ok(adopted);
    const note = noteOf(adopted.name, docOf([adopted.update]));
    assert.deepEqual([note.at, note.text, note.client], [1767225600000, "Buy milk.", place.client]);
  });

  it("shows the name of a note as the notebook makes and reads it", () => {
    const name = shown("text");
    assert.deepEqual(noteNameOf(name), { at: 1767225600000, id: "3f9a12bc00c51d07" });
    assert.equal(newNoteName(1767225600000).slice(0, -16), name.slice(0, -16));
  });

  it("names what is in the document of a note", () => {
    const doc = docOf([newDoc({ client: "a", text: "b", bytes: utf8("c") })]);
    for (const name of doc.share.keys()) assert.ok(text.includes(`| \`${name}\``), name);
    for (const member of doc.getMap("note").keys()) assert.ok(text.includes(`\`${member}\``));
  });
});
