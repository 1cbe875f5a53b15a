import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { MAX_ATTACHMENT_BYTES, MAX_CLAIM_ATTACHMENTS } from "../../../src/medlink/attachments/attachment.ts";
import { sweepAttachments } from "../../../src/medlink/attachments/attachments.cron.ts";
import { CLAIM, forgetClaims, hashFor, migrate, otherClinic, postEvent, type Session, TestHub } from "./harness.ts";

let hub: TestHub;
let admin: Session;
let provider: Session;
let stranger: Session;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  admin = await hub.signInAs("usr_demo_admin");
  provider = await hub.signInAs("usr_demo_provider");
  stranger = await otherClinic(hub);
});

beforeEach(async () => {
  hub.calls.length = 0;
  hub.hints.length = 0;
  await forgetClaims();
});

let hashes = 90_000;

const filed = async (over: Record<string, unknown> = {}): Promise<string> =>
  (await admin.read("POST", "/api/claims", { ...CLAIM, ...over })).body.claimId;

/** Core takes whatever is queued. @returns the hash of the newest request. */
async function submitAll(): Promise<string> {
  hub.answer = async (request) => {
    const { externalRequestId } = await request.json<{ externalRequestId: string }>();
    return Response.json({ requestId: externalRequestId, requestIdHash: hashFor(++hashes) }, { status: 201 });
  };
  await hub.runQueue();
  return hashFor(hashes);
}

async function submitted(over: Record<string, unknown> = {}): Promise<{ claimId: string; hash: string }> {
  const claimId = await filed(over);
  await admin.call("POST", `/api/claims/${claimId}/submit`);
  return { claimId, hash: await submitAll() };
}

async function approved(over: Record<string, unknown> = {}): Promise<string> {
  const { claimId, hash } = await submitted(over);
  await postEvent(hub, hash, { eventType: "REQUEST_ADJUDICATED", decision: "APPROVED" });
  return claimId;
}

describe("correcting a claim", () => {
  it("files a claim that supersedes it, names it to core with the incident, and shows both ways", async () => {
    const { claimId, hash } = await submitted();
    const path = `/api/claims/${claimId}`;
    const corrected = await provider.read("POST", `${path}/correct`, { amount: "99.00", incidentTicket: "INC-2026-7" });
    expect(corrected).toMatchObject({
      status: 201,
      body: {
        status: "draft",
        amount: "99.00",
        codes: CLAIM.codes,
        corrects: { claimId, incidentTicket: "INC-2026-7" },
      },
    });
    const successor = corrected.body.claimId;
    await admin.call("POST", `/api/claims/${successor}/submit`);
    await submitAll();
    const sent = JSON.parse(hub.calls.at(-1)?.body ?? "");
    expect(sent).toMatchObject({ externalRequestId: successor, corrects: hash, incidentTicket: "INC-2026-7" });
    expect((await admin.read("GET", path)).body).toMatchObject({
      amount: "120.00",
      correctedBy: { claimId: successor, submitted: true },
    });
    const { body } = await admin.read("GET", `${path}/timeline`);
    expect((body.events as { kind: string }[]).at(-1)).toMatchObject({ kind: "corrected", detail: successor });
    const audit = await env.DB.prepare("SELECT detail FROM audit_events WHERE action = 'claim.correct' AND subject = ?")
      .bind(claimId)
      .first("detail");
    expect(audit).toBe("INC-2026-7");
  });

  it("says again all that the claim said and is not corrected, to the clinic and to core", async () => {
    const said = {
      diagnoses: [{ system: "http://hl7.org/fhir/sid/icd-10", code: "K02.1", display: "Caries of dentine" }],
      identifiers: [{ system: "urn:chart", value: "A-17" }],
      category: "professional",
      serviceDate: "2026-10-31",
    };
    // What other systems call the claim is theirs and the clinic's business.
    const { identifiers, ...told } = said;
    const { claimId } = await submitted(said);
    const first = JSON.parse(hub.calls.at(-1)?.body ?? "").offchainPayload;
    expect(first).toMatchObject(told);
    expect(first).not.toHaveProperty("identifiers");
    const corrected = await admin.read("POST", `/api/claims/${claimId}/correct`, { notes: "corrected" });
    expect(corrected.body).toMatchObject({ ...said, notes: "corrected", codes: CLAIM.codes });
    const successor = corrected.body.claimId;
    const undated = (await admin.read("PATCH", `/api/claims/${successor}`, { serviceDate: null })).body;
    expect(undated).toMatchObject({ diagnoses: said.diagnoses, identifiers });
    expect(undated).not.toHaveProperty("serviceDate");
    await admin.call("POST", `/api/claims/${successor}/submit`);
    await submitAll();
    const { offchainPayload } = JSON.parse(hub.calls.at(-1)?.body ?? "");
    expect(offchainPayload).toMatchObject({ category: said.category, diagnoses: said.diagnoses });
    expect(offchainPayload).not.toHaveProperty("serviceDate");
    expect((await admin.read("GET", `/fhir/Claim/${successor.replace("_", "-")}`)).body).toMatchObject({
      identifier: expect.arrayContaining(identifiers),
      diagnosis: [{ diagnosisCodeableConcept: { coding: said.diagnoses } }],
      type: { coding: [{ code: "professional" }] },
    });
  });

  it("is refused for a claim that is not submitted, was corrected before, or is another clinic's", async () => {
    const draft = await filed();
    expect((await admin.call("POST", `/api/claims/${draft}/correct`, {})).status).toBe(409);
    const { claimId } = await submitted();
    const path = `/api/claims/${claimId}/correct`;
    expect((await stranger.call("POST", path, {})).status).toBe(404);
    expect((await admin.call("POST", path, { incidentTicket: "a person" })).status).toBe(400);
    const tries = await Promise.all([1, 2, 3].map(() => admin.call("POST", path, {})));
    expect(tries.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(await env.DB.prepare("SELECT COUNT(*) AS n FROM claims").first("n")).toBe(3);
  });
});

describe("queueing a claim again", () => {
  it("gives a failed job all its attempts, and a claim whose job is forgotten a new one", async () => {
    const claimId = await filed();
    const path = `/api/claims/${claimId}`;
    await admin.call("POST", `${path}/submit`);
    await env.DB.prepare("UPDATE auto_submit_jobs SET state = 'failed', attempt = 4, version = version + 1").run();
    expect((await provider.call("POST", `${path}/requeue`)).status).toBe(403);
    expect((await stranger.call("POST", `${path}/requeue`)).status).toBe(404);
    const again = await admin.read("POST", `${path}/requeue`);
    expect(again).toMatchObject({ status: 202, body: { itransSubmission: { queued: true, attempt: 0 } } });
    expect((await admin.read("POST", `${path}/requeue`)).body.itransSubmission.jobId).toBe(
      again.body.itransSubmission.jobId,
    );
    await env.DB.exec("DELETE FROM auto_submit_jobs");
    const anew = await admin.read("POST", `${path}/requeue`);
    expect(anew.body.itransSubmission.jobId).not.toBe(again.body.itransSubmission.jobId);
    await submitAll();
    expect((await admin.call("POST", `${path}/requeue`)).status).toBe(409);
  });
});

const PDF = new TextEncoder().encode("%PDF-1.7\n% <script>alert(1)</script>\n%%EOF\n");
const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);

const upload = (
  session: Session,
  claimId: string,
  bytes: BodyInit & { readonly length?: number },
  headers: Record<string, string> = {},
): Promise<Response> =>
  session.send("POST", `/api/claims/${claimId}/attachments`, bytes, {
    "content-type": "application/pdf",
    "content-length": String(bytes.length),
    ...headers,
  });

describe("attachments", () => {
  it("come back as they were, to be saved and never run, and their names are nowhere in plain text", async () => {
    const claimId = await filed();
    const name = "Radiographie d'Avery – «dent 12».pdf";
    const created = await upload(admin, claimId, PDF, { "x-file-name": encodeURIComponent(`../../${name}`) });
    expect(created.status).toBe(201);
    const shown = await created.json<{ attachmentId: string }>();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", PDF));
    const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    expect(shown).toMatchObject({ name, contentType: "application/pdf", size: PDF.length, sha256 });
    const path = `/api/claims/${claimId}/attachments/${shown.attachmentId}`;
    const got = await provider.call("GET", path);
    expect(new Uint8Array(await got.arrayBuffer())).toEqual(PDF);
    const header = (field: string) => got.headers.get(field);
    expect(header("content-type")).toBe("application/pdf");
    expect(header("content-disposition")).toMatch(/^attachment; filename\*=UTF-8''Radiographie%20d%27Avery%20/);
    expect(header("x-content-type-options")).toBe("nosniff");
    expect(header("content-security-policy")).toBe("default-src 'none'; sandbox");
    expect((await stranger.call("GET", path)).status).toBe(404);
    expect((await admin.read("GET", `/api/claims/${claimId}/attachments`)).body).toMatchObject({
      attachments: [{ name }],
      room: { files: MAX_CLAIM_ATTACHMENTS - 1 },
    });
    const rows = JSON.stringify((await env.DB.prepare("SELECT * FROM attachments").all()).results);
    expect(rows).not.toContain("Radiographie");
    const objects = JSON.stringify((await env.ATTACHMENTS.list({ prefix: `cln_demo/${claimId}/` })).objects);
    expect(objects).not.toContain("Radiographie");
  });

  it.each([
    ["a picture that says it is a PDF", PNG, "application/pdf"],
    ["a PDF that says it is a picture", PDF, "image/png"],
    ["a page that says it is a picture", new TextEncoder().encode("<html><script>alert(1)</script>"), "image/jpeg"],
    ["a page", new TextEncoder().encode("<html></html>"), "text/html"],
    ["an SVG", new TextEncoder().encode("<svg onload='alert(1)'/>"), "image/svg+xml"],
    ["a file too short to be one", new Uint8Array([0x25]), "application/pdf"],
  ])("refuse %s with 415, and keep nothing of it", async (_, bytes, contentType) => {
    const claimId = await filed();
    const response = await upload(admin, claimId, bytes, { "content-type": contentType });
    expect(response.status).toBe(415);
    expect(await env.DB.prepare("SELECT COUNT(*) AS n FROM attachments").first("n")).toBe(0);
    expect((await env.ATTACHMENTS.list({ prefix: `cln_demo/${claimId}/` })).objects).toEqual([]);
  });

  it("refuse a file that is longer or shorter than it says, or too large, or without a length", async () => {
    const claimId = await filed();
    for (const length of [PDF.length - 1, PDF.length + 1]) {
      const response = await upload(admin, claimId, PDF, { "content-length": String(length) });
      expect([length - PDF.length, response.status]).toEqual([length - PDF.length, 400]);
    }
    const large = await upload(admin, claimId, PDF, { "content-length": String(MAX_ATTACHMENT_BYTES + 1) });
    expect(large.status).toBe(413);
    expect((await upload(admin, claimId, PDF, { "content-length": "" })).status).toBe(400);
    expect(await env.DB.prepare("SELECT COUNT(*) AS n FROM attachments").first("n")).toBe(0);
    expect((await env.ATTACHMENTS.list({ prefix: `cln_demo/${claimId}/` })).objects).toEqual([]);
  });

  it("take a file of the greatest size as it streams in", async () => {
    const claimId = await filed();
    const chunk = new Uint8Array(1024 * 1024);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent === 0) chunk.set(PDF.subarray(0, 8));
        controller.enqueue(chunk.slice());
        if (++sent === 10) controller.close();
      },
    });
    const response = await upload(admin, claimId, body, { "content-length": String(MAX_ATTACHMENT_BYTES) });
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ size: MAX_ATTACHMENT_BYTES });
  });

  it("keep a claim's quota, however many arrive at once", async () => {
    const claimId = await filed();
    const answers = await Promise.all(
      Array.from({ length: MAX_CLAIM_ATTACHMENTS + 3 }, () => upload(admin, claimId, PDF)),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(MAX_CLAIM_ATTACHMENTS);
    expect(statuses.filter((status) => status === 409)).toHaveLength(3);
  });

  it("have no name in their address", async () => {
    const claimId = await filed();
    const response = await admin.send("POST", `/api/claims/${claimId}/attachments?name=avery.pdf`, PDF, {
      "content-type": "application/pdf",
      "content-length": String(PDF.length),
    });
    expect(response.status).toBe(400);
  });

  it("are deleted with their object, and what a crash left is cleared away", async () => {
    const claimId = await filed();
    const { attachmentId } = await (await upload(admin, claimId, PDF)).json<{ attachmentId: string }>();
    const path = `/api/claims/${claimId}/attachments/${attachmentId}`;
    expect((await stranger.call("DELETE", path)).status).toBe(404);
    expect((await admin.call("DELETE", path)).status).toBe(204);
    expect((await admin.call("GET", path)).status).toBe(404);
    expect((await env.ATTACHMENTS.list({ prefix: `cln_demo/${claimId}/` })).objects).toEqual([]);
    const left = await (await upload(admin, claimId, PDF)).json<{ attachmentId: string }>();
    await env.DB.prepare("UPDATE attachments SET state = 'receiving', updated_at = 0").run();
    expect(await sweepAttachments(await hub.hub())).toBe(1);
    expect(await env.DB.prepare("SELECT COUNT(*) AS n FROM attachments").first("n")).toBe(0);
    expect(await env.ATTACHMENTS.head(`cln_demo/${claimId}/${left.attachmentId}`)).toBeNull();
  });
});

describe("remittances", () => {
  const payment = (lines: readonly unknown[], over: Record<string, unknown> = {}) => ({
    insurerId: "ins_demo_1",
    reference: "EFT-1",
    paidOn: "2026-11-20",
    total: "200.00",
    lines,
    ...over,
  });

  beforeEach(async () => {
    await env.DB.exec("DELETE FROM remittance_lines; DELETE FROM remittances;");
  });

  it("are recorded once, agree to the cent, and show in each claim's timeline", async () => {
    const [a, b] = [await approved(), await approved()];
    const told = payment([
      { claimId: a, paid: "119.99" },
      { claimId: b, paid: "80.01" },
    ]);
    expect((await provider.call("POST", "/api/remittances", told)).status).toBe(403);
    const first = await admin.read("POST", "/api/remittances", told);
    expect(first).toMatchObject({ status: 201, body: { total: "200.00", currency: "CAD", reference: "EFT-1" } });
    const again = await admin.read("POST", "/api/remittances", told);
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect((await admin.call("POST", "/api/remittances", { ...told, paidOn: "2026-11-21" })).status).toBe(409);
    const path = `/api/remittances/${first.body.remittanceId}`;
    expect((await admin.read("GET", path)).body.lines).toHaveLength(2);
    expect((await stranger.call("GET", path)).status).toBe(404);
    expect((await admin.read("GET", `/api/remittances?claimId=${a}`)).body.remittances).toHaveLength(1);
    expect((await admin.read("GET", "/api/remittances?insurerId=ins_none")).body.remittances).toEqual([]);
    const { body } = await admin.read("GET", `/api/claims/${a}`);
    expect(body.timeline.at(-1)).toMatchObject({ kind: "remitted", detail: first.body.remittanceId });
  });

  it("are refused when the lines do not add up, or a claim is not one that this insurer pays", async () => {
    const [paid, { claimId: open }] = [await approved(), await submitted()];
    const preauth = await approved({ type: "preauth" });
    const refused = async (lines: readonly unknown[], over: Record<string, unknown> = {}) => {
      const { status, body } = await admin.read("POST", "/api/remittances", payment(lines, over));
      expect(status).toBe(400);
      return ((body.issues ?? []) as { message: string }[]).map(({ message }) => message);
    };
    expect(await refused([{ claimId: paid, paid: "119.00" }], { total: "120.00" })).toEqual([]);
    expect(
      await refused([
        { claimId: paid, paid: "120.01" },
        { claimId: open, paid: "1" },
        { claimId: preauth, paid: "1" },
        { claimId: "clm_none", paid: "1" },
        { claimId: paid, paid: "1" },
        { claimId: paid, paid: "-1" },
      ]),
    ).toEqual(["more_than_claimed", "not_approved", "not_approved", "unknown_claim", "named_twice", "not_an_amount"]);
    expect(await refused([{ claimId: paid, paid: "1" }], { total: "1", currency: "USD" })).toEqual(["other_currency"]);
    expect(await env.DB.prepare("SELECT COUNT(*) AS n FROM remittances").first("n")).toBe(0);
  });

  it("never pay a claim more than it asks, even when two arrive at once", async () => {
    const claimId = await approved();
    const answers = await Promise.all(
      [1, 2, 3].map((n) =>
        admin.call(
          "POST",
          "/api/remittances",
          payment([{ claimId, paid: "70.00" }], { total: "70.00", reference: `E-${n}` }),
        ),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(await env.DB.prepare("SELECT SUM(paid_minor) AS n FROM remittance_lines").first("n")).toBe(7_000);
    const rest = payment([{ claimId, paid: "50.00" }], { total: "50.00", reference: "E-9" });
    expect((await admin.call("POST", "/api/remittances", rest)).status).toBe(201);
  });
});

describe("a file of claims", () => {
  const flag = (on: boolean) =>
    env.DB.prepare(
      `INSERT INTO flags (name, enabled, percentage, updated_by, updated_at)
       VALUES ('FEATURE_FLAG_BULK_OPERATIONS', ?, 100, 'test', 0)
       ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled`,
    )
      .bind(on ? 1 : 0)
      .run();

  interface Report {
    readonly counts: Readonly<Record<string, number>>;
    readonly queued: number;
    readonly rows: readonly {
      readonly row: number;
      readonly result: string;
      readonly claimId: string | null;
      readonly jobId: string | null;
      readonly faults: readonly { readonly column: string }[];
    }[];
  }

  const send = async (csv: string, dryRun = false, session: Session = admin) => {
    const path = `/api/claims/bulk?dryRun=${dryRun}`;
    const response = await session.send("POST", path, csv, { "content-type": "text/csv; charset=utf-8" });
    return { status: response.status, report: await response.json<Report>() };
  };

  const HEADER = "reference,patientId,healthNumber,providerId,insurerId,type,amount,codes,notes";
  const FILE = [
    HEADER,
    "R-1,pat_demo_1,,prv_demo_1,ins_demo_1,claim,120.00,01202 11101,",
    'R-2,,9990 002-222,prv_demo_1,ins_demo_1,preauth,80,01202,"two lines\nand a ""quote"", too"',
    "R-3,pat_nobody,,prv_demo_1,ins_demo_1,claim,1,,",
    "R-4,pat_demo_1,,prv_demo_1,ins_demo_1,claim,1.001,,",
    ",pat_demo_1,,prv_demo_1,ins_demo_1,claim,5,,same",
    ",pat_demo_1,,prv_demo_1,ins_demo_1,claim,5.00,,same",
    "R-1,pat_demo_1,,prv_demo_1,ins_demo_1,claim,121.00,,",
    "R-5,pat_demo_1,9990 002 222,prv_demo_1,ins_demo_1,claim,1,,",
  ].join("\r\n");
  const RESULTS = ["filed", "filed", "invalid", "invalid", "filed", "duplicate", "invalid", "invalid"];
  const countClaims = () => env.DB.prepare("SELECT COUNT(*) AS n FROM claims").first<number>("n");

  beforeEach(() => flag(true));

  it("is behind its flag, and for billing and administrators", async () => {
    await flag(false);
    expect((await send(FILE)).status).toBe(403);
    await flag(true);
    expect((await send(FILE, true, provider)).status).toBe(403);
    expect((await admin.send("POST", "/api/claims/bulk", FILE, { "content-type": "application/json" })).status).toBe(
      415,
    );
  });

  it("says in a dry run what would become of each row, and writes nothing", async () => {
    const { status, report } = await send(FILE, true);
    expect(status).toBe(200);
    expect(report.rows.map(({ result }) => result)).toEqual(RESULTS.map((r) => (r === "filed" ? "valid" : r)));
    expect(report.rows.map(({ row }) => row)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    expect(report.rows.map(({ faults }) => faults.map(({ column }) => column))).toEqual([
      [],
      [],
      ["patientId"],
      ["amount"],
      [],
      [],
      ["reference"],
      ["patientId"],
    ]);
    expect(await countClaims()).toBe(0);
    expect(JSON.stringify(report)).not.toContain("9990");
  });

  it("files and submits each valid row once, however often and however many at once it is sent", async () => {
    const answers = await Promise.all([send(FILE), send(FILE), send(FILE)]);
    for (const { report } of answers) {
      expect(report.rows.map(({ result }) => result.replace("filed_before", "filed"))).toEqual(RESULTS);
    }
    expect(await countClaims()).toBe(3);
    const again = await send(FILE);
    expect(again.report.counts).toMatchObject({ filed: 0, filed_before: 3, duplicate: 1, invalid: 4 });
    await submitAll();
    expect(hub.calls.filter(({ path }) => path.startsWith("/workflow/"))).toHaveLength(3);
    const claims = (await admin.read("GET", "/api/claims?status=submitted")).body.claims;
    expect(claims).toHaveLength(3);
    expect(JSON.stringify(claims)).toContain('and a \\"quote\\", too');
    await hub.runQueue();
    expect((await send(FILE)).report).toMatchObject({ queued: 0, counts: { filed_before: 3 } });
    expect((await stranger.read("GET", "/api/claims")).body.claims).toEqual([]);
  });

  it("goes on where a full queue stopped it when it is sent again", async () => {
    const narrow = new TestHub({ ITRANS_AUTO_SUBMIT_QUEUE_LIMIT: "2" });
    const session = await narrow.signInAs("usr_demo_admin");
    const first = await send(FILE, false, session);
    expect(first.report).toMatchObject({ queued: 2, counts: { filed: 3 } });
    const second = await send(FILE);
    expect(second.report).toMatchObject({ queued: 1, counts: { filed_before: 3 } });
    expect(await env.DB.prepare("SELECT COUNT(*) AS n FROM auto_submit_jobs").first("n")).toBe(3);
  });

  it.each([
    ["nothing", ""],
    ["only a header", HEADER],
    ["an unknown column", "patientId,providerId,insurerId,amount,colour\na,b,c,1,red"],
    ["a missing column", "patientId,providerId,insurerId\na,b,c"],
    ["a column twice", "patientId,patientId,providerId,insurerId,amount\na,a,b,c,1"],
    ["a quote that never ends", `${HEADER}\n"R-1,pat`],
    ["too many rows", `patientId,providerId,insurerId,amount\n${"a,b,c,1\n".repeat(1_001)}`],
  ])("is refused with 400 when it has %s", async (_, csv) => {
    expect((await send(csv)).status).toBe(400);
    expect(await countClaims()).toBe(0);
  });

  it("may be separated by semicolons and begin with a byte order mark", async () => {
    const { report } = await send(
      "\ufeffPatientID;ProviderID;InsurerID;Amount\npat_demo_1;prv_demo_1;ins_demo_1;12",
      true,
    );
    expect(report.counts).toMatchObject({ valid: 1 });
  });

  it("of a thousand rows is filed in a few statements", async () => {
    const rows = Array.from({ length: 1_000 }, (_, i) => `R-${i},pat_demo_1,,prv_demo_1,ins_demo_1,claim,${i + 1},,`);
    const { report } = await send([HEADER, ...rows].join("\n"));
    expect(report).toMatchObject({ queued: 1_000, counts: { filed: 1_000 } });
    expect(await countClaims()).toBe(1_000);
  });
});

describe("the API document", () => {
  it("describes every operation", async () => {
    const document = await (await hub.fetch("/api/openapi.json")).json<{ paths: Record<string, unknown> }>();
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(["/api/claims/bulk", "/api/audit", "/api/claims/{claimId}/attachments/{attachmentId}"]),
    );
  });
});
