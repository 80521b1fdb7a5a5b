/** Elements of the page from their description. Text is only ever set as text. */
import type { Part } from "../recovery-sheet.ts";

const HTML = "http://www.w3.org/1999/xhtml";
const SVG = "http://www.w3.org/2000/svg";

export function nodeOf(part: Part, namespace = HTML): Node {
  if (typeof part === "string") return document.createTextNode(part);
  const { name, attributes = {}, parts = [] } = part;
  const own = name === "svg" ? SVG : namespace;
  const element = document.createElementNS(own, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key !== "xmlns") element.setAttribute(key, value);
  }
  element.append(...parts.map((one) => nodeOf(one, own)));
  return element;
}
