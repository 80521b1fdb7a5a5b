/** Why two devices did not pair. */
const MESSAGES = {
  link: "this is not a link for adding a device: copy the whole link again",
  expired: "the pairing took too long: begin again on the device that has the key",
  ended:
    "the pairing was ended elsewhere, by the other device or by someone who has seen its code: begin again",
  stranger:
    "another device has answered as well, so someone has seen the code: begin again where nobody else sees it",
  code: "this is not the code that the new device shows, so the key was not sent: begin again",
  altered: "a message is not from the other device: begin again",
  refused: "the server refuses the pairing",
} as const;

/** What went wrong: see `MESSAGES`. */
export type PairingFault = keyof typeof MESSAGES;

/** The devices have not paired. No key was sent, unless `afterKey` says so. The message is for a person. */
export class PairingFailed extends Error {
  override name = "PairingFailed";
  readonly fault: PairingFault;
  /** Whether the key had been sent to the device whose code was typed, which may have it. */
  readonly afterKey: boolean;

  constructor(
    fault: PairingFault,
    {
      why = "",
      afterKey = false,
      ...options
    }: ErrorOptions & {
      readonly why?: string;
      readonly afterKey?: boolean;
    } = {},
  ) {
    const message = why === "" ? MESSAGES[fault] : `${MESSAGES[fault]}: ${why}`;
    super(
      afterKey ? `${message}. The new device may have the key: look there first` : message,
      options,
    );
    this.fault = fault;
    this.afterKey = afterKey;
  }
}
