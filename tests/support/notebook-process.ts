/** The notebook on the command line, in a process that derives keys from passphrases in few rounds. */
import { deriveInFewRounds } from "./few-rounds.ts";

// They take half the CPU of a command.
deriveInFewRounds();
await import("../../examples/notebook/cli/cli.ts");
