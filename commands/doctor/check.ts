import type { CheckOf } from "../../server/checkup/check.ts";
import type { Topic } from "./advice.ts";

export type Check = CheckOf<Topic>;
