/**
 * The web page at `/`, and what belongs to it. `scripts/page.ts` makes `page.json` of `client/page/`
 * and of the client; it says why.
 */
import { createHash } from "node:crypto";
import files from "./page.json" with { type: "json" };
import { methodNotAllowed, notFound } from "./problems.ts";
import type { Reply } from "./response.ts";

const HEADERS = {
  // Asked for again each time, and not sent again while it is the same.
  "Cache-Control": "no-cache",
  // Nothing from elsewhere, nothing inline, and no text that becomes markup or code.
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

const pages = new Map(
  files.map(({ path, type, lines }) => {
    const text = lines.join("\n");
    const hash = createHash("sha256").update(text).digest("base64url");
    return [path, { text, headers: { ...HEADERS, "Content-Type": type, ETag: `"${hash}"` } }];
  }),
);

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly request: Pick<Request, "headers">;
}

/**
 * Answers for the paths of the page. Throws the problem of any other path, and of a method that is
 * not allowed.
 *
 * @param on whether there is a page
 */
export function pageFor(on: boolean): (asked: Asked) => Reply {
  return ({ method, path, request }) => {
    const page = on ? pages.get(path) : undefined;
    if (page === undefined) throw notFound(path);
    if (method !== "GET" && method !== "HEAD") throw methodNotAllowed(method, path, "GET, HEAD");
    const { text, headers } = page;
    const known = request.headers.get("if-none-match")?.includes(headers.ETag);
    if (known) return { status: 304, headers: { ...headers }, body: null };
    return { status: 200, headers: { ...headers }, body: method === "HEAD" ? null : text };
  };
}
