/** Which secret signs a delivery: the destination's own, opened once and remembered, or the one of the settings. */
import { fromUtf8 } from "../platform/encoding.ts";
import type { Keyring } from "../platform/keyring.ts";
import { secretPlace } from "./destinations.ts";
import type { LeasedDestination } from "./port.ts";

const MAX_REMEMBERED = 1_000;

export class SigningSecrets {
  readonly #keyring: Keyring;
  readonly #settingsSecret: string;
  /** By sealed value: a rotated secret is another value. */
  readonly #opened = new Map<string, string>();

  constructor(keyring: Keyring, settingsSecret: string) {
    this.#keyring = keyring;
    this.#settingsSecret = settingsSecret;
  }

  /** @throws when the sealed secret does not open under any key held. */
  async of({ destinationId, sealedSecret }: LeasedDestination): Promise<string> {
    if (sealedSecret === undefined) return this.#settingsSecret;
    const remembered = this.#opened.get(sealedSecret.sealed);
    if (remembered !== undefined) return remembered;
    const secret = fromUtf8(await this.#keyring.open(sealedSecret, secretPlace(destinationId)));
    if (this.#opened.size >= MAX_REMEMBERED) this.#opened.clear();
    this.#opened.set(sealedSecret.sealed, secret);
    return secret;
  }
}
