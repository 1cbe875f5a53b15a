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

/** Before it is shown, or beside reading it: an answer is not given while this has not been written. */
export async function viewed(
  { hub, user, correlationId }: Deed,
  action: string,
  subject: string,
  detail?: string,
): Promise<void> {
  const view = { clinicId: user.clinicId, actor: user.userId, action, subject, detail, correlationId, at: hub.now() };
  await viewInsert(hub.db, view).run();
}
