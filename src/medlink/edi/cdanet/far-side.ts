/** A CDAnet network as the sandbox plays it: 01 and 03 are answered at once, decisions wait in the office's mailbox. */
import type { WireAnswer, WireMessage } from "../connector.ts";
import { benefitsOf, type SandboxClaim, type SandboxReply, type SandboxRequest, sumOf } from "../sandbox.ts";
import { type CdanetMessage, centsOf, decode, encode, type Row } from "./codec.ts";

/** CDAnet has no transaction ids: the office sequence number names a transaction. */
const transactionIdOf = (reference: number): string => `cdanet_${reference}`;

/** As error codes of the standard begin: 001 is a message that cannot be read. */
const UNREADABLE = "001";
const INELIGIBLE = "009";

/** Days from a decision to its payment. */
const PAYMENT_DAYS = 5;

function read({ body }: WireMessage): SandboxRequest {
  const decoded = decode(body ?? "");
  if (!decoded.ok) return { type: "malformed", code: UNREADABLE };
  const { code, fields, groups } = decoded.message;
  const reference = Number(fields.A02);
  switch (code) {
    case "01":
    case "03":
      return {
        type: "submit",
        submission: {
          transactionId: transactionIdOf(reference),
          reference,
          claimType: code === "01" ? "claim" : "preauth",
          lines: (groups.F06 ?? []).map(({ F12 }) => centsOf(F12) ?? 0),
          currency: "CAD",
        },
      };
    case "04":
      return { type: "mailbox", reference };
    default:
      return { type: "malformed", code: UNREADABLE };
  }
}

/** What an answer repeats of the message it answers. */
function echo({ body = "" }: WireMessage): Row {
  const decoded = decode(body);
  const { A01 = "", A02 = "", A05 = "", B01 = "", B02 = "", B03 = "" } = decoded.ok ? decoded.message.fields : {};
  return { A01, A02, A05, A11: "N", B01, B02, B03, G27: "E" };
}

function write(asked: WireMessage, reply: SandboxReply, now: number): WireAnswer {
  const encoded = encode(answer(asked, reply, now));
  return encoded.ok ? { status: 200, text: encoded.text } : { status: 500, text: "" };
}

function answer(asked: WireMessage, reply: SandboxReply, now: number): CdanetMessage {
  const head = echo(asked);
  switch (reply.type) {
    case "none":
    case "done":
      return { code: "14", fields: { ...head, G05: "X", G07: "NOTHING OUTSTANDING" }, groups: {} };
    case "malformed":
      return {
        code: "11",
        fields: { ...head, G05: "R", G07: "MESSAGE REJECTED", G42: "3" },
        groups: { G06: [{ F07: "0", G08: reply.code }] },
      };
    case "claim": {
      const { claim } = reply;
      const fields = { ...head, A02: String(claim.reference), G01: claim.carrierReference };
      return asksMailbox(asked) ? explanation(claim, fields, now) : acknowledgement(claim, fields);
    }
  }
}

const asksMailbox = ({ body = "" }: WireMessage): boolean => body.slice(20, 22) === "04";

function acknowledgement(claim: SandboxClaim, fields: Row): CdanetMessage {
  const isClaim = claim.claimType === "claim";
  const rejected = claim.decision === "rejected";
  return {
    code: isClaim ? "11" : "13",
    fields: {
      ...fields,
      G04: String(sumOf(claim.lines)),
      G05: rejected ? "R" : "H",
      G07: rejected ? "CLAIM REJECTED" : "CLAIM RECEIVED AND HELD FOR FURTHER PROCESSING",
      ...(isClaim ? { G42: "3" } : { G42: "6", G46: "1", G47: "1" }),
    },
    groups: rejected ? { G06: [{ F07: "1", G08: INELIGIBLE }] } : {},
  };
}

const dateOf = (epochMs: number): string => new Date(epochMs).toISOString().slice(0, 10).replaceAll("-", "");

function explanation(claim: SandboxClaim, fields: Row, now: number): CdanetMessage {
  const isClaim = claim.claimType === "claim";
  const benefits = benefitsOf(claim);
  const total = String(sumOf(benefits));
  return {
    code: isClaim ? "21" : "23",
    fields: {
      ...fields,
      G04: String(sumOf(claim.lines)),
      G28: total,
      G30: "SANDBOX",
      ...(isClaim
        ? { G03: dateOf(now + PAYMENT_DAYS * 86_400_000), F01: "1", G42: "1", G55: total }
        : { G42: "7", G46: "1", G47: "1" }),
    },
    groups: {
      F06: claim.lines.map((minor, index) => ({
        F07: String(index + 1),
        G12: String(minor),
        G14: String(minor === 0 ? 0 : Math.round(((benefits[index] ?? 0) * 100) / minor)),
        G15: String(benefits[index] ?? 0),
      })),
      // CDAnet has no answer that asks for more: a note says so, and nothing is paid.
      ...(claim.decision === "needs_info"
        ? { G11: [{ G41: "1", G45: "1", G26: "FURTHER INFORMATION REQUIRED" }] }
        : {}),
    },
  };
}

export const cdanetFarSide = { read, write };
