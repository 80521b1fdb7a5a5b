/** CodeMirror on a text of Yjs. */
import { keymap, placeholder } from "@codemirror/view";
import { EditorView, minimalSetup } from "codemirror";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";

/** @param selection in the text, of the editor that this one takes the place of */
export function editorOf(text, parent, selection) {
  const within = (position) => Math.min(position, text.length);
  return new EditorView({
    doc: text.toString(),
    parent,
    selection: selection && {
      anchor: within(selection.anchor),
      head: within(selection.head),
    },
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
