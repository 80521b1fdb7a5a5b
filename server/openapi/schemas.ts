/** The parts of the wire as JSON Schema, as OpenAPI 3.1 has it. */
import { CLIENT_ID } from "../../protocol/ids.ts";
import request from "../../protocol/sync-request.schema.json" with { type: "json" };

/** A schema, as its JSON. */
export type Schema = Readonly<Record<string, unknown>>;

const COMPONENTS = "#/components/schemas/";

/** A reference to one of the schemas of the document. */
export function ref(name: string): Schema {
  return { $ref: COMPONENTS + name };
}

/** The schema of a string. */
export function text(description: string, more: Schema = {}): Schema {
  return { description, type: "string", ...more };
}

/** The schema of a whole number of at least `minimum`. */
export function whole(description: string, minimum = 0): Schema {
  return { description, type: "integer", minimum };
}

/** An object with these members, and no others; all of them unless some are named. */
export function object(
  description: string,
  properties: Readonly<Record<string, Schema>>,
  required = Object.keys(properties),
): Schema {
  return { description, type: "object", required, additionalProperties: false, properties };
}

/** The schema of a request is a document of its own: here its definitions are schemas beside it. */
function requestSchemas(): Record<string, Schema> {
  const { $defs, $schema: _, $id: __, ...SyncRequest } = rebased(request);
  const { client_id: ClientId, operation_index: OperationIndex, payload: Payload } = $defs;
  return { SyncRequest, ClientId, OperationIndex, Payload };
}

const DEFINITIONS: Readonly<Record<string, string>> = {
  client_id: "ClientId",
  operation_index: "OperationIndex",
  payload: "Payload",
};

function rebased(schema: typeof request): typeof request {
  return JSON.parse(JSON.stringify(schema), (key, value: unknown) => {
    if (key !== "$ref" || typeof value !== "string") return value;
    return COMPONENTS + (DEFINITIONS[value.replace("#/$defs/", "")] ?? "");
  });
}

const sentClient = text("A client id, in lower case.", {
  pattern: `^${CLIENT_ID}$`,
});

/** The schemas of requests and of answers that are no problem. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  ...requestSchemas(),
  EraseRequest: object("The body of DELETE /sync (R-15.1).", { user: request.properties.user }),
  SentClientId: sentClient,
  Line: object(
    "One operation of an answer (R-7.2), or a snapshot with which an answer begins (R-20.7).",
    {
      client_id: ref("SentClientId"),
      operation_index: ref("OperationIndex"),
      payload: ref("Payload"),
      snapshot: object("Only of a snapshot: what it stands for.", {
        covers: {
          description: "For each client, the last operation index that the snapshot covers.",
          type: "object",
          minProperties: 1,
          propertyNames: ref("SentClientId"),
          additionalProperties: ref("OperationIndex"),
        },
      }),
    },
    ["client_id", "operation_index", "payload"],
  ),
  Health: object("The process is alive.", { status: { const: "ok" } }),
  Readiness: object(
    "Storage answers, and a folder takes new objects.",
    {
      status: { const: "ready" },
      cluster: {
        description: "Only with CLUSTER: whether it is reached.",
        enum: ["reached", "lost"],
      },
    },
    ["status"],
  ),
};
