import { openStorage } from "../../../storage/open.ts";

/** A folder with journals, for processes that a test starts. */
export const Folder = { open: (path: string) => openStorage(path) };
