/** Sheets above the page: on a phone, at its bottom. */
import { useEffect, useRef, useState } from "react";
import { renderSVG } from "uqr";

/** @param canClose false as long as the person has something to do first */
export function Sheet({ title, canClose = true, onClose, children }) {
  const dialog = useRef();
  useEffect(() => {
    dialog.current.showModal();
    // Not the link, which comes first: it would be selected.
    dialog.current.focus();
  }, []);
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      onClose={() => (canClose ? onClose() : dialog.current.showModal())}
      aria-label={title}
    >
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}

/** A link to another device or person: as a picture for a camera, and to be copied. */
export function Link({ address, label }) {
  return (
    <>
      {/* 700 characters: a code with more room for errors would be too fine for a camera. */}
      <img className="code" alt={label} src={pictureOf(address)} />
      <input
        readOnly
        aria-label={label}
        value={address}
        onClick={({ target }) => target.select()}
      />
      <Copy text={address}>Copy the link</Copy>
    </>
  );
}

/** A button that copies a text, and says whether it did. */
export function Copy({ text, children, onCopied }) {
  const [words, setWords] = useState(children);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setWords("Copied");
      onCopied?.();
    } catch (error) {
      setWords(`Not copied: ${error.message}`);
    }
  }
  return (
    <button type="button" onClick={copy}>
      {words}
    </button>
  );
}

function pictureOf(text) {
  const svg = renderSVG(text, { ecc: "L", border: 4 });
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
