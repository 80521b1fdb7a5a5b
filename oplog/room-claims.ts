import type { Listing } from "./listing.ts";
import type { Addition, AppendPolicy, RoomClaim } from "./policy.ts";

/** The room that one append has claimed beside the other servers. */
export class RoomClaims {
  readonly #policy: AppendPolicy;
  #addition: Addition | undefined;
  #claim: RoomClaim | undefined;

  constructor(policy: AppendPolicy) {
    this.#policy = policy;
  }

  /** Absent where nothing had to be claimed. */
  get claim(): RoomClaim | undefined {
    return this.#claim;
  }

  /** Whether an addition is claimed already. */
  covers({ objects, bytes }: Addition): boolean {
    return this.#addition?.objects === objects && this.#addition.bytes === bytes;
  }

  /**
   * Claims an addition in place of what was claimed before: at once where no other server has to be asked.
   * Otherwise the promise resolves to why it was not possible.
   */
  take(addition: Addition, listing: Listing): Promise<Error | "outdated" | undefined> | undefined {
    this.release();
    const claiming = this.#policy.claim?.(addition, listing);
    if (claiming !== undefined) return this.#keep(addition, claiming);
    this.#addition = addition;
    return undefined;
  }

  async #keep(
    addition: Addition,
    claiming: Promise<RoomClaim | Error | "outdated" | undefined>,
  ): Promise<Error | "outdated" | undefined> {
    const claim = await claiming;
    if (claim instanceof Error || claim === "outdated") return claim;
    this.#addition = addition;
    this.#claim = claim;
    return undefined;
  }

  /** Gives back what is claimed. */
  release(): void {
    this.#claim?.release();
    this.#claim = undefined;
    this.#addition = undefined;
  }
}
