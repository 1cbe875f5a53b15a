/** On every page: menu, language, appearance, zone, signing out, copying, times, forms, live parts. */
import { callApi } from "./lib/api.ts";
import { startForms } from "./lib/forms.ts";
import { REFRESHED, startLive } from "./lib/live.ts";
import { language } from "./lib/say.ts";
import { copyText, showWaitingToast } from "./lib/toast.ts";

const YEAR_SECONDS = 31_536_000;

const setCookie = (name: string, value: string): void => {
  // The Cookie Store is not in every browser yet.
  // biome-ignore lint/suspicious/noDocumentCookie: see above
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
};

function startPreferences(): void {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!document.cookie.includes("medlink_zone=")) setCookie("medlink_zone", zone);
  document.addEventListener("change", (event) => {
    const { target } = event;
    if (!(target instanceof HTMLSelectElement)) return;
    if (target.dataset.themeSwitch !== undefined) {
      setCookie("medlink_theme", target.value);
      document.documentElement.dataset.theme = target.value;
    } else if (target.dataset.localeSwitch !== undefined) {
      void switchLocale(target.value);
    } else {
      target.closest<HTMLFormElement>("form[data-filter]")?.requestSubmit();
    }
  });
}

/** The account's language too, so that it is the same on the next device. Before signing in there is none to change. */
async function switchLocale(locale: string): Promise<void> {
  setCookie("medlink_locale", locale);
  if (document.querySelector("[data-sign-out]") !== null) await callApi("PATCH", "/api/auth/me", { locale });
  location.reload();
}

function startMenu(): void {
  const button = document.querySelector<HTMLButtonElement>("[data-menu]");
  const sidebar = document.getElementById("sidebar");
  if (button === null || sidebar === null) return;
  let scrim: HTMLElement | undefined;
  const show = (open: boolean): void => {
    sidebar.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(open));
    scrim?.remove();
    scrim = undefined;
    if (!open) return;
    scrim = document.createElement("div");
    scrim.className = "scrim";
    scrim.addEventListener("click", () => show(false));
    sidebar.before(scrim);
    sidebar.querySelector<HTMLElement>("a")?.focus();
  };
  button.addEventListener("click", () => show(!sidebar.classList.contains("open")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !sidebar.classList.contains("open")) return;
    show(false);
    button.focus();
  });
}

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["year", 365 * 86_400_000],
  ["month", 30 * 86_400_000],
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

function startTimes(): void {
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "long" });
  const textOf = (distance: number): string => {
    for (const [unit, ms] of STEPS) {
      if (Math.abs(distance) >= ms) return relative.format(Math.round(distance / ms), unit);
    }
    return relative.format(0, "second");
  };
  setInterval(() => {
    for (const element of document.querySelectorAll<HTMLElement>("[data-ago]")) {
      const text = textOf(Number(element.dataset.ago) - Date.now());
      if (element.textContent !== text) element.textContent = text;
    }
  }, 20_000);
}

function startButtons(): void {
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const button = event.target.closest("button");
    if (button?.dataset.copy !== undefined) void copyText(button.dataset.copy);
    if (button?.dataset.print !== undefined) window.print();
    if (button?.dataset.signOut !== undefined) {
      void callApi("POST", "/api/auth/logout").then(() => location.assign("/sign-in"));
    }
  });
}

/** A table that is wider than its place is scrolled by keyboard too. */
function startWideTables(): void {
  const look = (): void => {
    for (const box of document.querySelectorAll<HTMLElement>(".table-box")) {
      if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  new ResizeObserver(look).observe(document.body);
  document.addEventListener(REFRESHED, look);
  look();
}

startPreferences();
startWideTables();
startMenu();
startTimes();
startButtons();
startForms();
startLive();
showWaitingToast();
