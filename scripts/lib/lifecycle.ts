/**
 * Takes one synthetic claim or pre-authorization through its whole life over real HTTP and reports each step as it is seen.
 * Knows nothing of how the services were started, so it runs against deployed ones too.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { ethereumRpc } from "./anvil.ts";
import { Failure, messageOf } from "./fail.ts";
import { type Answer, call, summaryOf } from "./http.ts";

export const STEPS = [
  "created",
  "queued",
  "submitted",
  "in the ledger",
  "acknowledged",
  "adjudicated",
  "anchored",
  "called back",
  "paid",
] as const;
export type StepName = (typeof STEPS)[number];

export interface Step {
  readonly name: string;
  /** Since the claim was asked for. */
  readonly ms: number;
  /** What matters of it: ids, states, block numbers. */
  readonly detail: string;
}

export interface Clinic {
  readonly hubUrl: string;
  readonly email: string;
  readonly password: string;
  readonly patientId: string;
  readonly providerId: string;
  readonly insurerId: string;
}

export interface LifecycleOptions {
  readonly clinic: Clinic;
  readonly coreUrl: string;
  readonly workflowApiKey: string;
  /** The chain is asked itself; undefined: what core says of the anchor is believed. */
  readonly evmRpcUrl: string | undefined;
  /** How long each step may take after the one before it. */
  readonly stepTimeoutMs: number;
  readonly onStep?: (step: Step) => void;
  /** The last step to wait for; left out: all of them. */
  readonly until?: StepName;
  /** Called once, when core's id of the request is known: for whoever stands in for the insurer. */
  readonly onSubmitted?: (requestId: string) => void;
}

export interface Anchor {
  readonly txHash: string;
  readonly blockNumber: number;
}

export interface LifecycleResult {
  readonly claimId: string;
  readonly requestId: string;
  readonly claimStatus: string;
  readonly anchor: Anchor;
  readonly steps: readonly Step[];
}

const jobSchema = z.looseObject({
  jobId: z.string(),
  claimId: z.string(),
  state: z.string(),
  attempt: z.number(),
  lastError: z.string().nullish(),
  requestId: z.string().nullish(),
  requestIdHash: z.string().nullish(),
});
const queueSchema = z.looseObject({ jobs: z.array(jobSchema) });
const claimSchema = z.looseObject({ status: z.string() });
const requestSchema = z.looseObject({
  requestId: z.string(),
  requestIdHash: z.string(),
  status: z.string(),
  ledger: z.looseObject({ seq: z.number(), entryHash: z.string() }),
  events: z.array(z.looseObject({ type: z.string(), seq: z.number() })),
  anchor: z.looseObject({
    status: z.string(),
    txHash: z.string().nullable(),
    blockNumber: z.number().nullable(),
    contractAddress: z.string().nullable(),
    size: z.number().nullable(),
  }),
});

type Job = z.output<typeof jobSchema>;
type RequestView = z.output<typeof requestSchema>;

/** What the services say of one claim at one moment; undefined: nothing yet. */
export interface View {
  readonly claimId: string | undefined;
  readonly job: Job | undefined;
  readonly claimStatus: string | undefined;
  readonly request: RequestView | undefined;
  /** Found on the chain itself, in a block that the node calls final. */
  readonly onChain: Anchor | undefined;
}

/** The steps that a view shows to have happened. A step may be passed between two looks; what follows it proves it. */
export function stepsShown(view: View): ReadonlyMap<StepName, string> {
  const { claimId, job, claimStatus, request, onChain } = view;
  const shown = new Map<StepName, string>();
  if (claimId !== undefined) shown.set("created", claimId);
  if (job !== undefined) shown.set("queued", `job ${job.jobId}`);
  if (job?.state === "succeeded") shown.set("submitted", `request ${job.requestId ?? "?"}, attempt ${job.attempt}`);
  if (request === undefined) return shown;
  shown.set("in the ledger", `seq ${request.ledger.seq}, entry ${shortHash(request.ledger.entryHash)}`);
  const entry = (type: string) => request.events.find((event) => event.type === type);
  const acknowledged = entry("REQUEST_ACKNOWLEDGED");
  if (acknowledged !== undefined) shown.set("acknowledged", `seq ${acknowledged.seq}`);
  const adjudicated = entry("REQUEST_ADJUDICATED");
  if (adjudicated !== undefined) shown.set("adjudicated", `${request.status}, seq ${adjudicated.seq}`);
  if (onChain !== undefined)
    shown.set("anchored", `block ${onChain.blockNumber}, transaction ${shortHash(onChain.txHash)}`);
  // Nothing but a webhook tells the hub of an insurer's answer.
  const decided = claimStatus === "paid" || claimStatus === "denied" || claimStatus === "infoRequested";
  if (adjudicated !== undefined && decided) shown.set("called back", `the hub was told: ${request.status}`);
  if (claimStatus === "paid") shown.set("paid", `claim ${claimStatus}`);
  return shown;
}

const shortHash = (hash: string): string =>
  hash.length > 14 ? `${hash.slice(0, hash.startsWith("0x") ? 12 : 10)}…` : hash;

const describe = ({ job, claimStatus, request, onChain }: View): string =>
  [
    `claim ${claimStatus ?? "not seen"}`,
    job === undefined
      ? "no job"
      : `job ${job.state}, attempt ${job.attempt}${job.lastError ? ` (${job.lastError})` : ""}`,
    request === undefined ? "request not seen" : `request ${request.status}, anchor ${request.anchor.status}`,
    onChain === undefined ? "not found on the chain" : `on the chain in block ${onChain.blockNumber}`,
  ].join("; ");

export async function signIn(clinic: Clinic): Promise<string> {
  const answer = await call(`${clinic.hubUrl}/api/auth/login`, {
    method: "POST",
    body: { email: clinic.email, password: clinic.password },
  });
  const cookie = answer.headers.getSetCookie().map((line) => line.split(";")[0] ?? "");
  if (answer.status !== 200 || cookie.length === 0) throw new Failure(`sign-in was refused: ${summaryOf(answer)}`);
  return cookie.join("; ");
}

/** @throws Failure naming the step that was not seen in time, and what was last seen. */
export async function runLifecycle(
  options: LifecycleOptions & { readonly cookie: string; readonly type: "claim" | "preauth" },
): Promise<LifecycleResult> {
  const { clinic, cookie, type, stepTimeoutMs } = options;
  const startedAt = performance.now();
  const wanted = STEPS.slice(0, options.until === undefined ? STEPS.length : STEPS.indexOf(options.until) + 1);
  const steps: Step[] = [];
  const hub = (path: string, extra: Parameters<typeof call>[1] = {}): Promise<Answer> =>
    call(`${clinic.hubUrl}${path}`, { ...extra, headers: { cookie } });

  const created = await hub("/api/claims", {
    method: "POST",
    body: {
      patientId: clinic.patientId,
      providerId: clinic.providerId,
      insurerId: clinic.insurerId,
      type,
      amount: "120.00",
      currency: "CAD",
      codes: ["11101"],
      notes: "",
    },
  });
  const claim = z
    .looseObject({ claimId: z.string().optional(), id: z.string().optional() })
    .safeParse(unwrapped(created.body, "claim"));
  const claimId = claim.success ? (claim.data.claimId ?? claim.data.id) : undefined;
  if (created.status !== 201 || claimId === undefined)
    throw new Failure(`the ${type} was not created: ${summaryOf(created)}`);

  let view: View = { claimId, job: undefined, claimStatus: undefined, request: undefined, onChain: undefined };
  let trouble = "";
  let told = false;
  let lastProgress = performance.now();
  for (;;) {
    const shown = stepsShown(view);
    const now = performance.now();
    for (const name of STEPS) {
      const detail = shown.get(name);
      if (detail === undefined || steps.some((step) => step.name === name)) continue;
      const step = { name, ms: Math.round(now - startedAt), detail };
      steps.push(step);
      lastProgress = now;
      options.onStep?.(step);
    }
    if (wanted.every((name) => shown.has(name))) break;
    if (now - lastProgress > stepTimeoutMs) {
      const missing = wanted.filter((name) => !shown.has(name)).join(", ");
      throw new Failure(
        `${type} ${claimId}: not seen within ${stepTimeoutMs / 1000} s: ${missing}. Last: ${describe(view)}${trouble}`,
      );
    }
    if (steps.length > 1 || now - startedAt > 100) await sleep(100);
    try {
      view = await look(view, claimId);
      trouble = "";
    } catch (error) {
      trouble = `; ${messageOf(error)}`;
    }
  }
  if (view.request === undefined || view.onChain === undefined)
    throw new Error("a step was shown without its evidence");
  return {
    claimId,
    requestId: view.request.requestId,
    claimStatus: view.claimStatus ?? "",
    anchor: view.onChain,
    steps,
  };

  async function look(last: View, id: string): Promise<View> {
    const [queue, claimNow] = await Promise.all([
      last.job?.state === "succeeded" ? undefined : hub("/api/itrans/auto-submit/queue?limit=50"),
      hub(`/api/claims/${id}`),
    ]);
    const job =
      queue === undefined ? last.job : parse(queueSchema, queue).jobs.find((candidate) => candidate.claimId === id);
    const claimStatus = claimSchema.parse(unwrapped(expectOk(claimNow).body, "claim")).status;
    const requestId = job?.requestId ?? undefined;
    if (requestId === undefined) return { ...last, job: job ?? last.job, claimStatus };
    if (last.request === undefined && !told) {
      told = true;
      options.onSubmitted?.(requestId);
    }
    const headers = { "x-api-key": options.workflowApiKey };
    const request = parse(requestSchema, await call(`${options.coreUrl}/workflow/requests/${requestId}`, { headers }));
    const onChain = last.onChain ?? (await findOnChain(request, options.evmRpcUrl));
    return { claimId: id, job, claimStatus, request, onChain };
  }
}

const receiptSchema = z.object({
  status: z.string(),
  blockNumber: z.string(),
  to: z.string().nullable(),
  logs: z.array(z.object({ address: z.string() })),
});

/** The anchor of the decision, and so of all before it: as core names it, if the node has it in a final block and the contract logged it. */
export async function findOnChain(request: RequestView, rpcUrl: string | undefined): Promise<Anchor | undefined> {
  const { status, txHash, blockNumber, contractAddress, size } = request.anchor;
  if (status !== "confirmed" || txHash === null || blockNumber === null) return undefined;
  const decided = request.events.findLast((event) => event.type === "REQUEST_ADJUDICATED");
  if (decided === undefined || size === null || size <= decided.seq) return undefined;
  if (rpcUrl === undefined) return { txHash, blockNumber };
  const [found, finalized] = await Promise.all([
    ethereumRpc(rpcUrl, "eth_getTransactionReceipt", [txHash]),
    ethereumRpc(rpcUrl, "eth_getBlockByNumber", ["finalized", false]),
  ]);
  if (found === null) return undefined;
  const receipt = receiptSchema.parse(found);
  const finalBlock = Number(z.looseObject({ number: z.string() }).parse(finalized).number);
  const logged = receipt.logs.some((log) => log.address.toLowerCase() === contractAddress?.toLowerCase());
  const agrees = receipt.status === "0x1" && Number(receipt.blockNumber) === blockNumber && logged;
  if (!agrees)
    throw new Failure(`core says block ${blockNumber} holds ${txHash}; the node says ${JSON.stringify(receipt)}`);
  return blockNumber <= finalBlock ? { txHash, blockNumber } : undefined;
}

const deliverySchema = z.looseObject({
  deliveredCount: z.number(),
  pending: z.number(),
  retrying: z.number(),
  deadLetterCount: z.number(),
});

/** Waits until no webhook is under way. @returns how many were delivered in all. */
export async function waitForDeliveries(coreUrl: string, workflowApiKey: string, timeoutMs: number): Promise<number> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const answer = await call(`${coreUrl}/relay/workflow/status`, { headers: { "x-api-key": workflowApiKey } });
    const status = parse(deliverySchema, answer);
    if (status.pending === 0 && status.retrying === 0) return status.deliveredCount;
    if (performance.now() > until) throw new Failure(`webhooks are still under way: ${summaryOf(answer)}`);
    await sleep(200);
  }
}

function expectOk(answer: Answer): Answer {
  if (answer.status < 200 || answer.status > 299) throw new Error(`answered ${summaryOf(answer)}`);
  return answer;
}

function parse<Schema extends z.ZodType>(schema: Schema, answer: Answer): z.output<Schema> {
  const parsed = schema.safeParse(expectOk(answer).body);
  if (!parsed.success) throw new Error(`an answer has an unknown shape: ${summaryOf(answer)}`);
  return parsed.data;
}

/** Some answers are the object itself, some hold it under its name. */
const unwrapped = (body: unknown, name: string): unknown =>
  typeof body === "object" && body !== null && name in body
    ? Object.entries(body).find(([key]) => key === name)?.[1]
    : body;
