/** A worker that calls the payer's operator when it is told to, through the gateway that core uses. */
import { makeLog, newUuid } from "../../../src/platform/clock.edge.ts";
import { coreSettingsSchema } from "../../../src/platform/settings.ts";
import { makeOperatorGateway, type OperatorEnv } from "../../../src/settlement/operator/gateway.client.ts";

export { OperatorLimiter } from "../../../durable-objects/operator-limiter.ts";

export default {
  /** `POST /<send|find|page>/<refId>/<clinic>`: the outcome, and how long to wait before the next try. */
  async fetch(request: Request, env: OperatorEnv): Promise<Response> {
    const [, operation = "", refId = "", clinicKey = ""] = new URL(request.url).pathname.split("/");
    const settings = coreSettingsSchema.parse(env);
    const operator = makeOperatorGateway(env, settings, makeLog("caller", { LOG_LEVEL: "error" }));
    const correlationId = newUuid();
    switch (operation) {
      case "send": {
        const money = { type: "payment", amountCents: 100, currency: "CAD", reverses: null } as const;
        return Response.json(await operator.send({ refId, ...money, correlationId, clinicKey }));
      }
      case "find":
        return Response.json(await operator.find(refId, correlationId, { clinicKey }));
      case "page": {
        const range = { from: "2020-01-01T00:00:00.000Z", to: "2100-01-01T00:00:00.000Z", cursor: null, correlationId };
        const page = await operator.page(range);
        return Response.json(page.ok ? { kind: "page" } : page);
      }
      default:
        return new Response(null, { status: 404 });
    }
  },
};
