/** The sandbox as a transport: what a connector writes is read by the far side of the same network, its state is in D1. */
import type { Hub } from "../hub.edge.ts";
import type { ConnectorName, Transport, WireResult } from "./connector.ts";
import { farSideOf } from "./far-side.ts";
import { findSandboxClaim, markGiven, nextDecision, takeSandboxClaim } from "./sandbox.store.ts";
import { fateOf, type SandboxPolicy, type SandboxReply, type SandboxSubmission, takeClaim } from "./sandbox.ts";
import { nextNumber } from "./transactions.store.ts";

const sandboxPolicy = ({ settings }: Hub): SandboxPolicy => ({
  seed: settings.EDI_SANDBOX_SEED,
  errorPercent: settings.EDI_SANDBOX_ERROR_PERCENT,
  refusalPercent: settings.EDI_SANDBOX_REFUSAL_PERCENT,
  latencyMs: settings.EDI_SANDBOX_LATENCY_MS,
  adjudicationMs: settings.EDI_SANDBOX_ADJUDICATION_MS,
});

const NEVER_AGAIN = Number.MAX_SAFE_INTEGER;

export function makeSandboxTransport(hub: Hub, connector: ConnectorName, clinicId: string): Transport {
  const far = farSideOf(connector);
  return async (message): Promise<WireResult> => {
    const request = far.read(message);
    const answered = (reply: SandboxReply): WireResult => ({
      type: "answered",
      ...far.write(message, reply, hub.now()),
    });
    switch (request.type) {
      case "malformed":
        return answered(request);
      case "ping":
        return answered({ type: "done" });
      case "status": {
        const claim = await findSandboxClaim(hub.db, connector, request.transactionId);
        return answered(claim === undefined ? { type: "none" } : { type: "claim", claim });
      }
      case "mailbox": {
        const claim = await nextDecision(hub.db, connector, clinicId, hub.now());
        if (claim === undefined) return answered({ type: "none" });
        await markGiven(hub.db, connector, claim.transactionId, hub.now());
        return answered({ type: "claim", claim });
      }
      case "acknowledge":
        await markGiven(hub.db, connector, request.transactionId, hub.now());
        return answered({ type: "done" });
      case "submit":
        return submit(hub, connector, clinicId, request.submission, answered);
    }
  };
}

async function submit(
  hub: Hub,
  connector: ConnectorName,
  clinicId: string,
  submission: SandboxSubmission,
  answered: (reply: SandboxReply) => WireResult,
): Promise<WireResult> {
  const policy = sandboxPolicy(hub);
  const sequence = await nextNumber(hub.db, `sandbox:${connector}:${clinicId}`, NEVER_AGAIN);
  const fate = fateOf(policy, connector, sequence);
  await hub.edi.wait(fate.latencyMs);
  if (fate.delivery === "unavailable") return { type: "answered", status: 503, text: "" };
  if (fate.delivery === "lost") return { type: "silent", code: "timeout" };
  const context = { connector, clinicId, sequence, fate, policy, now: hub.now() };
  await takeSandboxClaim(hub.db, takeClaim(submission, context));
  const claim = await findSandboxClaim(hub.db, connector, submission.transactionId);
  if (claim === undefined) throw new Error("the sandbox lost what it has just taken");
  return fate.delivery === "silent" ? { type: "silent", code: "timeout" } : answered({ type: "claim", claim });
}
