/**
 * The recovery sheet: a page to be printed that has the key as text and as QR codes. The page and the
 * command line make the same one, each in its own way of elements.
 */
import { encode } from "uqr";
import { keyAlone } from "./key-text.ts";

/** An element of the sheet, or text. */
export type Part =
  | string
  | {
      readonly name: string;
      readonly attributes?: Readonly<Record<string, string>>;
      readonly parts?: readonly Part[];
    };

export interface RecoverySheet {
  /** The key as text, protected by the passphrase. What it says of the notebook grows old on paper. */
  readonly key: string;
  readonly fingerprint: string;
  /** The address of the server. */
  readonly server: string;
  /** When it is made, in milliseconds since 1970. */
  readonly at: number;
}

/** Lines of a key in one code, as a key of 4096 bits has them: cameras have trouble with more. */
const LINES_OF_CODE = 15;

/** What the codes of a key say, in their order: all of them, one behind the other, are the key. */
export function codesOf(key: string): string[] {
  const lines = key.trim().split("\n");
  const count = Math.ceil(lines.length / LINES_OF_CODE);
  const size = Math.ceil(lines.length / count);
  return Array.from({ length: count }, (_, i) =>
    lines
      .slice(i * size, (i + 1) * size)
      .map((line) => `${line}\n`)
      .join(""),
  );
}

/** What the sheet has. */
export function partsOf({ key: text, fingerprint, server, at }: RecoverySheet): Part[] {
  const key = keyAlone(text);
  const codes = codesOf(key);
  return [
    element("h1", "Recovery sheet of a notebook"),
    element(
      "p",
      "With this sheet and the passphrase, and with nothing less, the notes on the server can be read " +
        "again when all devices are lost. Keep it where nobody else finds it, and the passphrase elsewhere. " +
        `Made on ${new Date(at).toISOString().slice(0, 10)}.`,
    ),
    element(
      "ol",
      element("li", `On the new device, open ${server} and choose “I have a key already”.`),
      element("li", scanningText(codes.length)),
      element(
        "li",
        "Type the passphrase. The notebook is the right one if its fingerprint is ",
        element("code", fingerprint),
        ".",
      ),
    ),
    {
      name: "div",
      attributes: { class: "codes" },
      parts: codes.map((code, i) =>
        element("figure", codeOf(code), element("figcaption", `Code ${i + 1} of ${codes.length}`)),
      ),
    },
    element("pre", key.trim()),
  ];
}

function scanningText(codes: number): string {
  if (codes === 1) {
    return "Scan the code with a camera, and paste what it says into the field “Key”. Or type the text below it.";
  }
  return (
    `Scan the ${codes} codes with a camera, and paste what each says into the field “Key”, one behind the ` +
    "other, in their order. Or type the text below them."
  );
}

function element(name: string, ...parts: readonly Part[]): Part {
  return { name, parts };
}

/** White around a code, in modules: readers need it. */
const BORDER = 4;

/**
 * A QR code as SVG.
 *
 * @param ecc how much of it may be unreadable: M, of which 15 %, for paper; L, of which 7 %, for a screen
 */
export function codeOf(text: string, ecc: "M" | "L" = "M"): Part {
  const { size, data } = encode(text, { ecc, border: BORDER });
  const rows = data.map((row) => row.map((isBlack) => (isBlack ? "1" : "0")).join(""));
  const modules = rows.flatMap((row, y) =>
    [...row.matchAll(/1+/g)].map(({ 0: run, index }) => {
      return `M${index} ${y}h${run.length}v1h-${run.length}z`;
    }),
  );
  return {
    name: "svg",
    attributes: {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${size} ${size}`,
      "shape-rendering": "crispEdges",
    },
    parts: [
      { name: "rect", attributes: { width: `${size}`, height: `${size}`, fill: "#fff" } },
      { name: "path", attributes: { d: modules.join(""), fill: "#000" } },
    ],
  };
}
