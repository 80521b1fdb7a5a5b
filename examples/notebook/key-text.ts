/** The text of a key, as people carry it: in a file, in a mail, on paper. */

const BEGIN = "-----BEGIN SYNC-SERVER KEY-----";
const END = "-----END SYNC-SERVER KEY-----";
const LAST = "-----END SYNC-SERVER HEADS-----";

/** As long as the lines of a key are. */
const LINE = 64;

/**
 * The key in a text that `importIdentity` takes, in lines of one length, without what the text says of
 * the notebook.
 */
export function keyAlone(text: string): string {
  const start = text.indexOf(BEGIN) + BEGIN.length;
  const body = text.slice(start, text.indexOf(END, start)).replace(/\s/g, "");
  const count = Math.ceil(body.length / LINE);
  const lines = Array.from({ length: count }, (_, i) => body.slice(i * LINE, (i + 1) * LINE));
  return [BEGIN, ...lines, END, ""].join("\n");
}

const PARAMETER = "#key=";

/**
 * A link that opens the page with a key, which the passphrase still protects. What is behind the `#` no
 * browser sends to a server.
 */
export function linkOf(text: string, page: URL): string {
  const body = keyAlone(text).split("\n").slice(1, -2).join("");
  return `${page.href}${PARAMETER}${body}`;
}

/** The text of the key in what an address has behind it; `undefined` where there is none. */
export function keyInLink(hash: string): string | undefined {
  const body = hash.startsWith(PARAMETER) ? hash.slice(PARAMETER.length) : "";
  return /^[\w-]+$/.test(body) ? keyAlone(`${BEGIN}${body}${END}`) : undefined;
}

/** A text that `importIdentity` takes, without the words around it, such as those of a recovery sheet. */
export function withoutWords(text: string): string {
  const last = text.includes(LAST) ? LAST : END;
  return `${text.slice(text.indexOf(BEGIN), text.lastIndexOf(last) + last.length)}\n`;
}
