/** What to change about a storage, by what was found. */
export const STORAGE_CHANGES = {
  storage: {
    what: "See the message: until this is repaired, devices cannot store or cannot read.",
  },
  consistency: {
    what:
      "Use another service, or another file system: an object that was stored has to be there and to be " +
      "listed at once, or operations seem to be missing.",
  },
  slow: {
    what: "Each append waits for this: use a faster disk, or a bucket in the region of the server.",
  },
  clock: { what: "Set the clock by NTP: signatures of a clock that is 5 minutes off are refused." },
  room: { what: "When it is full, appends are refused: make room, or move to a larger one." },
} as const;

export type StorageTopic = keyof typeof STORAGE_CHANGES;
