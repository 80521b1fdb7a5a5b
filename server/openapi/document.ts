/** The wire as OpenAPI 3.1, for tools: PROTOCOL.md is what counts, and says more. */
import {
  LINES_TYPE,
  MAX_BODY,
  OPERATION_COUNT,
  PREFER,
  PREFERENCE_APPLIED,
  REQUEST_ID,
  REQUEST_TYPE,
  SYNC_GUEST,
  SYNC_INVITE,
  SYNC_PATH,
  SYNC_ROUTE,
} from "../../protocol/limits.ts";
import type { ProblemType } from "../../protocol/problems.ts";
import { VERSION } from "../config.ts";
import { PROBLEM_SCHEMAS, problemAnswers } from "./problems.ts";
import { ref, SCHEMAS, type Schema, text } from "./schemas.ts";

const decimal = { type: "string", pattern: "^\\d{1,15}$" };

/** Headers of answers: whether each answer that may have it does, what it is, and its form. */
const HEADERS: Readonly<Record<string, readonly [required: boolean, means: string, form: Schema]>> =
  {
    "Cache-Control": [true, "Nobody may keep the answer.", { const: "no-store" }],
    [REQUEST_ID]: [
      true,
      "Under which the server's log has the request (R-2.14).",
      { type: "string", pattern: "^[0-9a-f]{16}$" },
    ],
    [MAX_BODY]: [true, "The largest body that the server takes, in bytes (R-2.11).", decimal],
    [OPERATION_COUNT]: [true, "How many lines follow (R-7.1).", decimal],
    [PREFERENCE_APPLIED]: [
      false,
      "For how many seconds the server would wait (R-6.14).",
      { type: "string", pattern: "^wait=\\d+$" },
    ],
    "RateLimit-Policy": [false, "The limit of the user (R-11.7).", { type: "string" }],
    RateLimit: [false, "What the user has left of it (R-11.7).", { type: "string" }],
    "Retry-After": [true, "After how many seconds to send it again (R-10.6).", decimal],
    "Accept-Signature": [true, "What to sign (R-14.13).", { type: "string" }],
    Date: [true, "The server's time, to sign by (R-14.13).", { type: "string" }],
    "WWW-Authenticate": [true, "Every 401 needs it (R-14.13).", { const: "Signature" }],
    Allow: [true, "The methods that there are.", { type: "string" }],
  };

function headersOf(names: readonly string[]): Schema {
  return Object.fromEntries(
    names.map((name) => {
      const [required, description, schema] = HEADERS[name] ?? [false, "", {}];
      return [name, { description, required, schema }];
    }),
  );
}

const OF_ALL = [REQUEST_ID, "Cache-Control"];
const OF_SYNC = [...OF_ALL, MAX_BODY];
const OF_RATE = ["RateLimit-Policy", "RateLimit"];

function header(name: string, description: string, schema: Schema = { type: "string" }): Schema {
  return { name, in: "header", description, required: false, schema };
}

const SIGNATURE = [
  header("Content-Digest", "The digest of the body (RFC 9530); of a signed request (R-14.6)."),
  header("Signature-Input", "What is signed (RFC 9421); of a signed request (R-14.6)."),
  header("Signature", "The signature; of a signed request (R-14.6)."),
];
const ROUTE = header(SYNC_ROUTE, "The first 8 characters of the user's fingerprint (R-2.13).");

const INVITE = header(
  SYNC_INVITE,
  "The code of an invite, of a user who is not on the server's list; it is signed (R-11.15).",
);

const GUEST = header(
  SYNC_GUEST,
  "The fingerprint of a key that the user has the server accept for 15 minutes; it is signed (R-11.19).",
  { type: "string", pattern: "^[\\w-]{43}$" },
);

const OF_EVERY_REQUEST = [
  ...["invalid-request", "signature-required", "signature-invalid", "user-not-allowed"],
  ...["request-timeout", "user-erased", "body-too-large", "unsupported-media-type"],
  ...["rate-limited", "new-users-limited", "internal-error", "storage-unavailable"],
  ...["stopping", "overloaded"],
] as const satisfies readonly ProblemType[];

const OF_A_SYNC = [
  ...OF_EVERY_REQUEST,
  ...["operation-gap", "operation-conflict", "operation-trimmed", "snapshot-refused"],
  ...["snapshot-required", "quota-exceeded", "invite-refused"],
] as const satisfies readonly ProblemType[];

/** Unsigned, or signed. */
const SECURITY = [{}, { signature: [] }];

function body(schema: string): Schema {
  return { required: true, content: { [REQUEST_TYPE]: { schema: ref(schema) } } };
}

function answer(
  description: string,
  headers: readonly string[],
  content?: readonly [type: string, schema: Schema],
): Schema {
  return {
    description,
    headers: headersOf(headers),
    ...(content && { content: { [content[0]]: { schema: content[1] } } }),
  };
}

/** What answers `GET` with a document. */
function readable(
  operationId: string,
  summary: string,
  type: string,
  schema: Schema,
  problems: readonly ProblemType[] = ["stopping"],
): Schema {
  return {
    get: {
      operationId,
      summary,
      security: [],
      responses: {
        200: answer(summary, OF_ALL, [type, schema]),
        ...problemAnswers(problems, (more) => headersOf([...OF_ALL, ...more])),
      },
    },
  };
}

const ofSync = (more: readonly string[]) => headersOf([...OF_SYNC, ...more]);

/** The document, which `GET /openapi.json` answers. */
export const OPENAPI = {
  openapi: "3.1.1",
  info: {
    title: "Sync-Server",
    version: VERSION,
    summary: "The devices of a user share one log of encrypted operations.",
    description:
      "What goes over the wire, for tools. PROTOCOL.md says what it means, and what a client has to do; ids such as R-4.2 are rules there.",
    license: { name: "MIT", identifier: "MIT" },
  },
  servers: [{ url: "/" }],
  paths: {
    [SYNC_PATH]: {
      post: {
        operationId: "sync",
        summary: "Append operations, then read those of other clients.",
        description:
          "With `Prefer: diagnose` it is another question, with another answer, which R-13.4 and R-13.5 describe.",
        security: SECURITY,
        parameters: [
          header(PREFER, "`wait=N`: answer when there is news, within N seconds (R-6.13)."),
          ROUTE,
          INVITE,
          GUEST,
          ...SIGNATURE,
        ],
        requestBody: body("SyncRequest"),
        responses: {
          200: {
            ...answer(
              "Appended, and what the sender is not aware of. Each line is a `Line`; there are as many as Operation-Count says, or the answer was cut (R-7.5).",
              [...OF_SYNC, OPERATION_COUNT, PREFERENCE_APPLIED, ...OF_RATE],
              [LINES_TYPE, text("Lines of JSON, each with a line feed at its end.")],
            ),
          },
          ...problemAnswers(OF_A_SYNC, ofSync),
        },
      },
      delete: {
        operationId: "erase",
        summary: "Delete the user, and everything that is stored of it.",
        security: [{ signature: [] }],
        parameters: [ROUTE, ...SIGNATURE],
        requestBody: body("EraseRequest"),
        responses: {
          204: answer("Everything is deleted but a tombstone.", [...OF_SYNC, ...OF_RATE]),
          ...problemAnswers(OF_EVERY_REQUEST, ofSync),
        },
      },
      options: {
        operationId: "preflight",
        summary: "What web pages may do (section 12).",
        security: [],
        responses: {
          204: answer("The methods and headers that a page may use.", [
            ...[REQUEST_ID, MAX_BODY, "Allow"],
          ]),
          ...problemAnswers(["stopping"], ofSync),
        },
      },
    },
    "/health": readable("health", "The process is alive.", "application/json", ref("Health")),
    "/ready": readable("ready", "Storage answers.", "application/json", ref("Readiness"), [
      ...(["storage-unavailable", "stopping"] as const),
    ]),
    "/metrics": readable(
      "metrics",
      "Metrics, none of which names a user.",
      "text/plain",
      text("The text format of Prometheus."),
    ),
    "/openapi.json": readable("openapi", "This document.", "application/json", { type: "object" }),
  },
  components: {
    schemas: { ...SCHEMAS, ...PROBLEM_SCHEMAS },
    securitySchemes: {
      signature: {
        type: "http",
        scheme: "Signature",
        description:
          "HTTP Message Signatures (RFC 9421) by the user's own key, which is in the body (section 14). The first signed request of a user makes it required.",
      },
    },
  },
} as const;
