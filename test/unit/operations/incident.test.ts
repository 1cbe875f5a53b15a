import { expect, it } from "vitest";
import { textFault } from "../../../src/operations/incidents/incident.ts";

it("takes what happened to the system, with times, commits and counts", () => {
  for (const text of [
    "5xx over 5 % for 5 minutes after deploy of 3f2a9c1d0e",
    "Rolled back at 2026-11-22T10:00:00.000Z, 12 dead letters replayed",
    "S1: /ledger/verify said 2 findings at 10:42",
  ])
    expect(textFault(text), text).toBeUndefined();
});

it("refuses what looks like a person's address or number, more than a line, and nothing at all", () => {
  for (const text of ["told ann@example.org", "call 613-555-0142", "policy 12345678", "a\nb", " ", "x".repeat(301)])
    expect(textFault(text), text).toBeDefined();
});
