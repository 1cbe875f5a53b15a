/** What a person did or saw, as the audit keeps it. */
import type { Hub } from "../hub.edge.ts";
import { auditInsert, viewInsert } from "./audit.store.ts";

export interface Deed {
  readonly hub: Hub;
  readonly user: { readonly clinicId: string; readonly userId: string };
  readonly correlationId: string;
}

/** For the batch that makes the change. @param detail a closed code or an id. */
export const changed = (
  { hub, user, correlationId }: Deed,
  action: string,
  subject: string,
  detail?: string,
): D1PreparedStatement =>
  auditInsert(hub.db, {
    clinicId: user.clinicId,
    actor: user.userId,
    action,
    subject,
    detail,
    correlationId,
    at: hub.now(),
  });

interface Seen {
  readonly detail?: string;
  readonly onlyWithClaim?: string;
}

/** For a batch that reads what is shown. @param seen see `viewInsert`. */
export const view = ({ hub, user, correlationId }: Deed, action: string, subject: string, seen: Seen = {}) =>
  viewInsert(
    hub.db,
    {
      clinicId: user.clinicId,
      actor: user.userId,
      action,
      subject,
      detail: seen.detail,
      correlationId,
      at: hub.now(),
    },
    seen.onlyWithClaim,
  );

/** Before it is shown, or beside reading it: an answer is not given while this has not been written. */
export async function viewed(deed: Deed, action: string, subject: string, seen: Seen = {}): Promise<void> {
  await view(deed, action, subject, seen).run();
}
