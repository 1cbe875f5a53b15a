/** Whether new claims are queued by themselves: the hub's switch, the clinic's and the worker's setting together. */
export interface AutoSubmitSwitches {
  /** Off holds every job back too. undefined: never set. */
  readonly hub: boolean | undefined;
  readonly clinic: boolean | undefined;
  /** The worker's setting. */
  readonly setting: boolean;
}

/** The hub's off is above all; then the clinic's own word, then the hub's on, then the setting. */
export const isOn = ({ hub, clinic, setting }: AutoSubmitSwitches): boolean =>
  hub !== false && (clinic ?? hub ?? setting);
