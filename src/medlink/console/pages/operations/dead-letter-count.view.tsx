import type { Ui } from "../../i18n/ui.ts";
import { DELIVERIES_PATH } from "./relay-paths.ts";

/** How many a destination has, and the way to them. */
export const DeadLetterCount = ({
  ui,
  destinationId,
  count,
}: {
  readonly ui: Ui;
  readonly destinationId: string;
  readonly count: number;
}) =>
  count === 0 ? (
    ui.number(0)
  ) : (
    <a href={`${DELIVERIES_PATH}?destinationId=${destinationId}#dead-letters`}>{ui.number(count)}</a>
  );
