import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { completeSecrets, developmentSecrets } from "../../../scripts/lib/secrets-file.ts";
import { SECRETS, secretFaults } from "../../../src/platform/secrets.ts";

const fresh = () => join(mkdtempSync(join(tmpdir(), "secrets-")), ".dev.vars");

test("made secrets pass the check of every worker, and the two ends of a shared key are one value", () => {
  const secrets = completeSecrets([{}]);
  for (const worker of ["itrans-core", "itrans-relay", "medlink-hub"] as const)
    expect(secretFaults(worker, secrets)).toEqual([]);
  for (const { name, sameAs } of SECRETS) if (sameAs !== undefined) expect(secrets[name]).toBe(secrets[sameAs]);
});

test("secrets are made once and the file is completed, never rewritten", () => {
  const path = fresh();
  writeFileSync(path, 'CLAIMS_API_KEY="my-own-claims-key-1"\n# mine\n');
  const first = developmentSecrets(path, {});
  const second = developmentSecrets(path, {});
  expect(first.made).toBeGreaterThan(0);
  expect(second.made).toBe(0);
  expect(second.secrets).toEqual(first.secrets);
  expect(second.secrets.CLAIMS_API_KEY).toBe("my-own-claims-key-1");
  expect(second.secrets.ITRANS_CLAIMS_API_KEY).toBe("my-own-claims-key-1");
  expect(readFileSync(path, "utf8")).toContain("# mine\n");
});

test("a value in the environment counts for both ends and is not written down", () => {
  const path = fresh();
  developmentSecrets(path, {});
  const { secrets } = developmentSecrets(path, {
    ITRANS_WORKFLOW_API_KEY: "from-the-environment",
    WORKFLOW_API_KEY_PREVIOUS: "the-one-before-it",
  });
  expect(secrets.WORKFLOW_API_KEY).toBe("from-the-environment");
  expect(secrets.WORKFLOW_API_KEY_PREVIOUS).toBe("the-one-before-it");
  expect(readFileSync(path, "utf8")).not.toContain("from-the-environment");
});

test("a secret that another party gives is never made, and taken when it is given", () => {
  const external = SECRETS.filter((spec) => spec.external === true).map(({ name }) => name);
  expect(external.length).toBeGreaterThan(0);
  for (const name of external) {
    expect(completeSecrets([{}])).not.toHaveProperty(name);
    expect(completeSecrets([{ [name]: "given-by-the-network" }])).toHaveProperty(name, "given-by-the-network");
  }
});
