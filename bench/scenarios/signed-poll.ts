import { createIdentity } from "../../client/identity/identity.ts";
import { signatureHeaders } from "../../client/signature.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject } from "../lib/interleave.ts";
import { runLoad } from "../lib/load.ts";
import type { HttpProcess } from "../lib/process.ts";
import { pollBody, pollRequest, syncRequest } from "../lib/requests.ts";
import { addRequests, requestFigures, requestRatios } from "../lib/result.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { seedFolder, segments } from "../lib/seed.ts";
import { userOf } from "../lib/users.ts";

const CONNECTIONS = 64;

/** A poll with a signature, which is valid for five minutes: longer than the scenario takes. */
async function createSignedPoll(operations: number) {
  const { identity } = await createIdentity("a long passphrase", { bits: 2048 });
  const user = { key: identity.publicKey, fingerprint: fingerprintOf(identity.publicKey) };
  const json = pollBody(user, operations);
  const fields = await signatureHeaders(identity, {
    method: "POST",
    url: new URL("http://localhost/sync"),
    contentType: "application/json",
    body: new TextEncoder().encode(json),
    created: Math.floor(Date.now() / 1000),
  });
  return { user, request: syncRequest(json, fields) };
}

/** The cost of verifying a signature: signed polls beside unsigned polls of another user. */
async function signedAndUnsigned(context: BenchContext): Promise<Experiment> {
  const operations = context.size(10_000);
  const storage = context.folder();
  const other = userOf("signed", 0);
  const { user, request } = await createSignedPoll(operations);
  for (const one of [other, user]) seedFolder(storage, one, segments(one, operations));
  const server = await context.server(storage);

  const polls = (work: string, next: Buffer, warmUp: number) => {
    const load = (process: HttpProcess, seconds: number) =>
      runLoad(process, { connections: CONNECTIONS, seconds, next: () => next });
    return new ServerSubject(work, {
      process: server,
      warmUp: (process) => load(process, warmUp),
      sample: (process) => load(process, context.seconds),
    });
  };
  const unsigned = polls("unsigned poll", pollRequest(other, operations), context.warmUp);
  const signed = polls("signed poll (RSA 2048)", request, context.warmUp / 2);
  return {
    subjects: [unsigned, signed],
    results: () => [
      {
        scenario: "signed",
        work: `for comparison: ${signed.work}, beside the unsigned one, ${CONNECTIONS} connections`,
        figures: requestFigures(signed.samples),
        ratios: requestRatios(signed.samples, unsigned.samples),
        baseline: "the same server, unsigned",
        storage: addRequests(unsigned.storage, signed.storage),
        targets: [],
        samples: { baseline: unsigned.samples, server: signed.samples },
      },
    ],
  };
}

export const signedPoll: Scenario = [signedAndUnsigned];
