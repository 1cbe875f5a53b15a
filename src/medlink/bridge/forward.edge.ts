/** Passing a signed-in person's call on to core, and core's answer back as it is. */
import type { User } from "../accounts/user.ts";
import type { CoreAnswer, CoreCall } from "../core.client.ts";
import type { Hub } from "../hub.edge.ts";
import { isCoreId } from "../ids.ts";
import { type Answer, notFound, refuse } from "../operation.edge.ts";
import { ownsCoreId } from "./bridge.store.ts";

export function passOn(answer: CoreAnswer, correlationId: string): Answer {
  switch (answer.type) {
    case "answered":
      return {
        type: "raw",
        response: new Response(answer.text === "" ? null : answer.text, {
          status: answer.status,
          headers: {
            "content-type": answer.contentType,
            "x-correlation-id": correlationId,
            ...(answer.retryAfter === undefined ? {} : { "retry-after": answer.retryAfter }),
          },
        }),
      };
    case "timeout":
      return refuse("upstream_unavailable", "iTrans did not answer in time. Try again.");
    case "unreachable":
      return refuse("upstream_unavailable", "iTrans cannot be reached. Try again.");
  }
}

/** Calls core about one request or claim, if it is of this person's clinic. @param path makes core's path of the encoded id. */
export async function forwardOwned(
  { hub, user, correlationId }: { readonly hub: Hub; readonly user: User; readonly correlationId: string },
  id: string,
  call: Pick<CoreCall, "method" | "surface"> & { readonly path: (encodedId: string) => string },
): Promise<Answer> {
  if (!isCoreId(id) || !(await ownsCoreId(hub.db, user.clinicId, id))) return notFound("request");
  const { method, surface } = call;
  const answer = await hub.core.call({ method, surface, path: call.path(encodeURIComponent(id)), correlationId });
  return passOn(answer, correlationId);
}
