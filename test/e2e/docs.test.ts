import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { servedApiPage } from "../../scripts/lib/served-api.ts";

it("docs/api.md is what core and the hub serve: npm run build:docs", async () => {
  const page = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");
  expect(page).toBe(await servedApiPage());
  expect(page).toContain("- `POST /workflow/claims` Submit a claim (API key)");
  expect(page).toContain("- `POST /api/itrans/webhooks/workflow`");
});
