/** How much is logged, from nothing to everything. */
export const LOG_LEVELS = ["silent", "error", "info", "debug"] as const;
/** One of `LOG_LEVELS`. */
export type LogLevel = (typeof LOG_LEVELS)[number];

type LogFields = Readonly<Record<string, unknown>>;

/** How a line of the log is written. */
export const LOG_FORMATS = ["json", "text"] as const;
/** One of `LOG_FORMATS`. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Writes one line for each event: a JSON object, or text for people. */
export interface Logger {
  readonly error: (message: string, fields?: LogFields) => void;
  readonly info: (message: string, fields?: LogFields) => void;
  readonly debug: (message: string, fields?: LogFields) => void;
  /** How many lines could not be written so far. */
  readonly lostLines: () => number;
}

/** Lines of one message per minute, above level debug: no client can fill the disk with them. */
const LINES_PER_MINUTE = 10;
const MINUTE = 60_000;

/** What every line has. */
interface Entry extends LogFields {
  readonly time: string;
  readonly level: LogLevel;
  readonly message: string;
}

/**
 * @param write takes one line, with its line feed; writes to standard error by default
 * @param now milliseconds of a clock that never goes back
 */
export function createLogger(
  level: LogLevel,
  write?: (line: string) => void,
  now: () => number = () => performance.now(),
  format: LogFormat = "json",
): Logger {
  let lost = 0;
  const writeLine = write ?? toStandardError(() => lost++);
  const limit = lineLimit(now);
  const at = (lineLevel: LogLevel) =>
    LOG_LEVELS.indexOf(lineLevel) > LOG_LEVELS.indexOf(level)
      ? () => undefined
      : (message: string, fields: LogFields = {}) => {
          const omitted = lineLevel === "debug" ? 0 : limit(message);
          if (omitted === undefined) return;
          const time = new Date().toISOString();
          const entry: Entry = {
            time,
            level: lineLevel,
            message,
            ...fields,
            ...(omitted > 0 && { omitted }),
          };
          writeLine(`${shortenIds(format === "json" ? asJson(entry) : asText(entry))}\n`);
        };
  return { error: at("error"), info: at("info"), debug: at("debug"), lostLines: () => lost };
}

/**
 * Limits the lines of each message. Gives `undefined` for a line that is left out; for another, how
 * many of its message were left out before it.
 */
function lineLimit(now: () => number): (message: string) => number | undefined {
  const windows = new Map<string, { since: number; lines: number; omitted: number }>();
  return (message) => {
    const at = now();
    const window = windows.get(message) ?? { since: at, lines: 0, omitted: 0 };
    windows.set(message, window);
    if (at - window.since >= MINUTE) [window.since, window.lines] = [at, 0];
    if (window.lines >= LINES_PER_MINUTE) {
      window.omitted++;
      return undefined;
    }
    window.lines++;
    const { omitted } = window;
    window.omitted = 0;
    return omitted;
  };
}

/** Without a listener, an "error" event would end the process. */
const ignoreError = () => undefined;

/** The reader of standard error may go away: that ends the log, not the server. */
function toStandardError(onLost: () => void): (line: string) => void {
  if (!process.stderr.listeners("error").includes(ignoreError)) {
    process.stderr.on("error", ignoreError);
  }
  return (line) =>
    process.stderr.write(line, (error) => {
      if (error instanceof Error) onLost();
    });
}

function asJson(value: unknown): string {
  return JSON.stringify(value, errorsAsText);
}

/** `TIME LEVEL MESSAGE NAME=VALUE …`, on one line. */
function asText({ time, level, message, ...fields }: Entry): string {
  const named = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${asWord(value)}`);
  return [time, level.padEnd(5), oneLine(message), ...named].join(" ");
}

/** A text as it is where it is one word, and anything else as JSON. */
function asWord(value: unknown): string {
  return typeof value === "string" && /^[\w.:/@-]+$/.test(value) ? value : asJson(value);
}

/** A text without its quotes, where that takes no line of its own. */
function oneLine(text: string): string {
  return asJson(text).slice(1, -1);
}

/** An error with its stack and its cause. */
function errorsAsText(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { stack, cause } = value;
  return cause === undefined ? { stack } : { stack, cause };
}

/** 43 characters of base64url that stand alone; an escape of JSON or of a URL may precede them. */
const fingerprints =
  /(?<=\\(?:[bfnrt]|u[0-9a-f]{4})|(?<=%[0-9A-Fa-f]{2})|(?<![\w-]))([\w-]{8})[\w-]{35}(?![\w-])/g;

/** UUIDs, as client ids are. */
const uuids = /(?<![0-9a-f-])([0-9a-f]{8})-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-f-])/g;

/**
 * Cuts every fingerprint and client id to its first 8 characters. Applied to the finished line, since
 * messages of a file system or a storage service quote object names.
 */
export function shortenIds(line: string): string {
  return line.replace(uuids, "$1…").replace(fingerprints, "$1…");
}
