import { beforeAll, expect, test } from "vitest";
import { call, KEYS, migrate, payloadOf, signed, submit, testEnv } from "../support.ts";

const key = KEYS.OPERATOR_API_KEY;

beforeAll(migrate);

/** Names are of the second and the tag: two of one second need two tags. */
async function snapshot(tag: string): Promise<string> {
  const begun = await call("/operations/backups", { method: "POST", key, body: { tag } });
  expect(begun.status).toBe(202);
  const { name } = begun.json;
  for (let turn = 0; turn < 20; turn++) {
    const advanced = await call(`/operations/backups/${name}/advance`, { method: "POST", key });
    expect(advanced.status).toBe(200);
    if (advanced.json.state === "good") return name;
    expect(advanced.json.state).toBe("running");
  }
  throw new Error("the snapshot does not end");
}

test("a snapshot is made on command, listed, and served file by file as its manifest says", async () => {
  for (let i = 0; i < 5; i++) await submit(signed(payloadOf({ patientId: `patient-${i}` })));
  const name = await snapshot("before-deploy");
  expect(name).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z-before-deploy$/);

  const listed = await call("/operations/backups", { key });
  expect(listed.json.runs[0]).toMatchObject({ name, state: "good", size: 6, reason: null });
  expect(listed.json.covered).toBe(6);

  const manifest = JSON.parse((await call(`/operations/backups/${name}/manifest`, { key })).text);
  // That it was asked for is an entry too.
  expect(manifest.ledger.size).toBe(6);
  expect(manifest.schema).toContain("0011_backup.up.sql");
  const kinds = new Set(manifest.files.map((file: { kind: string }) => file.kind));
  expect(kinds).toEqual(new Set(["entries", "payloads", "table"]));
  for (const { path, bytes } of manifest.files) {
    const object = await testEnv.BACKUPS?.get(`core/main/${path}`);
    expect({ path, bytes: object?.size }).toEqual({ path, bytes });
    const served = await call(`/operations/backup-object?path=${encodeURIComponent(path)}`, { key });
    expect(served.status).toBe(200);
  }
  const apart = await call("/operations/backup-keys", { key });
  expect(apart.json.keys).toHaveLength(1);
});

test("nothing that a snapshot encrypts can be read in it, and settings are without secrets", async () => {
  await submit(signed(payloadOf({ patientId: "patient-in-clear" })));
  const name = await snapshot("sealed");
  const { objects } = (await testEnv.BACKUPS?.list()) ?? { objects: [] };
  for (const { key: path } of objects) {
    const bytes = await (await testEnv.BACKUPS?.get(path))?.arrayBuffer();
    const text = new TextDecoder("latin1").decode(bytes);
    for (const secret of Object.values(KEYS)) expect(text.includes(secret)).toBe(false);
    expect(text.includes("patient-in-clear")).toBe(false);
  }
  const manifest = JSON.parse((await call(`/operations/backups/${name}/manifest`, { key })).text);
  expect(manifest.settings.LEDGER_ID).toBe("main");
});

test("backups are for operators, and only files of backups are served", async () => {
  for (const [path, method] of [
    ["/operations/backups", "GET"],
    ["/operations/backups", "POST"],
    ["/operations/backup-keys", "GET"],
    ["/operations/backup-object?path=keys/x", "GET"],
  ] as const) {
    expect((await call(path, { method })).status).toBe(403);
  }
  for (const path of ["../ledger/x", "snapshots/x/manifest.json", "objects/entries/../../x"]) {
    const served = await call(`/operations/backup-object?path=${encodeURIComponent(path)}`, { key });
    expect(served.status).toBe(400);
  }
});
