/** CodeMirror on a text of Yjs. */
import { keymap, placeholder } from "@codemirror/view";
import { EditorView, minimalSetup } from "codemirror";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";

export function editorOf(text, parent) {
  return new EditorView({
    doc: text.toString(),
    parent,
    extensions: [
      // First: they undo what was typed here, and not the words of others.
      keymap.of(yUndoManagerKeymap),
      minimalSetup,
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": "Text of the note" }),
      placeholder("Write something …"),
      yCollab(text, null),
    ],
  });
}
