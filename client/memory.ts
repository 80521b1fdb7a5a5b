/** What needs no disk: a store in memory. */
export { MemoryStore } from "./stores/memory.ts";
