/** Cross-origin resource sharing: browsers are clients like any other. */
import type { Reply } from "./response.ts";

const EXPOSED = "Operation-Count, Retry-After, RateLimit, RateLimit-Policy, Date, Accept-Signature";

export interface Cors {
  /** Adds to a reply what lets a page of an allowed origin read it. */
  readonly allow: (origin: string | null, reply: Reply) => void;
  /** Answers a preflight. */
  readonly preflight: () => Reply;
}

/** @param origins the allowed origins, or `*` for all */
export function corsFor(origins: "*" | readonly string[]): Cors {
  const any = origins === "*";
  return {
    allow(origin, { headers }) {
      if (!any) headers.Vary = "Origin";
      if (origin === null) return;
      if (!any && !origins.includes(origin)) return;
      headers["Access-Control-Allow-Origin"] = any ? "*" : origin;
      headers["Access-Control-Expose-Headers"] = EXPOSED;
    },
    preflight: () => ({
      status: 204,
      headers: {
        Allow: "POST, DELETE, OPTIONS",
        "Access-Control-Allow-Methods": "POST, DELETE",
        "Access-Control-Allow-Headers": "Content-Type, Content-Digest, Signature, Signature-Input",
        "Access-Control-Max-Age": "86400",
      },
      body: null,
    }),
  };
}
