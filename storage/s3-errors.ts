/** What the errors of the AWS SDK mean, and what to do about them. */

/** The answer is not that of an S3 service. */
export class NoS3 extends Error {
  override name = "NoS3";
}

/** A request was given up. */
export class OutOfTime extends Error {
  override name = "TimeoutError";
}

/** What an error of the SDK means, in words for everybody, and what the operator is to look at. */
export function explain(error: unknown): { reason: string; advice: string } {
  const code = codeOf(error);
  const status = statusOf(error);
  if (code === "NoSuchBucket" || status === 404) {
    return {
      reason: "the bucket does not exist",
      advice: "Check the name in STORAGE, and AWS_REGION or AWS_ENDPOINT_URL.",
    };
  }
  if (status === 301 || code === "AuthorizationHeaderMalformed") {
    return { reason: "the bucket lies in another region", advice: "Check AWS_REGION." };
  }
  if (status === 401 || status === 403) {
    return {
      reason: "access is refused",
      advice:
        "Check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), and " +
        "that they may list, get, put and delete in this bucket.",
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
      advice: "Set AWS_REGION; a service of another make usually takes us-east-1 or auto.",
    };
  }
  if (code === "TimeoutError" || (error instanceof Error && "code" in error)) {
    return { reason: "it is not reachable", advice: "Check AWS_ENDPOINT_URL and the network." };
  }
  return { reason: "it does not answer as it should", advice: "Is it an S3 service at all?" };
}

/** The name that S3 or the SDK gives an error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? error.name : undefined;
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("$metadata" in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== "object" || metadata === null) return undefined;
  const status = "httpStatusCode" in metadata ? metadata.httpStatusCode : undefined;
  return typeof status === "number" ? status : undefined;
}
