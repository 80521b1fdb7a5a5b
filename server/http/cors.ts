/** Cross-origin resource sharing: browsers are clients like any other. */
import {
  MAX_BODY,
  OPERATION_COUNT,
  PREFERENCE_APPLIED,
  REQUEST_ID,
} from "../../protocol/limits.ts";
import type { Reply } from "./response.ts";
import type { Methods } from "./routes.ts";

const EXPOSED = `${OPERATION_COUNT}, ${MAX_BODY}, ${PREFERENCE_APPLIED}, Retry-After, RateLimit, RateLimit-Policy, Date, Accept-Signature, ${REQUEST_ID}`;

export interface Cors {
  /** Adds the fields to a reply that let a page of an allowed origin read it. */
  readonly allow: (origin: string | null, reply: Reply) => void;
  /** The methods of a path that pages may use, with `OPTIONS` to answer their preflights. */
  readonly withPreflight: (methods: Methods) => Methods;
}

/** Whether a browser asks what a page may send (Fetch Standard, "CORS-preflight request"). */
export function isPreflight(method: string, { headers }: Request): boolean {
  return method === "OPTIONS" && headers.has("access-control-request-method");
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
    withPreflight(methods) {
      const names = Object.keys(methods);
      const preflight = () => ({
        status: 204,
        headers: {
          Allow: [...names, "OPTIONS"].join(", "),
          "Access-Control-Allow-Methods": names.join(", "),
          "Access-Control-Allow-Headers":
            "Content-Type, Content-Digest, Prefer, Signature, Signature-Input, Sync-Guest, Sync-Invite, Sync-Route",
          "Access-Control-Max-Age": "86400",
        },
        body: null,
      });
      return { ...methods, OPTIONS: preflight };
    },
  };
}
