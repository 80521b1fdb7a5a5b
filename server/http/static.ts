/** The web page at `/` and its files under `/page/`. */
import { createHash } from "node:crypto";
import { type PageFile, readPageFile } from "./page-files.ts";
import { Problem } from "./problems.ts";
import type { Reply } from "./response.ts";
import { get, type Methods } from "./routes.ts";

const SCRIPT = "text/javascript; charset=utf-8";
const PNG = "image/png";
const FILES: ReadonlyMap<string, { readonly name: PageFile; readonly type: string }> = new Map([
  ["/", { name: "index.html", type: "text/html; charset=utf-8" }],
  ["/page/notebook.js", { name: "notebook.js", type: SCRIPT }],
  ["/page/worker.js", { name: "worker.js", type: SCRIPT }],
  ["/page/style.css", { name: "style.css", type: "text/css; charset=utf-8" }],
  ["/page/app.webmanifest", { name: "app.webmanifest", type: "application/manifest+json" }],
  ["/page/icon.svg", { name: "icon.svg", type: "image/svg+xml" }],
  ["/page/icon-192.png", { name: "icon-192.png", type: PNG }],
  ["/page/icon-512.png", { name: "icon-512.png", type: PNG }],
]);

const HEADERS = {
  // The browser revalidates each time, by the ETag.
  "Cache-Control": "no-cache",
  // Nothing from other origins, nothing inline, and no text that becomes markup or code.
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    // The one that gives the service worker its address, which is one for all.
    "trusted-types worker",
  ].join("; "),
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** What `/` shows in a checkout in which the page is not built. */
const NOT_BUILT = `<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <title>The page is not built</title>
  <h1>The page is not built</h1>
  <p>The sync server works without it. To build the page, run this in the server's folder, then reload:</p>
  <pre>npm run page</pre>
  <p>It needs the development dependencies, which <code>npm ci</code> installs.</p>
</html>
`;

/** The service worker is in `/page/`, and serves the page above it. */
const SCOPE: Readonly<Record<string, string>> = { "Service-Worker-Allowed": "../" };

type Content = string | Uint8Array<ArrayBuffer>;

interface StaticFile {
  readonly content: Content;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The routes of the page. Each file is read once, at its first request. */
export function pageRoutes(
  read: (name: PageFile) => Promise<Content> = readPageFile,
): Readonly<Record<string, Methods>> {
  return Object.fromEntries(
    [...FILES].map(([path, { name, type }]) => {
      let file: StaticFile | undefined;
      const answer = async (request: Pick<Request, "method" | "headers">): Promise<Reply> => {
        file ??= await load(
          { "Content-Type": type, ...(name === "worker.js" && SCOPE) },
          read(name),
        );
        const hasBody = request.method !== "HEAD";
        if (file === undefined) {
          if (path !== "/") throw new Problem("not-found", "The page is not built: see /.");
          // Not a 200: a probe or a script that asks for the page must not take this text for it.
          const headers = { ...HEADERS, "Cache-Control": "no-store", "Content-Type": type };
          return { status: 503, headers, body: hasBody ? NOT_BUILT : null };
        }
        const { content, etag, headers } = file;
        if (request.headers.get("if-none-match")?.includes(etag)) {
          return { status: 304, headers: { ...headers }, body: null };
        }
        return { status: 200, headers: { ...headers }, body: hasBody ? content : null };
      };
      return [path, get(answer)];
    }),
  );
}

/** Gives `undefined` if the page is not built. */
async function load(
  own: Readonly<Record<string, string>>,
  reading: Promise<Content>,
): Promise<StaticFile | undefined> {
  const content = await reading.catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  });
  if (content === undefined) return undefined;
  const etag = `"${createHash("sha256").update(content).digest("base64url")}"`;
  return { content, etag, headers: { ...HEADERS, ...own, ETag: etag } };
}
