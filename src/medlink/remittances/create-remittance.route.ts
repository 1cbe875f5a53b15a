import { changed } from "../audit/audited.edge.ts";
import { isTaken } from "../batch.store.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import { noAmount, unknownRecord } from "../field-rule.ts";
import { newId } from "../ids.ts";
import { type Answer, none, ok, operation, refuse } from "../operation.edge.ts";
import { findInsurer } from "../records/records.store.ts";
import { isSameRemittance, type Remittance, readRemittance } from "./remittance.ts";
import { findByReference, isOverpaid, readPaidClaims, remittanceInsert } from "./remittances.store.ts";
import { remittanceFields, remittanceSchema, showRemittance } from "./show-remittance.ts";

export const createRemittance = operation(
  {
    method: "post",
    path: "/api/remittances",
    summary: "Record what an insurer paid: the lines must add up to the total; the same payment again is recorded once",
    roles: ["billing", "admin"],
    params: none,
    body: remittanceFields,
    answers: {
      200: { description: "Recorded before", schema: remittanceSchema },
      201: { description: "The remittance", schema: remittanceSchema },
    },
  },
  async (input) => {
    const { hub, user, body } = input;
    const { clinicId, userId } = user;
    const insurer = await findInsurer(hub.db, clinicId, body.insurerId);
    if (insurer === undefined)
      return refuse("invalid_body", "This clinic has no such record: insurerId.", {
        issues: [unknownRecord("insurerId")],
      });
    const known = await findByReference(hub.db, clinicId, insurer.insurerId, body.reference);
    const claimIds = body.lines.map(({ claimId }) => claimId);
    const { claims, paidBefore } = await readPaidClaims(hub.db, clinicId, claimIds);
    const read = readRemittance(body, claims, known === undefined ? paidBefore : less(paidBefore, known));
    if (!read.ok) {
      switch (read.reason) {
        case "total":
          return refuse("invalid_amount", "This is no amount of the currency: total.", { issues: [noAmount("total")] });
        case "sum":
          return refuse("invalid_amount", "The lines do not add up to the total.");
        case "lines": {
          const issues = read.faults.map(({ line, fault }) => ({ path: `lines.${line}`, rule: fault, message: fault }));
          return refuse("invalid_body", `These lines are wrong: ${issues.map(({ path }) => path).join(", ")}.`, {
            issues,
          });
        }
      }
    }
    const { reference, paidOn } = body;
    const { total, lines } = read;
    if (known !== undefined) return answerKnown(known, { paidOn, total, lines });
    const remittance: Remittance = {
      remittanceId: newId("rem", hub.random),
      clinicId,
      insurerId: insurer.insurerId,
      reference,
      paidOn,
      total,
      lines,
      createdBy: userId,
      createdAt: hub.now(),
    };
    try {
      await batchWithEvents(hub, [
        ...remittanceInsert(hub.db, remittance),
        changed(input, "remittance.create", remittance.remittanceId),
      ]);
    } catch (thrown) {
      if (isOverpaid(thrown)) return refuse("conflict", "Another remittance paid one of these claims meanwhile.");
      if (!isTaken(thrown, "remittances.clinic_id")) throw thrown;
      const other = await findByReference(hub.db, clinicId, insurer.insurerId, reference);
      if (other === undefined) throw thrown;
      return answerKnown(other, remittance);
    }
    return ok(201, showRemittance({ ...remittance, lines: remittance.lines.toSorted(byClaim) }));
  },
);

const byClaim = (a: { readonly claimId: string }, b: { readonly claimId: string }): number =>
  a.claimId < b.claimId ? -1 : 1;

/** What others paid: this payment, told again, must not count against itself. */
function less(paid: ReadonlyMap<string, number>, known: Remittance): ReadonlyMap<string, number> {
  const own = new Map(known.lines.map(({ claimId, paidMinor }) => [claimId, paidMinor]));
  return new Map([...paid].map(([claimId, minor]) => [claimId, minor - (own.get(claimId) ?? 0)]));
}

const answerKnown = (known: Remittance, told: Pick<Remittance, "paidOn" | "total" | "lines">): Answer =>
  isSameRemittance(known, told)
    ? ok(200, showRemittance(known))
    : refuse("conflict", "A payment of this insurer with this reference is recorded, and says something else.");
