import { z } from "@hono/zod-openapi";
import { findClaim } from "../claims/claims.store.ts";
import { type Answer, notFound, ok, operation, refuse } from "../operation.edge.ts";
import { channelOf } from "./channel.edge.ts";
import { type SendResult, sendClaim } from "./edi.edge.ts";
import { ediContent } from "./edi-claim.ts";
import { readParties } from "./parties.store.ts";
import { connectorName, showTransaction, transactionSchema } from "./show-edi.ts";

const text = (max: number) => z.string().trim().min(1).max(max);

const coverageSchema = z
  .strictObject({
    carrierId: z.string().regex(/^\d{6}$/, "6 digits"),
    policyNumber: text(12),
    divisionNumber: text(10),
    subscriberId: text(12),
    dependantCode: z.string().regex(/^\d{1,2}$/, "1 or 2 digits"),
    relationship: z.enum(["self", "spouse", "child", "common-law", "other"]),
    patientSex: z.enum(["M", "F"]),
    subscriber: z.strictObject({ firstName: text(100), lastName: text(100), birthDate: z.iso.date() }),
    address: z.strictObject({
      line1: text(100),
      line2: text(100).optional(),
      city: text(100),
      province: z.string().regex(/^[A-Z]{2}$/, "two capital letters"),
      postalCode: text(10),
    }),
    language: z.enum(["en", "fr"]),
    payee: z.enum(["subscriber", "provider"]),
  })
  .partial()
  .openapi("EdiCoverage", { description: "Sent on and not stored" });

const sentSchema = transactionSchema.extend({
  gaps: z
    .array(z.string())
    .openapi({ description: "What a carrier wants and the claim lacks; production refuses it, the sandbox does not" }),
});

export const sendClaimByEdi = operation(
  {
    method: "post",
    path: "/api/claims/{claimId}/edi",
    summary: "Send a claim that iTrans has through an EDI network; again: find out what became of it",
    params: z.object({ claimId: z.string() }),
    body: z.strictObject({ connector: connectorName, coverage: coverageSchema.default({}) }),
    answers: {
      200: { description: "It was sent before; this is where it stands", schema: sentSchema },
      201: { description: "Sent; `state` says whether the network has it", schema: sentSchema },
    },
  },
  async ({ hub, user, params, body, correlationId }) => {
    const claim = await findClaim(hub.db, hub.fields, user.clinicId, params.claimId);
    if (claim === undefined) return notFound("claim");
    // What iTrans has can not be edited: every sending of it says the same.
    if (claim.requestId === undefined) return refuse("conflict", "Submit the claim to iTrans first.");
    const channel = channelOf(hub, body.connector);
    if (channel.fault !== undefined) {
      return refuse("unavailable", `Nothing can be sent through ${body.connector}: ${channel.fault}.`);
    }
    const parties = await readParties(hub.db, hub.fields, claim);
    if (parties === undefined)
      return refuse("conflict", "The clinic has the claim's patient, provider or insurer no more.");
    const content = ediContent(claim, parties, body.coverage);
    const named = { ...content, transactionId: "", reference: 0 };
    const obstacles = channel.connector.obstacles(named);
    if (obstacles.length > 0) return unfit(obstacles, `${body.connector} has no place for these`);
    const gaps = channel.connector.gaps(named);
    if (gaps.length > 0 && channel.mode === "production") return unfit(gaps, "The carrier wants these too");
    const by = { userId: user.userId, correlationId };
    return answerOf(await sendClaim(hub, channel, claim, content, by), gaps);
  },
);

const unfit = (fields: readonly string[], why: string): Answer =>
  refuse("invalid_body", `${why}: ${fields.join(", ")}.`, {
    issues: fields.map((path) => ({ path, rule: "network", message: "is not fit for this network" })),
  });

function answerOf(result: SendResult, gaps: readonly string[]): Answer {
  switch (result.type) {
    case "sent":
      return ok(result.isNew ? 201 : 200, { ...showTransaction(result.transaction), gaps });
    case "unwritable":
      return unfit([result.code], "The message can not be written");
    case "held":
      return refuse("unavailable", "The network did not answer lately. Try again in a minute.", {
        retryAfterSeconds: 60,
      });
  }
}
