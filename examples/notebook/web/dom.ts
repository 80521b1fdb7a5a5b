/** Access to the elements of the page. Text of notes and of the server is only ever set as text. */

/** The element with an id. Throws if the page has none of that kind. */
export function find<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} ${id}`);
}

/** A new element with a text. */
export function create(name: string, text = ""): HTMLElement {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/** Sets a text unless it is the same: a screen reader would read a live region again. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows an error, which screen readers announce at once. */
export function showError(error: unknown): void {
  const element = find("error", HTMLElement);
  element.hidden = false;
  setText(element, sentenceOf(error));
}

/** Whether a person types into an element: into one tab at a time. */
export function isTypedInto(element: HTMLElement): boolean {
  return document.hasFocus() && document.activeElement === element;
}

export function hideError(): void {
  find("error", HTMLElement).hidden = true;
}

/**
 * Lets a button copy a text.
 *
 * @param select selects it as well: the user can copy it where the page may not
 * @param onCopied called once it is copied
 */
export function copyOnClick(
  button: HTMLButtonElement,
  text: () => string,
  select: () => void,
  onCopied: () => void = () => undefined,
): void {
  button.addEventListener("click", async () => {
    select();
    await navigator.clipboard.writeText(text());
    setText(button, "Copied");
    setText(find("news", HTMLElement), "Copied");
    onCopied();
  });
}

/**
 * Lets a checkbox show what is typed into a field for a password, until it is submitted: browsers
 * offer to store a password only from a field that hides it.
 */
export function showWhileChecked(box: HTMLInputElement, field: HTMLInputElement): void {
  box.addEventListener("change", () => {
    field.type = box.checked ? "text" : "password";
  });
  field.form?.addEventListener("submit", () => {
    box.checked = false;
    field.type = "password";
  });
}

/** The message of an error as a sentence. */
export function sentenceOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const message = text === "" && error instanceof Error ? error.name : text;
  return `${message.slice(0, 1).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

/** A function that runs `render` before the next frame, once however often it is called until then. */
export function beforeNextFrame(render: () => void): () => void {
  let isPlanned = false;
  return () => {
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(() => {
      isPlanned = false;
      render();
    });
  };
}
