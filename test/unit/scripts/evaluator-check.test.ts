import { createServer } from "node:http";
import { expect, it } from "vitest";
import { DIAGNOSIS_CHECKS, evaluatorFault, runCheck } from "../../../scripts/lib/checks.ts";

const NOW = Date.parse("2026-11-22T10:00:00Z");

it("alerts that were not evaluated for over ten minutes are known to be so", () => {
  expect(evaluatorFault("2026-11-22T09:51:00Z", NOW)).toBeUndefined();
  expect(evaluatorFault("2026-11-22T09:49:00Z", NOW)).toContain("last evaluated 2026-11-22T09:49:00Z");
  expect(evaluatorFault(null, NOW)).toContain("never");
});

it("diagnosis does not take the silence of an evaluator that died for no alert", async () => {
  let evaluatedAt = new Date(Date.now() - 3 * 3_600_000).toISOString();
  const server = createServer((_, response) =>
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ evaluatedAt, alerts: [] })),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const site = { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`, key: "k" };
  const check = DIAGNOSIS_CHECKS.find(({ name }) => name === "no alert is open");
  if (check === undefined) throw new Error("there is no such check");
  try {
    expect(await runCheck(check, site)).toMatchObject({ ok: false, detail: expect.stringContaining("last evaluated") });
    evaluatedAt = new Date().toISOString();
    expect(await runCheck(check, site)).toMatchObject({ ok: true });
  } finally {
    server.close();
  }
});
