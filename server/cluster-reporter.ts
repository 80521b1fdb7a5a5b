import type { Logger } from "./logger.ts";

/** Logs once that the cluster is lost, and once that it is reached again, whatever is tried in between. */
export function clusterReporter(logger: Logger): (isJoined: boolean, reason: string) => void {
  let wasJoined = false;
  return (isJoined, reason) => {
    if (isJoined) logger.info("the cluster is reached");
    else if (wasJoined) {
      logger.error("the cluster is lost, and listings go by LISTING_TTL", { reason });
    }
    wasJoined = isJoined;
  };
}
