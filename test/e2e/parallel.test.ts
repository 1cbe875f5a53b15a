import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { call } from "../../scripts/lib/http.ts";
import { type Stack, startStack } from "../../scripts/lib/stack.ts";
import { ANY_PORT, KEYS, plainPayload, post, secrets, signedSubmit, temporaryDirectory } from "./support/stack.ts";

const SUBMITS = 200;

const answerSchema = z.looseObject({
  requestId: z.string(),
  requestIdHash: z.string(),
  ledger: z.object({ id: z.string(), seq: z.number(), entryHash: z.string() }),
});

describe("many submits of one externalRequestId at once, over HTTP", () => {
  const directory = temporaryDirectory();
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack({
      dataDir: directory.path,
      ports: ANY_PORT,
      workers: ["itrans-core"],
      secrets,
      settings: () => ({ "itrans-core": { API_RATE_LIMIT_MAX_REQUESTS: "100000" } }),
    });
  });
  afterAll(async () => {
    await stack.dispose();
    directory.remove();
  });

  const submitAtOnce = (bodies: readonly unknown[]) =>
    Promise.all(bodies.map((body) => post(`${stack.urls.core}/workflow/claims`, KEYS.workflow, body)));

  const count = async (sql: string, value: string) => {
    const database = await stack.database("itrans-core");
    return database.prepare(sql).bind(value).first<number>("n");
  };

  it(`answers ${SUBMITS} of the same content with the same ids, and makes one request and one entry`, async () => {
    const body = signedSubmit(plainPayload("patient-1"), "clm-parallel");
    const answers = await submitAtOnce(Array.from({ length: SUBMITS }, () => body));
    const statuses = answers.map((answer) => answer.status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status === 200)).toHaveLength(SUBMITS - 1);
    const ids = answers.map((answer) => {
      const { requestId, requestIdHash, ledger } = answerSchema.parse(answer.body);
      return JSON.stringify({ requestId, requestIdHash, ledger });
    });
    expect(new Set(ids).size).toBe(1);
    const { requestIdHash } = answerSchema.parse(answers[0]?.body);
    expect(await count("SELECT COUNT(*) AS n FROM requests WHERE request_id = ?", "clm-parallel")).toBe(1);
    expect(await count("SELECT COUNT(*) AS n FROM ledger_entries WHERE subject = ?", requestIdHash)).toBe(1);
    expect(await count("SELECT COUNT(*) AS n FROM payload_keys WHERE subject = ?", requestIdHash)).toBe(1);
    expect((await call(`${stack.urls.core}/ledger/verify`)).body).toMatchObject({ valid: true, size: 1 });
  });

  it("lets one of two contents win and answers the other 409, however they mix", async () => {
    const bodies = ["patient-1", "patient-2"].map((patient) => signedSubmit(plainPayload(patient), "clm-contested"));
    const answers = await submitAtOnce(Array.from({ length: 40 }, (_, i) => bodies[i % 2]));
    const byBody = [0, 1].map((remainder) => answers.filter((_, i) => i % 2 === remainder).map(({ status }) => status));
    const [winners, losers] = byBody[0]?.includes(409) === true ? [byBody[1], byBody[0]] : byBody;
    expect(new Set(winners)).toEqual(new Set([200, 201]));
    expect(new Set(losers)).toEqual(new Set([409]));
    expect(await count("SELECT COUNT(*) AS n FROM requests WHERE request_id = ?", "clm-contested")).toBe(1);
  });
});
