/** Cross-origin resource sharing: browsers are clients like any other. */

const EXPOSED = "Operation-Count, Retry-After, RateLimit, RateLimit-Policy";

export interface Cors {
  /** Adds to a response what lets a page of an allowed origin read it. */
  readonly allow: (request: Request, response: Response) => void;
  /** Answers a preflight. */
  readonly preflight: () => Response;
}

/** @param origins the allowed origins, or `*` for all */
export function corsFor(origins: "*" | readonly string[]): Cors {
  const any = origins === "*";
  return {
    allow({ headers }, response) {
      const origin = headers.get("origin");
      if (!any) response.headers.append("Vary", "Origin");
      if (origin === null) return;
      if (!any && !origins.includes(origin)) return;
      response.headers.set("Access-Control-Allow-Origin", any ? "*" : origin);
      response.headers.set("Access-Control-Expose-Headers", EXPOSED);
    },
    preflight: () =>
      new Response(null, {
        status: 204,
        headers: {
          Allow: "POST, OPTIONS",
          "Access-Control-Allow-Methods": "POST",
          "Access-Control-Allow-Headers": "Content-Type",
          "Access-Control-Max-Age": "86400",
        },
      }),
  };
}
