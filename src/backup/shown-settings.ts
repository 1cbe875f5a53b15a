/** Settings as a snapshot keeps them. Secrets are none of the settings; an address may still carry one. */

const MAY_HOLD_A_CREDENTIAL = /_(?:URL|URLS|WITNESSES)$/;

/** The scheme and host of an address; null for what is none. */
function hostOf(address: string): string | null {
  try {
    const { protocol, host } = new URL(address);
    return `${protocol}//${host}`;
  } catch {
    return null;
  }
}

export function shownSettings(
  settings: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string | number | boolean | null>> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => {
      if (typeof value === "string") return [name, MAY_HOLD_A_CREDENTIAL.test(name) ? hostOf(value) : value];
      if (typeof value === "number" || typeof value === "boolean") return [name, value];
      return [name, typeof value === "bigint" ? value.toString() : null];
    }),
  );
}
