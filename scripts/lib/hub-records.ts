/** A hub that runs elsewhere: who files there, and for whom. */
import * as z from "zod";
import { Failure } from "./fail.ts";
import { call, summaryOf } from "./http.ts";
import { type Clinic, signIn } from "./lifecycle.ts";

const listsSchema = z.record(z.string(), z.unknown());
const recordsSchema = z.array(z.record(z.string(), z.unknown())).min(1);

/** The first record of the clinic's own. */
async function firstOf(hubUrl: string, cookie: string, path: string, id: string): Promise<string> {
  const answer = await call(`${hubUrl}${path}`, { headers: { cookie } });
  const lists = listsSchema.safeParse(answer.body);
  const [list] = lists.success ? Object.values(lists.data).filter((value) => Array.isArray(value)) : [];
  const records = recordsSchema.safeParse(Array.isArray(answer.body) ? answer.body : list);
  const found = records.success ? (records.data[0]?.[id] ?? records.data[0]?.id) : undefined;
  if (typeof found !== "string") throw new Failure(`${path} has no record to file a claim with: ${summaryOf(answer)}`);
  return found;
}

/** @throws Failure when sign-in is refused, or the clinic has no patient, provider or insurer. */
export async function clinicAt(
  hubUrl: string,
  access: { readonly email: string; readonly password: string },
): Promise<Clinic> {
  const nobody = { hubUrl, ...access, patientId: "", providerId: "", insurerId: "" };
  const cookie = await signIn(nobody);
  const [patientId, providerId, insurerId] = await Promise.all([
    firstOf(hubUrl, cookie, "/api/patients", "patientId"),
    firstOf(hubUrl, cookie, "/api/providers", "providerId"),
    firstOf(hubUrl, cookie, "/api/insurers", "insurerId"),
  ]);
  return { ...nobody, patientId, providerId, insurerId };
}
