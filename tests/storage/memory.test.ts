import { MemoryDriver } from "../../storage/memory.ts";
import { protocolSuite } from "../protocol/protocol-suite.ts";
import { driverContract } from "./driver-contract.ts";

driverContract("memory", {
  open: async () => new MemoryDriver(),
  shared: false,
  remove: () => undefined,
});

protocolSuite("memory", async () => new MemoryDriver());
