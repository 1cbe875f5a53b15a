/** The least a call of one Durable Object can do: the ceiling of anything that one object serializes. */
import { DurableObject } from "cloudflare:workers";

export class Noop extends DurableObject {
  ping(): boolean {
    return true;
  }
}

interface Env {
  readonly NOOP: DurableObjectNamespace<Noop>;
}

export default {
  async fetch(_request, env) {
    return Response.json({ ok: await env.NOOP.get(env.NOOP.idFromName("main")).ping() });
  },
} satisfies ExportedHandler<Env>;
