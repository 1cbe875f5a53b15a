/** Seals what only the relay may open. */
import { systemRandomBytes } from "../platform/clock.edge.ts";
import { utf8 } from "../platform/encoding.ts";
import { makeKeyring, type SealedValue } from "../platform/keyring.ts";
import { acceptedValues } from "../platform/secrets.ts";

/** @param place what the sealed value is bound to: elsewhere it does not open. */
export type Sealer = (text: string, place: string) => Promise<SealedValue>;

export async function makeSealer(env: Readonly<Record<string, unknown>>): Promise<Sealer> {
  const keyring = await makeKeyring(acceptedValues(env, "DESTINATION_WRAPPING_KEY"), "destination");
  return (text, place) => keyring.seal(utf8(text), place, systemRandomBytes);
}
