/** The problems as OpenAPI has them: a schema for each type, and an answer for each status. */
import { PROBLEM_TYPE, PROBLEM_URN, PROBLEMS, type ProblemType } from "../../protocol/problems.ts";
import { INVITE_FAULTS } from "../../sync/invites.ts";
import { SIGNATURE_CHECKS } from "../http/signature-invalid.ts";
import { object, ref, type Schema, text, whole } from "./schemas.ts";

/** Members of a problem beyond those that all have; of some problems not all are always there. */
interface Members {
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

const NONE: Members = { properties: {} };
const nextIndex = { next_index: ref("OperationIndex") };

const MEMBERS: Readonly<Record<ProblemType, Members>> = {
  "invalid-request": {
    properties: {
      errors: {
        description:
          "One for each fault (R-10.5). Absent where the body is no JSON or ended early, and where a header is wrong.",
        type: "array",
        minItems: 1,
        maxItems: 100,
        items: object("A fault.", {
          pointer: text("A JSON pointer to the member, as a URI fragment.", {
            pattern: "^#",
          }),
          detail: text("What is wrong with it."),
        }),
      },
    },
    required: [],
  },
  "signature-required": NONE,
  "signature-invalid": {
    properties: {
      check: { description: "The first check that failed (R-14.12).", enum: SIGNATURE_CHECKS },
      authority: text("What the server put for @authority."),
      path: text("What the server put for @path."),
    },
    required: ["check"],
  },
  "user-not-allowed": {
    properties: {
      fingerprint: text("That of the key in the request.", { pattern: "^[\\w-]{43}$" }),
    },
  },
  "invite-refused": {
    properties: {
      reason: { description: "Why (R-11.17).", enum: INVITE_FAULTS },
      fingerprint: text("That of the key in the request.", { pattern: "^[\\w-]{43}$" }),
    },
  },
  "not-found": NONE,
  "method-not-allowed": NONE,
  "request-timeout": NONE,
  "operation-gap": { properties: nextIndex },
  "operation-conflict": { properties: { operation_index: ref("OperationIndex") } },
  "operation-trimmed": { properties: nextIndex },
  "snapshot-refused": { properties: { client_id: ref("SentClientId"), ...nextIndex } },
  "snapshot-required": NONE,
  "user-erased": {
    properties: {
      erased_at: text("When the user was deleted, as in RFC 3339.", {
        pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z$",
      }),
    },
  },
  "body-too-large": {
    properties: {
      limit: whole("The largest body in bytes."),
      setting: { const: "MAX_BODY" },
    },
  },
  "unsupported-media-type": NONE,
  "rate-limited": NONE,
  "new-users-limited": NONE,
  "internal-error": NONE,
  "storage-unavailable": NONE,
  overloaded: NONE,
  stopping: NONE,
  "quota-exceeded": {
    properties: {
      setting: { enum: ["QUOTA_BYTES", "QUOTA_CLIENTS", "LISTING_CACHE_RUNS"] },
      quota: whole("What the setting allows this user."),
      used: whole("How much of it the user has stored, or is storing just now."),
    },
  },
};

/** `operation-gap` as `OperationGap`. */
export function schemaNameOf(type: string): string {
  return type.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function isType(name: string): name is ProblemType {
  return Object.hasOwn(PROBLEMS, name);
}

const TYPES = Object.keys(PROBLEMS).filter(isType);

/** The schema of each problem. */
export const PROBLEM_SCHEMAS: Readonly<Record<string, Schema>> = Object.fromEntries(
  TYPES.map((type) => {
    const { properties, required = Object.keys(properties) } = MEMBERS[type];
    const all = {
      type: { const: PROBLEM_URN + type },
      title: text("The type in words."),
      status: { const: PROBLEMS[type] },
      detail: text("What is wrong and what to do, for a person. It can change."),
    };
    const schema = object(
      "A problem document (RFC 9457). R-10.3 says what a client does about it.",
      { ...all, ...properties },
      [...Object.keys(all), ...required],
    );
    return [schemaNameOf(type), schema];
  }),
);

/** Headers that some answers with a status have beyond those of all. */
const HEADERS: Readonly<Record<number, readonly string[]>> = {
  401: ["Accept-Signature", "Date", "WWW-Authenticate"],
  429: ["Retry-After"],
  503: ["Retry-After"],
};

/** The answers with some problems, by status. */
export function problemAnswers(
  types: readonly ProblemType[],
  headersOf: (names: readonly string[]) => Schema,
): Record<string, Schema> {
  const statuses = [...new Set(types.map((type) => PROBLEMS[type]))];
  return Object.fromEntries(
    statuses.map((status) => {
      const of = types.filter((type) => PROBLEMS[type] === status);
      const schemas = of.map((type) => ref(schemaNameOf(type)));
      return [
        String(status),
        {
          description: of.join(", "),
          headers: headersOf(HEADERS[status] ?? []),
          content: {
            [PROBLEM_TYPE]: { schema: schemas.length === 1 ? schemas[0] : { oneOf: schemas } },
          },
        },
      ];
    }),
  );
}
