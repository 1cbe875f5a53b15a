/**
 * Parts of a page that keep themselves fresh: the page is read again and `[data-live]` parts that differ are replaced; charts take
 * their new values.
 */

const MAX_QUIET_FAILURES = 20;

/** Emitted on the document with the page as it is now, for what takes from it in a way of its own. */
export const REFRESHED = "medlink:refreshed";

/** The page as it is now; undefined when it can not be had. The browser parses it without running anything of it. */
function readAgain(): Promise<Document | undefined> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.setRequestHeader("accept", "text/html");
    request.responseType = "document";
    request.timeout = 15_000;
    request.onload = () => resolve(request.status === 200 ? (request.responseXML ?? undefined) : undefined);
    request.onerror = () => resolve(undefined);
    request.ontimeout = () => resolve(undefined);
    request.send();
  });
}

const liveParts = (): readonly HTMLElement[] => [...document.querySelectorAll<HTMLElement>("[data-live]")];

/** Whether the person is at work in this part: it must not change under their hands. */
const isInUse = (part: HTMLElement): boolean =>
  part.contains(document.activeElement) || part.querySelector("dialog[open]") !== null;

/** How much of a page says that what it shows is away: once less does, the page is made anew as a whole. */
const awayIn = (page: Document): number => page.querySelectorAll("[data-away]").length;

const isPersonAtWork = (): boolean =>
  document.querySelector("dialog[open]") !== null ||
  document.activeElement?.matches("input, select, textarea") === true;

/** @returns whether the page could be read. */
export async function refresh(): Promise<boolean> {
  const fresh = await readAgain();
  if (fresh === undefined) return false;
  if (awayIn(fresh) < awayIn(document) && !isPersonAtWork()) {
    location.reload();
    return true;
  }
  for (const part of liveParts()) {
    const next = fresh.getElementById(part.id);
    if (next === null || isInUse(part) || next.isEqualNode(part)) continue;
    part.replaceWith(document.adoptNode(next));
  }
  document.dispatchEvent(new CustomEvent(REFRESHED, { detail: fresh }));
  return true;
}

/** Runs for as long as a part asks for it. A page out of sight waits; one that fails often waits longer, then stops. */
export function startLive(): void {
  let failures = 0;
  const next = (): void => {
    const asking = document.querySelectorAll<HTMLElement>("[data-live], [data-refresh]");
    const intervals = [...asking].map((part) => Number(part.dataset.live ?? part.dataset.refresh));
    const shortest = Math.min(...intervals.filter((ms) => ms >= 500));
    if (!Number.isFinite(shortest) || failures >= MAX_QUIET_FAILURES) return;
    setTimeout(
      async () => {
        if (document.visibilityState === "visible") failures = (await refresh()) ? 0 : failures + 1;
        next();
      },
      shortest * 2 ** Math.min(failures, 5),
    );
  };
  next();
}
