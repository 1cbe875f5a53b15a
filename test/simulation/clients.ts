/** Clients as they are in the field: MedLink resends what is not answered with 2xx, an insurer acknowledges and decides. */
import type { RequestDecision } from "../../src/workflow/request.ts";
import { remoteCall } from "./calls.ts";
import type { Edge, HttpAnswer, Submission } from "./edge.ts";
import { INSURERS } from "./options.ts";
import { Life } from "./scheduler.ts";
import type { World } from "./world.ts";

const SILENCE_MS = 20_000;
const RESEND_GAPS_MS = [3_000, 6_000, 12_000] as const;
const INSURER_TRIES = 5;
/** How often a person sends a submission again after the faults: a query that hung at their end may still hold up the first. */
const SURE_TRIES = 2;

/** A promise that was made to a caller, to be found kept at the end. */
export type Promised =
  | { readonly type: "submitted"; readonly submission: Submission; readonly requestIdHash: string }
  | { readonly type: "acknowledged"; readonly requestIdHash: string }
  | { readonly type: "decided"; readonly requestIdHash: string; readonly decision: RequestDecision }
  | { readonly type: "claim"; readonly claimId: string; readonly states: readonly string[] };

const CLAIM_STATES = ["CREATED", "FINALIZED", "SETTLEMENT_PENDING", "SETTLED"] as const;

export class Clients {
  readonly #world: World;
  readonly #edge: Edge;
  readonly #promised: (promised: Promised) => void;
  /** Clients never end. */
  readonly #life = new Life();
  /** Submissions that were given up: a person sends them again when things work. */
  #givenUp: Submission[] = [];
  #busy = 0;

  constructor(world: World, edge: Edge, promised: (promised: Promised) => void) {
    this.#world = world;
    this.#edge = edge;
    this.#promised = promised;
  }

  get idle(): boolean {
    return this.#busy === 0;
  }

  start(): void {
    const { options, random } = this.#world;
    const halfMs = Math.floor(options.faultyMs / 2);
    for (let i = 1; i <= options.requests; i++) {
      this.#at(random.between(0, halfMs), () => this.#request(`R-${i}`));
    }
    for (let i = 1; i <= options.claims; i++) this.#at(random.between(0, halfMs), () => this.#claim(`C-${i}`));
  }

  /** Nothing fails any more: what was given up is sent again, and something new, and all of it must be taken. */
  afterFaults(): void {
    const again = this.#givenUp;
    this.#givenUp = [];
    for (const submission of again) this.#at(1_000, () => this.#submitSurely(submission));
    this.#at(1_000, () => this.#submitSurely(this.#draw("R-last")));
  }

  async #submitSurely(submission: Submission): Promise<void> {
    for (let tries = 1; tries <= SURE_TRIES; tries++) {
      if ((await this.#submit(submission)) !== undefined) return;
    }
    this.#world.violate("liveness", `${submission.requestId} is not taken though nothing fails`);
  }

  #draw(requestId: string): Submission {
    const { random } = this.#world;
    return {
      requestId,
      requestType: random.pick(["CLAIM", "PREAUTH"]),
      insurerAddress: random.pick(INSURERS),
      payload: { patientId: `p-${requestId}`, totalAmount: 120, providerId: "d-1" },
    };
  }

  #at(delayMs: number, work: () => Promise<unknown>): void {
    this.#busy += 1;
    this.#world.scheduler.after(delayMs, () => {
      work().then(
        () => {
          this.#busy -= 1;
        },
        (error: unknown) => this.#world.violate("simulation", `a client threw ${String(error)}`),
      );
    });
  }

  async #request(requestId: string): Promise<void> {
    const { random, options } = this.#world;
    const submission = this.#draw(requestId);
    if (random.chance(options.duplicates)) this.#at(random.between(0, 3_000), () => this.#submit(submission));
    if (random.chance(options.conflicts)) {
      const other = { ...submission, payload: { ...submission.payload, totalAmount: 999 } };
      this.#at(random.between(0, 6_000), () => this.#submit(other));
    }
    const answer = await this.#submit(submission);
    if (answer?.requestIdHash !== undefined) await this.#insure(answer.requestIdHash);
  }

  /**
   * At most four times, as MedLink does; a conflict is not mended by sending it again, but that is what it does.
   * @returns the last answer when that was 2xx or a conflict, else undefined.
   */
  async #submit(submission: Submission): Promise<HttpAnswer | undefined> {
    let conflict: HttpAnswer | undefined;
    for (const gapMs of [...RESEND_GAPS_MS, undefined]) {
      const answer = await this.#call("submit", (life) => this.#edge.submit(life, submission));
      const { status, requestIdHash } = answer ?? {};
      if (status === 200 || status === 201) {
        if (requestIdHash === undefined)
          this.#world.violate("answer", "a submission was answered 2xx without its hash");
        else this.#promised({ type: "submitted", submission, requestIdHash });
        return answer;
      }
      conflict = status === 409 ? answer : undefined;
      if (gapMs !== undefined) await this.#world.scheduler.sleep(this.#life, gapMs);
    }
    this.#world.trace("client", "gives up", submission.requestId);
    if (conflict === undefined) this.#givenUp.push(submission);
    return conflict;
  }

  async #insure(requestIdHash: string): Promise<void> {
    const { random, scheduler, options } = this.#world;
    const pauseMs = Math.floor(options.faultyMs / 4);
    const wait = (): Promise<void> => scheduler.sleep(this.#life, random.chance(0.5) ? 0 : random.between(0, pauseMs));
    await wait();
    if (random.chance(0.7)) {
      if (random.chance(options.duplicates)) this.#at(random.between(0, 500), () => this.#acknowledge(requestIdHash));
      await this.#acknowledge(requestIdHash);
      await wait();
    }
    const decisions = this.#drawDecisions();
    for (const decision of decisions) {
      if (random.chance(options.duplicates)) {
        const other = random.chance(0.5) ? decision : random.pick(["APPROVED", "DENIED"] as const);
        this.#at(random.between(0, 500), () => this.#decide(requestIdHash, other));
      }
      await this.#decide(requestIdHash, decision);
      await wait();
    }
  }

  #drawDecisions(): readonly RequestDecision[] {
    const { random } = this.#world;
    const last = random.pick(["APPROVED", "DENIED"] as const);
    switch (random.between(0, 4)) {
      case 0:
        return [];
      case 1:
        return ["NEEDS_INFO"];
      case 2:
        return ["NEEDS_INFO", last];
      default:
        return [last];
    }
  }

  #acknowledge(requestIdHash: string): Promise<boolean> {
    return this.#insist("acknowledge", (life) => this.#edge.acknowledge(life, requestIdHash), {
      type: "acknowledged",
      requestIdHash,
    });
  }

  #decide(requestIdHash: string, decision: RequestDecision): Promise<boolean> {
    return this.#insist("adjudicate", (life) => this.#edge.adjudicate(life, requestIdHash, decision), {
      type: "decided",
      requestIdHash,
      decision,
    });
  }

  async #claim(claimId: string): Promise<void> {
    const steps = [
      (life: Life) => this.#edge.createClaim(life, claimId),
      (life: Life) => this.#edge.claimStep(life, claimId, "FinalizeClaim"),
      (life: Life) => this.#edge.claimStep(life, claimId, "SettleClaim"),
    ];
    for (const [index, step] of steps.entries()) {
      const kept = await this.#insist("claim", step, { type: "claim", claimId, states: CLAIM_STATES.slice(index) });
      if (!kept) return;
    }
  }

  /** @returns whether it was answered with 2xx. */
  async #insist(name: string, call: (life: Life) => Promise<HttpAnswer>, promised: Promised): Promise<boolean> {
    for (let tries = 1; tries <= INSURER_TRIES; tries++) {
      const answer = await this.#call(name, call);
      if (answer?.status === 200 || answer?.status === 201) {
        this.#promised(promised);
        return true;
      }
      if (answer?.status === 404) this.#world.violate("acknowledged lost", `${name} of what was acknowledged is a 404`);
      if (answer?.status === 409 || answer?.status === 404) return false;
      await this.#world.scheduler.sleep(this.#life, 2_000);
    }
    return false;
  }

  /** @returns undefined when the connection broke or nothing came within 20 s; the call goes on without its caller. */
  #call(name: string, call: (life: Life) => Promise<HttpAnswer>): Promise<HttpAnswer | undefined> {
    return new Promise((resolve) => {
      this.#world.scheduler.after(SILENCE_MS, () => resolve(undefined));
      remoteCall(this.#world, this.#life, name, async (edge) => {
        try {
          return await call(edge);
        } catch {
          return { status: 503 } as const; // as a route answers what its bindings threw
        }
      }).then(
        (answer) => {
          this.#world.trace("client", name, answer.status, answer.requestIdHash?.slice(2, 10));
          resolve(answer);
        },
        () => resolve(undefined),
      );
    });
  }
}
