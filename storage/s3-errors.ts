/** What goes wrong with S3: recognizes it, and explains it with what to do about it. */
import { md5Of } from "./driver.ts";

/** The response does not come from an S3 service. */
export class NotS3 extends Error {
  override name = "NotS3";
}

/** A request took too long. */
export class RequestTimeout extends Error {
  override name = "TimeoutError";
}

/** What an error of the SDK means, in words for everybody, with advice for the operator. */
export function explainS3Error(error: unknown): { reason: string; advice: string } {
  const code = s3CodeOf(error);
  const status = s3StatusOf(error);
  if (code === "NoSuchBucket" || status === 404) {
    return {
      reason: "the bucket does not exist",
      advice: "Check the name in STORAGE, and AWS_REGION or AWS_ENDPOINT_URL.",
    };
  }
  if (status === 301 || code === "AuthorizationHeaderMalformed") {
    return { reason: "the bucket is in another region", advice: "Check AWS_REGION." };
  }
  if (status === 401 || status === 403) {
    return {
      reason: "access is refused",
      advice:
        "Check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), and " +
        "that they may list, get, put and delete in this bucket.",
    };
  }
  if (status === 409) {
    return {
      reason: "another request for the same object is under way",
      advice: "A later attempt may succeed.",
    };
  }
  if (status === 429 || status === 503 || code === "SlowDown") {
    return { reason: "it asks to slow down", advice: "The SDK has tried AWS_MAX_ATTEMPTS times." };
  }
  if (code === "CredentialsProviderError") {
    return {
      reason: "there are no credentials",
      advice: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
    };
  }
  if (error instanceof Error && /^Region (is missing|not accepted)/.test(error.message)) {
    return {
      reason: "there is no region",
      advice: "Set AWS_REGION; a service other than AWS usually accepts us-east-1 or auto.",
    };
  }
  if (code === "TimeoutError" || (error instanceof Error && "code" in error)) {
    return { reason: "it is not reachable", advice: "Check AWS_ENDPOINT_URL and the network." };
  }
  return { reason: "it does not answer as it should", advice: "Is it an S3 service?" };
}

/** The name of an error of S3 or of the SDK. */
export function s3CodeOf(error: unknown): string | undefined {
  return error instanceof Error ? error.name : undefined;
}

/** The SDK's name and message of an error of which the service gives none. */
const PLACEHOLDER = "UnknownError";

/** The name and the message of an error, as far as the service gives them; otherwise its status. */
export function textOfS3Error(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = [error.name, error.message].filter((part) => part !== PLACEHOLDER && part !== "");
  return parts.length > 0 ? parts.join(": ") : `status ${s3StatusOf(error)}`;
}

/** The status of an answer of S3 that is an error. */
export function s3StatusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("$metadata" in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== "object" || metadata === null) return undefined;
  const status = "httpStatusCode" in metadata ? metadata.httpStatusCode : undefined;
  return typeof status === "number" ? status : undefined;
}

/**
 * Throws unless a body is an object of S3. A 200 from a proxy or a maintenance page would look like a
 * damaged object, and so like an operation that is lost.
 */
export function checkObject(
  body: Uint8Array,
  etag: string | undefined,
  size: number | undefined,
): void {
  if (etag === undefined) throw new NotS3("the response to a get has no ETag");
  if (size === undefined || body.byteLength === size) return;
  // A damaged object that was replaced meanwhile has another size. The ETag need not be an MD5, with
  // server-side encryption for example.
  if (etag.replaceAll('"', "") === md5Of(body)) return;
  throw new NotS3(`the response to a get has ${body.byteLength} bytes instead of ${size}`);
}
