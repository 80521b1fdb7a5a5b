import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AppendingClient, appendersOf, runAppends } from "../lib/appender.ts";
import type { BenchContext } from "../lib/context.ts";
import type { FileBaseline } from "../lib/file-baseline.ts";
import { ServerSubject, Subject } from "../lib/interleave.ts";
import { runLoad } from "../lib/load.ts";
import type { HttpProcess } from "../lib/process.ts";
import { pollRequest } from "../lib/requests.ts";
import {
  atLeast,
  atMost,
  type Result,
  requestFigures,
  requestRatios,
  type Target,
} from "../lib/result.ts";
import { cpu, medianRatio } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { PAYLOAD_BYTES } from "../lib/seed.ts";
import type { ServerProcess } from "../lib/server-process.ts";
import { clientOf, userOf } from "../lib/users.ts";

const IN_FLIGHT = [1, 16, 64];

interface Case {
  readonly inFlight: number;
  readonly users: "different users" | "one user";
}

interface Processes {
  readonly http: HttpProcess;
  readonly files: FileBaseline;
  readonly server: ServerProcess;
}

/**
 * Payloads of 512 bytes into a folder; 1, 16 and 64 in flight, each of another user or each of
 * another client of one user. The baselines are bare files (create, fsync, rename, fsync of the
 * folder; as many in flight, as many folders), and for CPU also the bare HTTP server with the same
 * bytes.
 */
async function appends(
  context: BenchContext,
  inFlights: readonly number[],
  compaction: "on" | "off",
): Promise<Experiment> {
  const processes = {
    http: await context.httpBaseline(),
    files: await context.fileBaseline(),
    server: await context.server(context.folder(), { COMPACTION: compaction }),
  };
  const cases = inFlights.flatMap((inFlight) =>
    (["different users", "one user"] as const).map((users) => ({ inFlight, users })),
  );
  const measured = cases.map((one) => {
    const work = `append, ${one.inFlight} in flight, ${one.users}`;
    const described = compaction === "on" ? work : `${work}, without compaction`;
    return { ...one, ...subjectsOf(context, one, cases.length, processes, described) };
  });
  return {
    subjects: measured.flatMap(({ http, files, server }) => [http, files, server]),
    results: () => {
      const peak = Math.max(...measured.flatMap(({ server }) => server.peaks));
      return measured.map(({ inFlight, http, files, server }): Result => {
        const ratios = {
          ...requestRatios(server.samples, files.samples),
          // The baseline has two parts, the request and the file.
          cpu: medianRatio(cpu, server.samples, http.samples, files.samples),
        };
        const targets: Target[] = [];
        if (compaction === "on") {
          targets.push(atMost("CPU / baseline", ratios.cpu, 2));
          if (inFlight > 1) targets.push(atLeast("rate / baseline", ratios.rate, 0.8));
        }
        return {
          scenario: "append",
          work: compaction === "on" ? server.work : `for comparison: ${server.work}`,
          figures: { ...requestFigures(server.samples), peak },
          ratios,
          baseline: "bare files; for CPU, bare HTTP server + bare files",
          storage: server.storage,
          targets,
          samples: { http: http.samples, files: files.samples, server: server.samples },
        };
      });
    },
  };
}

/** @param cases how many cases share the time of the warm-up */
function subjectsOf(
  context: BenchContext,
  { inFlight, users }: Case,
  cases: number,
  { http, files, server }: Processes,
  work: string,
) {
  const warmUp = context.warmUp / cases;
  const oneUser = userOf("append one", inFlight);
  // The clients go on from sample to sample; each process has its own.
  const appenders = () =>
    users === "one user"
      ? appendersOf(oneUser, inFlight)
      : Array.from({ length: inFlight }, (_, i) => {
          return new AppendingClient(userOf(`append ${inFlight}`, i), clientOf(1));
        });
  const appending = () => {
    const clients = appenders();
    return (process: HttpProcess, seconds: number) => runAppends(process, clients, seconds);
  };
  const [toHttp, toServer] = [appending(), appending()];
  const scratch = context.folder();
  let used = 0;
  const create = (process: FileBaseline, seconds: number) => {
    const folder = join(scratch, String(used++));
    mkdirSync(folder);
    const folders = users === "one user" ? 1 : inFlight;
    return process.run({
      work: "objects",
      folder,
      folders,
      inFlight,
      bytes: PAYLOAD_BYTES,
      seconds,
    });
  };
  // Node compiles code that ran some ten thousand times, and appends take long to get there because
  // of the disk. Polls pass through most of the same code, and are fast.
  const poll = pollRequest(oneUser, 1);
  const polls = (process: HttpProcess) =>
    runLoad(process, { connections: 16, seconds: warmUp, next: () => poll });
  return {
    http: new Subject({
      process: http,
      warmUp: (process) => toHttp(process, warmUp / 4),
      sample: (process) => toHttp(process, context.seconds / 2),
    }),
    files: new Subject({
      process: files,
      warmUp: (process) => create(process, warmUp / 4),
      sample: (process) => create(process, context.seconds),
    }),
    server: new ServerSubject(work, {
      process: server,
      warmUp: async (process) => {
        await polls(process);
        await toServer(process, 2 * warmUp);
      },
      sample: (process) => toServer(process, context.seconds),
    }),
  };
}

/** The limit of storage in a single file: append and fdatasync with group commit. */
async function groupCommit(context: BenchContext): Promise<Experiment> {
  const process = await context.fileBaseline();
  const measured = IN_FLIGHT.map((inFlight) => {
    const run = (seconds: number) => {
      const folder = context.folder();
      return process.run({
        work: "append",
        folder,
        folders: 1,
        inFlight,
        bytes: PAYLOAD_BYTES,
        seconds,
      });
    };
    const files = new Subject({
      process,
      warmUp: () => run(context.seconds / 2),
      sample: () => run(context.seconds / 2),
    });
    return { inFlight, files };
  });
  return {
    subjects: measured.map(({ files }) => files),
    results: () =>
      measured.map(({ inFlight, files }) => ({
        scenario: "append",
        work: `for comparison: append + fdatasync to one file, group commit, ${inFlight} in flight`,
        figures: requestFigures(files.samples),
        ratios: {},
        targets: [],
        samples: { files: files.samples },
      })),
  };
}

/** Without compaction first, while nothing has been deleted yet: see `BenchContext.folder`. */
export const append: Scenario = [
  (context) => appends(context, [16, 64], "off"),
  (context) => appends(context, IN_FLIGHT, "on"),
  groupCommit,
];
