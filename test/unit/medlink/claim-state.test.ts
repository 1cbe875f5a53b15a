import { describe, expect, it } from "vitest";
import { type AppliedEvent, CLAIM_STATUSES, type ClaimStatus } from "../../../src/medlink/claims/claim.ts";
import {
  applyLedgerEvent,
  isEditable,
  isSubmittable,
  type LedgerEvent,
  personMayMove,
  statusAfterFailure,
  statusAfterSubmission,
  statusOfEvent,
} from "../../../src/medlink/claims/claim-state.ts";

const event = (status: ClaimStatus, seq: number | undefined, ledgerId: string | undefined = "main"): LedgerEvent => ({
  status,
  seq,
  ledgerId,
  occurredAt: 1_800_000_000,
});

function finalStatus(events: readonly LedgerEvent[]): ClaimStatus | undefined {
  let lastEvent: AppliedEvent | undefined;
  for (const each of events) {
    const effect = applyLedgerEvent({ lastEvent }, each);
    if (effect.type === "moved") lastEvent = effect.lastEvent;
  }
  return lastEvent?.status;
}

function permutations<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  if (items.length <= 1) return [items];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  );
}

describe("a claim under ledger events", () => {
  it("maps every event to the status of the contract", () => {
    expect(statusOfEvent("REQUEST_SUBMITTED", undefined)).toBe("submitted");
    expect(statusOfEvent("REQUEST_ACKNOWLEDGED", undefined)).toBe("pending");
    expect(statusOfEvent("REQUEST_ADJUDICATED", "APPROVED")).toBe("paid");
    expect(statusOfEvent("REQUEST_ADJUDICATED", "DENIED")).toBe("denied");
    expect(statusOfEvent("REQUEST_ADJUDICATED", "NEEDS_INFO")).toBe("infoRequested");
    expect(statusOfEvent("REQUEST_ADJUDICATED", undefined)).toBeUndefined();
  });

  it("ends in the newest event's status in whatever order the events arrive, and however often", () => {
    const story = [event("submitted", 3), event("pending", 5), event("infoRequested", 9), event("paid", 12)];
    for (const order of permutations(story)) {
      expect(finalStatus(order)).toBe("paid");
      expect(finalStatus([...order, ...order])).toBe("paid");
    }
    const undone = [event("submitted", 3), event("paid", 4), event("infoRequested", 8), event("denied", 9)];
    for (const order of permutations(undone)) expect(finalStatus(order)).toBe("denied");
  });

  it("goes by how far along events are when they carry no comparable position", () => {
    const story = [event("submitted", undefined), event("pending", undefined), event("denied", undefined)];
    for (const order of permutations(story)) expect(finalStatus(order)).toBe("denied");
    expect(finalStatus([event("paid", 5, "main"), event("submitted", 900, "other")])).toBe("paid");
  });

  it("does not take a second decision without a position for a newer one", () => {
    expect(finalStatus([event("paid", undefined), event("denied", undefined)])).toBe("paid");
  });

  it("is submitted once core has it, unless an event said more", () => {
    expect(statusAfterSubmission({ status: "pending", lastEvent: undefined })).toBe("submitted");
    expect(statusAfterSubmission({ status: "paid", lastEvent: event("paid", 1) })).toBe("paid");
    expect(statusAfterFailure({ status: "draft", requestId: undefined })).toBe("pending");
    expect(statusAfterFailure({ status: "paid", requestId: "clm_1" })).toBe("paid");
  });
});

describe("a person's hand on a claim", () => {
  const allowed = (requestId: string | undefined, hasLiveJob: boolean): readonly string[] =>
    CLAIM_STATUSES.flatMap((from) =>
      CLAIM_STATUSES.filter((to) => from !== to && personMayMove({ status: from, requestId }, to, hasLiveJob)).map(
        (to) => `${from}>${to}`,
      ),
    );

  it("moves a claim that is not submitted between draft and pending, and one that is only when answering a question", () => {
    expect(allowed(undefined, false)).toEqual(["draft>pending", "pending>draft"]);
    expect(allowed(undefined, true)).toEqual([]);
    expect(allowed("clm_1", false)).toEqual(["infoRequested>pending"]);
  });

  it("edits and submits only what is neither on its way nor submitted", () => {
    expect(isEditable({ status: "draft", requestId: undefined }, false)).toBe(true);
    expect(isEditable({ status: "draft", requestId: undefined }, true)).toBe(false);
    expect(isEditable({ status: "pending", requestId: "clm_1" }, false)).toBe(false);
    expect(isSubmittable({ status: "pending", requestId: undefined })).toBe(true);
    expect(isSubmittable({ status: "submitted", requestId: "clm_1" })).toBe(false);
  });
});
