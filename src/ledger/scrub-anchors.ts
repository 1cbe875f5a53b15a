/** The record of anchors: against its own events, an earlier round, and the chain. */
import { toHex, utf8 } from "../platform/encoding.ts";
import { anchorFindings, digestOf, eventFindings } from "./check-anchors.ts";
import type { Finding } from "./finding.ts";
import { endsEarly, forgotten, remember } from "./scrub-memory.ts";
import type { ScrubPort } from "./scrub-port.ts";
import { next, type ScrubState, type Slice, withFindings } from "./scrub-state.ts";

const ANCHORS = 100;
const EVENTS = 1_000;
const MAX_REMEMBERED_ANCHORS = 2_048;

export async function anchorSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const after = state.cursor === "" ? Number.MIN_SAFE_INTEGER : Number(state.cursor);
  const { anchors, events } = await port.readAnchors(after, ANCHORS);
  const findings = [...anchorFindings(anchors, events)];
  const remembered: Record<string, readonly [number, string]> = { ...state.anchors };
  for (const anchor of anchors) {
    const { size } = anchor;
    const lastEvent = events.findLast((event) => event.size === size)?.eventId ?? 0;
    const digest = toHex(port.hasher.leaf(utf8(digestOf(anchor))));
    const [knownEvent, knownDigest] = state.memory?.anchors[size] ?? [];
    if (knownEvent === lastEvent && knownDigest !== digest) {
      const detail = `the anchor of ${size} entries changed without an event that says so`;
      findings.push({ type: "anchor-mismatch", size, place: "row", detail });
    }
    remembered[size] = [lastEvent, digest];
    if (anchor.state === "confirmed" && (await port.isOnChain(anchor)) === false) {
      const detail = `the chain does not hold the anchor of ${size} entries where the record says`;
      findings.push({ type: "anchor-chain-mismatch", size, detail });
    }
  }
  const kept = Object.entries(remembered).slice(-MAX_REMEMBERED_ANCHORS); // integer keys: in order of size
  const moved = { ...state, anchors: Object.fromEntries(kept) };
  const last = anchors.at(-1);
  const over = last === undefined || anchors.length < ANCHORS;
  return {
    state: withFindings(over ? next(moved, "anchor-events") : { ...moved, cursor: String(last.size) }, findings, port),
    cost: anchors.length,
    completed: false,
  };
}

export async function anchorEventSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const events = await port.readAnchorEvents(
    state.anchorEvents.count === 0 ? Number.MIN_SAFE_INTEGER : state.anchorEvents.through,
    EVENTS,
  );
  const findings: Finding[] = [...eventFindings(events)];
  let remembered = state.anchorEvents;
  const earlier = state.memory?.anchorEvents;
  for (const event of events) {
    const before = remembered;
    remembered = remember(port.hasher, before, event.eventId, JSON.stringify(event));
    findings.push(...forgotten(earlier, before, remembered, "anchor-missing"));
  }
  const over = events.length < EVENTS;
  if (over) findings.push(...endsEarly(earlier, remembered, "anchor-missing"));
  const moved = { ...state, anchorEvents: remembered };
  return {
    state: withFindings(over ? next(moved, "files") : moved, findings, port),
    cost: events.length,
    completed: false,
  };
}
