import { join } from "node:path";
import { after, describe } from "node:test";
import { openStorage } from "../../../storage/open.ts";
import { protocolSuite } from "../../protocol/protocol-suite.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { onlyOn } from "../../support/one-runtime.ts";
import { crashSuite } from "../crash-suite.ts";
import { driverContract } from "../driver-contract.ts";
import { folderFaults } from "../folder-faults.ts";

const shared = temporaryFolder();
after(() => shared.remove());

driverContract("a folder with a journal", {
  open: () => openStorage(join(shared.path, "contract")),
  processes: {
    module: new URL("./open.ts", import.meta.url).href,
    driver: "Folder",
    location: join(shared.path, "contract"),
    files: true,
  },
  faults: folderFaults((folder) => openStorage(folder)),
  remove: () => undefined,
});
const bun = onlyOn("Bun", "each has the contract above, and the protocol on memory");
describe(`the protocol on a folder with a journal${bun.note}`, { skip: bun.skip }, () =>
  protocolSuite("a folder with a journal", () => openStorage(join(shared.path, "protocol"))),
);
crashSuite("a folder with a journal", () => join(shared.path, "crash"), {
  deletesAtOnce: true,
  packed: bun,
});
