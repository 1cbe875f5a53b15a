/** What signs a delivery: the destination's own secrets, opened once and remembered, or those of the settings. */
import { fromUtf8 } from "../platform/encoding.ts";
import type { Keyring } from "../platform/keyring.ts";
import { headersPlace, secretPlace } from "./destinations.ts";
import type { LeasedDestination, SealedSecret } from "./port.ts";

const MAX_REMEMBERED = 1_000;

/** Signs one attempt. */
export interface Signing {
  /** The current secret and, while a rotation goes on, the one before it: Standard Webhooks lists both signatures. */
  readonly secrets: readonly [string, ...string[]];
  /** Makes the one signature of the iTrans header. */
  readonly itransSecret: string;
  /** Of the destination's own. */
  readonly extraHeaders: Readonly<Record<string, string>>;
}

/** The relay's own secret; the previous one and the switch for the time of a rotation. */
export interface SettingsSecrets {
  readonly current: string;
  readonly previous: string | undefined;
  readonly itransSignature: "current" | "previous";
}

export class SigningSecrets {
  readonly #keyring: Keyring;
  readonly #settings: SettingsSecrets;
  /** By sealed value: a rotated secret is another value. */
  readonly #opened = new Map<string, string>();

  constructor(keyring: Keyring, settings: SettingsSecrets) {
    this.#keyring = keyring;
    this.#settings = settings;
  }

  /** @throws when something sealed does not open under any key held. */
  async of(destination: LeasedDestination): Promise<Signing> {
    const { destinationId, sealedSecret, sealedPreviousSecret, sealedHeaders, itransSignature } = destination;
    const extraHeaders = sealedHeaders === undefined ? {} : await this.#headers(sealedHeaders, destinationId);
    if (sealedSecret === undefined) {
      const { current, previous, itransSignature: which } = this.#settings;
      return signing(current, previous, which, extraHeaders);
    }
    const place = secretPlace(destinationId);
    const current = await this.#open(sealedSecret, place);
    const previous = sealedPreviousSecret === undefined ? undefined : await this.#open(sealedPreviousSecret, place);
    return signing(current, previous, itransSignature ?? "current", extraHeaders);
  }

  async #headers(sealed: SealedSecret, destinationId: string): Promise<Readonly<Record<string, string>>> {
    const headers: Readonly<Record<string, string>> = JSON.parse(await this.#open(sealed, headersPlace(destinationId)));
    return headers;
  }

  async #open(sealed: SealedSecret, place: string): Promise<string> {
    const remembered = this.#opened.get(sealed.sealed);
    if (remembered !== undefined) return remembered;
    const secret = fromUtf8(await this.#keyring.open(sealed, place));
    if (this.#opened.size >= MAX_REMEMBERED) this.#opened.clear();
    this.#opened.set(sealed.sealed, secret);
    return secret;
  }
}

function signing(
  current: string,
  previous: string | undefined,
  which: "current" | "previous",
  extraHeaders: Signing["extraHeaders"],
): Signing {
  return {
    secrets: previous === undefined ? [current] : [current, previous],
    itransSecret: which === "previous" ? (previous ?? current) : current,
    extraHeaders,
  };
}
