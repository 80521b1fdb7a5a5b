/** The client of the AWS SDK, with what differs from its defaults, and the time its requests take. */
import { S3Client } from "@aws-sdk/client-s3";
import { RequestTimeout } from "./s3-errors.ts";

/** The most connections at once. Further requests wait for one. */
const MAX_SOCKETS = 128;

/** How long a connection may take to open, and a response to begin. */
const CONNECT_TIMEOUT_MS = 5_000;
const RESPONSE_TIMEOUT_MS = 30_000;

/** What else comes from the environment. */
export interface ClientSettings {
  /** The URL of the service. */
  readonly endpoint?: string;
  /** How often a request is tried. */
  readonly maxAttempts?: number;
}

export async function openClient(settings: ClientSettings): Promise<S3Client> {
  // On Node 20, each process would warn on standard error, which has the log, of later versions of the SDK:
  // those are not in here, and an operator who updates can do nothing about it before.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const client = new S3Client({
    ...settings,
    // The SDK's defaults add checksums in a form that many services refuse.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // The middleware is built once for each command: otherwise it takes a quarter of a request's CPU.
    cacheMiddleware: true,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: RESPONSE_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: MAX_SOCKETS },
      httpsAgent: { maxSockets: MAX_SOCKETS },
    },
  });
  // A service other than AWS seldom has a host name for each bucket.
  client.config.forcePathStyle =
    settings.endpoint !== undefined ||
    (await client.config.serviceConfiguredEndpoint?.()) !== undefined;
  return client;
}

/** Runs a request and the reading of its body within a time limit, in milliseconds. */
export async function withTimeout<Output>(
  timeout: number,
  request: (abortSignal: AbortSignal) => Promise<Output>,
): Promise<Output> {
  const limit = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  // A race beside the abort: not every runtime stops reading a body when its request is aborted.
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new RequestTimeout(`it took longer than ${timeout} ms`));
      limit.abort();
    }, timeout);
  });
  try {
    return await Promise.race([request(limit.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
