/** What is logged, from nothing to all. */
export const LOG_LEVELS = ["silent", "error", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Fields = Readonly<Record<string, unknown>>;

/** Writes one JSON object a line. */
export interface Logger {
  readonly error: (message: string, fields?: Fields) => void;
  readonly info: (message: string, fields?: Fields) => void;
  readonly debug: (message: string, fields?: Fields) => void;
  /** How many lines could not be written so far. */
  readonly lostLines: () => number;
}

/** @param write takes one line, its end included; standard error unless told */
export function createLogger(level: LogLevel, write?: (line: string) => void): Logger {
  let lost = 0;
  const writeLine = write ?? toStandardError(() => lost++);
  const at = (own: LogLevel) =>
    LOG_LEVELS.indexOf(own) > LOG_LEVELS.indexOf(level)
      ? () => undefined
      : (message: string, fields: Fields = {}) => {
          const entry = { time: new Date().toISOString(), level: own, message, ...fields };
          writeLine(`${shortenFingerprints(JSON.stringify(entry, errorsAsText))}\n`);
        };
  return { error: at("error"), info: at("info"), debug: at("debug"), lostLines: () => lost };
}

/** Without a listener, an error would end the process. Each line that is lost is counted apart. */
const stays = () => undefined;

/** Whoever reads the log may go away. That ends the log, and not the work of those who sync. */
function toStandardError(onLost: () => void): (line: string) => void {
  if (!process.stderr.listeners("error").includes(stays)) process.stderr.on("error", stays);
  return (line) =>
    process.stderr.write(line, (error) => {
      if (error instanceof Error) onLost();
    });
}

/** An error with its stack and its cause, in full: the log is where the inner detail goes. */
function errorsAsText(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { stack, cause } = value;
  return cause === undefined ? { stack } : { stack, cause };
}

/** 43 characters of base64url that stand alone; what JSON or a URL escapes before them ends a word. */
const fingerprints =
  /(?<=\\(?:[bfnrt]|u[0-9a-f]{4})|(?<=%[0-9A-Fa-f]{2})|(?<![\w-]))([\w-]{8})[\w-]{35}(?![\w-])/g;

/**
 * Cuts every fingerprint to its first 8 characters. Done to the finished line, since the messages
 * of a file system or a storage service quote object names.
 */
function shortenFingerprints(line: string): string {
  return line.replace(fingerprints, "$1…");
}
