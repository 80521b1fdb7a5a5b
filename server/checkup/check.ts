/** One thing that was looked at. `note`: worth to know, and nothing that has to change. */
export interface CheckOf<Topic> {
  readonly topic: Topic;
  readonly level: "ok" | "note" | "wrong";
  readonly what: string;
  /** What was measured, for `--json`. */
  readonly measured?: Readonly<Record<string, number>>;
}
