/** Short messages at the edge of the page, read out by screen readers; one can wait for the next page. */
import { say } from "./say.ts";

const WAITING = "medlink.toast";
const SHOWN_MS = 6_000;

export type ToastTone = "good" | "bad";

export function toast(message: string, tone: ToastTone = "good"): void {
  const box = document.querySelector("[data-toasts]");
  if (box === null) return;
  const item = document.createElement("div");
  item.className = `toast ${tone}`;
  const text = document.createElement("span");
  text.textContent = message;
  item.append(text);
  box.append(item);
  while (box.children.length > 4) box.firstElementChild?.remove();
  // What went wrong stays until it is overtaken or left behind.
  if (tone === "good") setTimeout(() => item.remove(), SHOWN_MS);
}

/** Shown once the next page is there. */
export function toastNext(message: string): void {
  try {
    sessionStorage.setItem(WAITING, message);
  } catch {
    // Without storage the next page is its own answer.
  }
}

export function showWaitingToast(): void {
  try {
    const message = sessionStorage.getItem(WAITING);
    sessionStorage.removeItem(WAITING);
    if (message !== null) toast(message);
  } catch {
    // As above.
  }
}

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(say("copy.done"));
  } catch {
    toast(say("copy.failed"), "bad");
  }
}
