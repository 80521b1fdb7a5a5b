import { MemoryDriver } from "../../storage/memory.ts";
import { protocolSuite } from "../protocol/protocol-suite.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { driverContract } from "./driver-contract.ts";

driverContract("memory", {
  open: async () => new MemoryDriver(),
  processes: "each process has a memory of its own",
  faults: "memory does not fail",
  remove: () => undefined,
});

protocolSuite(
  "memory",
  async () => new MemoryDriver(),
  onlyOn("Bun", "what is packed is the same, whatever packs it"),
);
