/** The elements of the page. What comes from notes or from the server is only ever set as text. */

/** The element with an id. Throws where the page has none of that kind. */
export function find<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} ${id}`);
}

/** A new element with a text. */
export function make(name: string, text = ""): HTMLElement {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/** Sets a text, unless it is that already: a live region would be read out once more. */
export function say(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows what went wrong, to be read out at once; an empty text takes it away. */
export function complain(text: string): void {
  const element = find("error", HTMLElement);
  element.hidden = text === "";
  say(element, text);
}

/** The message of whatever was thrown, as a sentence. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `${message.slice(0, 1).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}
