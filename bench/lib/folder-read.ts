/** What `bench/baselines/files.ts` answers with, as JSON. */
export interface FolderRead {
  readonly files: number;
  readonly bytes: number;
  readonly milliseconds: number;
}

/** The line by which it says that it accepts paths of folders. */
export const READY_FOR_FOLDERS = "ready for folders on standard input";
