import { OperationConflict, OperationGap } from "../../oplog/append-plan.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { BudgetExhausted } from "../../oplog/prefetch.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { SignatureRequired, UserErased } from "../../sync/access.ts";
import { QuotaExceeded } from "../../sync/quota.ts";
import { shortened, type ValidationIssue } from "../../sync/request.ts";
import { UserNotAllowed } from "../allow-list-file.ts";
import { BodyCut } from "./body-reader.ts";
import { Problem, type ProblemOptions } from "./problem.ts";
import { acceptSignature, type SignatureInvalid } from "./signature.ts";

/** What a client is told of an error. Of the server's own errors it is told no more than that. */
export function problemOf(error: unknown): ProblemOptions {
  if (error instanceof Problem) return error.options;
  if (error instanceof OperationGap) {
    return {
      type: "operation-gap",
      detail: `Operations are missing before this one: ${error.message}. Nothing was stored. Send on from next_index.`,
      members: { next_index: error.nextIndex },
    };
  }
  if (error instanceof OperationConflict) {
    return {
      type: "operation-conflict",
      detail: `Nothing was stored: ${error.message}. This client id is in use twice; take a new one.`,
      members: { operation_index: error.index },
    };
  }
  if (error instanceof UserErased) {
    return {
      type: "user-erased",
      detail: "This user has left, and nothing of it is here. Nothing was stored, nor will be.",
      members: { erased_at: new Date(error.at * 1000).toISOString() },
    };
  }
  if (error instanceof StorageUnavailable) return storageUnavailable;
  if (error instanceof BudgetExhausted) return overloaded().options;
  if (error instanceof BodyCut) {
    return {
      type: "invalid-request",
      detail: "The body ended early. Send the request again.",
    };
  }
  if (error instanceof UserNotAllowed) {
    return {
      type: "user-not-allowed",
      detail: "This server has a list of its users, and this key is not on it. Ask its operator.",
    };
  }
  if (error instanceof QuotaExceeded) {
    const { setting, quota, used } = error;
    const what = setting === "QUOTA_BYTES" ? "bytes of operations" : "clients";
    return {
      type: "quota-exceeded",
      detail: `This user may store ${quota} ${what} here and has ${used}. Nothing was stored. Have the server's ${setting} raised.`,
      members: { quota, used, setting },
    };
  }
  return {
    type: "internal-error",
    detail: "The server failed in a way it did not expect. Its log says how. Try again later.",
  };
}

const storageUnavailable: ProblemOptions = {
  type: "storage-unavailable",
  detail: "The server's storage does not answer, so nothing is acknowledged. Send it again later.",
  headers: { "Retry-After": "5" },
};

/** @param reason of a `StorageUnavailable` */
export function storageNotReady(reason: string): Problem {
  return new Problem({ ...storageUnavailable, detail: `Storage is not ready: ${reason}.` });
}

/** The server takes no requests any more. */
export const stopping: ProblemOptions = {
  type: "stopping",
  detail: "The server is being stopped. Send the request again in a moment.",
  headers: { "Retry-After": "1" },
};

/** A request with members that break their rules, each told with its place. */
export function invalidRequest(faults: readonly ValidationIssue[]): Problem {
  const first = faults[0];
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more in "errors")` : "";
  return new Problem({
    type: "invalid-request",
    detail: `${first?.pointer ?? "#"} ${first?.detail ?? "is not right"}${more}. Nothing was stored.`,
    members: { errors: faults },
  });
}

/**
 * A request that was not signed, or not rightly. The answer says how to sign, and what time it is.
 * @param time milliseconds of Unix time
 */
export function unauthorized(
  error: SignatureRequired | SignatureInvalid,
  user: Fingerprint,
  time: number,
): Problem {
  const headers = {
    "Accept-Signature": acceptSignature(user),
    Date: new Date(time).toUTCString(),
    // A 401 has to have one; no scheme is registered for signatures.
    "WWW-Authenticate": "Signature",
  };
  if (error instanceof SignatureRequired) {
    return new Problem({
      type: "signature-required",
      detail: `The request has no signature: ${error.message}. Nothing was stored. Sign it as Accept-Signature says.`,
      headers,
    });
  }
  const { check, message } = error;
  return new Problem({
    type: "signature-invalid",
    detail: `The signature is not right: ${message}. Nothing was stored. Sign as Accept-Signature says.`,
    members: { check },
    headers,
  });
}

/** There is nothing at this path. */
export function notFound(path: string): Problem {
  return new Problem({
    type: "not-found",
    detail: `There is nothing at ${shortened(path)}. There are POST and DELETE /sync, GET /health, GET /ready and GET /metrics.`,
  });
}

/** @param allow the methods that the path answers, as in `Allow` */
export function methodNotAllowed(method: string, path: string, allow: string): Problem {
  return new Problem({
    type: "method-not-allowed",
    detail: `${path} does not answer ${method}, only ${allow}.`,
    headers: { Allow: allow },
  });
}

/**
 * A user who has no token left.
 * @param retryAfter in seconds
 * @param headers those that tell of the limit
 */
export function rateLimited(
  retryAfter: number,
  headers: Readonly<Record<string, string>>,
): Problem {
  return new Problem({
    type: "rate-limited",
    detail: `This user has used up the rate limit. Nothing was stored. Try again in ${retryAfter} s.`,
    headers: { ...headers, "Retry-After": String(retryAfter) },
  });
}

/**
 * Too many users that are new have come from one network address.
 * @param retryAfter in seconds
 */
export function newUsersLimited(retryAfter: number): Problem {
  return new Problem({
    type: "new-users-limited",
    detail: `Too many new users have begun to store operations from this network address. Nothing was stored. Try again in ${retryAfter} s.`,
    headers: { "Retry-After": String(retryAfter) },
  });
}

/** There is no room for another request, or for its bytes. */
export function overloaded(headers: Readonly<Record<string, string>> = {}): Problem {
  return new Problem({
    type: "overloaded",
    detail: "The server has too much to do at once. Send the request again in a moment.",
    headers: { ...headers, "Retry-After": "1" },
  });
}
