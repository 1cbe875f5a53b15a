import { describe, expect, test } from "vitest";
import { findOnChain, STEPS, stepsShown, type View } from "../../../scripts/lib/lifecycle.ts";

const nothing: View = {
  claimId: undefined,
  job: undefined,
  claimStatus: undefined,
  request: undefined,
  onChain: undefined,
};
const created: View = { ...nothing, claimId: "clm_1", claimStatus: "draft" };
const job = { jobId: "job_1", claimId: "clm_1", state: "queued", attempt: 0 };
const request = {
  requestId: "clm_1",
  requestIdHash: "0xab",
  status: "SUBMITTED",
  ledger: { seq: 4, entryHash: "c".repeat(64) },
  events: [{ type: "REQUEST_SUBMITTED", seq: 4 }],
  anchor: { status: "none", txHash: null, blockNumber: null, contractAddress: null, size: null },
};
const adjudicated = {
  ...request,
  status: "APPROVED",
  events: [...request.events, { type: "REQUEST_ACKNOWLEDGED", seq: 5 }, { type: "REQUEST_ADJUDICATED", seq: 6 }],
};
const shown = (view: View) => [...stepsShown(view).keys()];

describe("a step is shown only by its own evidence", () => {
  test("a created claim is no more than created", () => {
    expect(shown(nothing)).toEqual([]);
    expect(shown(created)).toEqual(["created"]);
  });

  test("a job is queued, and submitted only when it succeeded", () => {
    expect(shown({ ...created, job })).toEqual(["created", "queued"]);
    expect(shown({ ...created, job: { ...job, state: "succeeded" } })).toEqual(["created", "queued", "submitted"]);
  });

  test("a claim that the hub calls paid is not called back while core has no decision", () => {
    const view = { ...created, job, request, claimStatus: "paid" };
    expect(shown(view)).not.toContain("called back");
    expect(shown({ ...view, request: adjudicated })).toContain("called back");
  });

  test("core's word for an anchor is not enough: the chain must hold it", () => {
    const confirmed = {
      ...adjudicated,
      anchor: { ...request.anchor, status: "confirmed", txHash: "0x1", blockNumber: 9 },
    };
    expect(shown({ ...created, job, request: confirmed })).not.toContain("anchored");
  });

  test("a denied claim is called back and never paid", () => {
    const denied = { ...adjudicated, status: "DENIED" };
    const steps = shown({ ...created, job, request: denied, claimStatus: "denied" });
    expect(steps).toContain("called back");
    expect(steps).not.toContain("paid");
  });

  test("all of it shows every step", () => {
    const view: View = {
      claimId: "clm_1",
      job: { ...job, state: "succeeded", attempt: 1 },
      claimStatus: "paid",
      request: adjudicated,
      onChain: { txHash: "0x1", blockNumber: 9 },
    };
    expect(new Set(shown(view))).toEqual(new Set(STEPS));
  });
});

describe("the anchor that counts", () => {
  const anchor = { status: "confirmed", txHash: "0x1", blockNumber: 9, contractAddress: "0xc", size: 6 };

  test("covers the decision: one of the submission alone does not", async () => {
    expect(await findOnChain({ ...request, anchor }, undefined)).toBeUndefined();
    expect(await findOnChain({ ...adjudicated, anchor }, undefined)).toBeUndefined();
    expect(await findOnChain({ ...adjudicated, anchor: { ...anchor, size: 7 } }, undefined)).toEqual({
      txHash: "0x1",
      blockNumber: 9,
    });
  });

  test("is not one that core only sent", async () => {
    const sent = { ...anchor, size: 7, status: "submitted" };
    expect(await findOnChain({ ...adjudicated, anchor: sent }, undefined)).toBeUndefined();
  });
});
