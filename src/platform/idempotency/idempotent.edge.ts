/** Carrying a request out once for each Idempotency-Key: what any route with an effect of its own wraps itself in. */
import { systemNow } from "../clock.edge.ts";
import { fromUtf8, utf8 } from "../encoding.ts";
import type { Keyring } from "../keyring.ts";
import { type Problem, problemDocument, statusOf } from "../problem.ts";
import type { RandomBytes } from "../seal.ts";
import { beginKey, completeKey, findKey, restKey, resumeKey } from "./idempotency.store.ts";
import { BUSY_MS, decideKey, inProgress, isFinal, KEY_MISSING, KEY_REUSED, keyFromHeader } from "./idempotency.ts";

/** A JSON answer, whatever the route's types say of it. */
export interface KeyedAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly retryAfterSeconds?: number | undefined;
}

export interface KeyedRoute {
  readonly db: D1Database;
  /** Names the route; a key says something within one route and tenant only. */
  readonly scope: string;
  readonly tenantId: string;
  readonly correlationId: string;
  /** As it came. */
  readonly header: string | undefined;
  /** Canonical text of all that the request asks for. */
  readonly request: string;
  /** 64 hex under a key that is not in the database: what is hashed may be guessable. */
  readonly keyedHash: (text: string) => string;
  readonly sealing: { readonly keyring: () => Promise<Keyring>; readonly random: RandomBytes };
  readonly retentionMs: number;
  /** A name for the effect, never drawn twice. */
  readonly newEffectId: () => string;
  /** The answer to give when the effect of this name happened; undefined when it did not. @throws when it can not be told. */
  readonly happened: (effectId: string) => Promise<KeyedAnswer | undefined>;
  /** Carries it out under this name; the same name again has no second effect. */
  readonly run: (effectId: string) => Promise<KeyedAnswer>;
  /** The key came with another request before. */
  readonly collided: () => void;
}

export const problemAnswer = (problem: Problem, correlationId: string): KeyedAnswer => ({
  status: statusOf(problem.code),
  body: problemDocument(problem, correlationId),
  retryAfterSeconds: problem.retryAfterSeconds,
});

const sealPlace = (keyId: string, status: number): string => `idempotency:${keyId}:${status}`;

/** Times that a faster request under the same key is looked at again. */
const MAX_TURNS = 3;

export async function answerOnce(route: KeyedRoute): Promise<KeyedAnswer & { readonly replayed: boolean }> {
  const { db, scope, tenantId, correlationId } = route;
  const fresh = (answer: KeyedAnswer) => ({ ...answer, replayed: false });
  const refuse = (problem: Problem) => fresh(problemAnswer(problem, correlationId));
  const key = keyFromHeader(route.header);
  if (key === undefined) return refuse(KEY_MISSING);
  const keyId = route.keyedHash(`key\n${scope}\n${tenantId}\n${key}`);
  const fingerprint = route.keyedHash(`request\n${scope}\n${tenantId}\n${route.request}`);
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const now = systemNow();
    const decision = decideKey(await findKey(db, keyId), { fingerprint }, now);
    switch (decision.type) {
      case "mismatch":
        route.collided();
        return refuse(KEY_REUSED);
      case "answer": {
        const { answer } = decision;
        if (answer !== undefined) {
          const opened = await (await route.sealing.keyring()).open(answer, sealPlace(keyId, answer.status));
          return { status: answer.status, body: JSON.parse(fromUtf8(opened)), replayed: true };
        }
        const made = await route.happened(decision.effectId);
        if (made === undefined) throw new Error("what was said to have happened is not there");
        return { ...made, replayed: true };
      }
      case "in-progress": {
        const made = await route.happened(decision.effectId);
        return made === undefined ? refuse(inProgress(decision.retryAfterMs)) : { ...made, replayed: true };
      }
      case "begin": {
        const effectId = route.newEffectId();
        const token = await beginKey(
          db,
          {
            keyId,
            scope,
            tenantId,
            fingerprint,
            effectId,
            correlationId,
            busyUntil: now + BUSY_MS,
            expiresAt: now + route.retentionMs,
          },
          now,
        );
        if (token === undefined) continue;
        return fresh(await carryOut(route, keyId, token, effectId));
      }
      case "resume": {
        const token = await resumeKey(db, keyId, decision.token, now + BUSY_MS, now);
        if (token === undefined) continue;
        const made = await route.happened(decision.effectId);
        if (made === undefined) return fresh(await carryOut(route, keyId, token, decision.effectId));
        await keep(route, keyId, token, made);
        return { ...made, replayed: true };
      }
    }
  }
  return refuse(inProgress(BUSY_MS));
}

/** When it throws, the key stays PROCESSING: what happened is told by the effect, by whoever asks next. */
async function carryOut(route: KeyedRoute, keyId: string, token: number, effectId: string): Promise<KeyedAnswer> {
  const answer = await route.run(effectId);
  if (isFinal(answer.status)) await keep(route, keyId, token, answer);
  // "Not now": nobody is at work on it any more, and the next request goes on under the same name.
  else await restKey(route.db, keyId, token, systemNow());
  return answer;
}

/** An answer that can not be kept is made anew from the effect next time: the caller hears it all the same. */
async function keep(route: KeyedRoute, keyId: string, token: number, answer: KeyedAnswer): Promise<void> {
  const { keyring, random } = route.sealing;
  const bytes = utf8(JSON.stringify(answer.body));
  const sealed = await (await keyring()).seal(bytes, sealPlace(keyId, answer.status), random);
  await completeKey(route.db, keyId, token, { status: answer.status, ...sealed }, undefined, systemNow());
}
