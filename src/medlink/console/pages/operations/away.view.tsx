import type { Asked } from "../../../operations/asked.ts";
import { Notice } from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";

const TRY_AGAIN_MS = 5_000;

/** Why there is nothing of core's to show; nothing where there is. */
export const Away = ({
  ui,
  asked,
  missing = ui.t("ops.away.missing"),
}: {
  readonly ui: Ui;
  readonly asked: Asked<unknown>;
  /** Said where core has no such thing. */
  readonly missing?: string;
}) => {
  switch (asked.type) {
    case "ok":
      return null;
    case "missing":
      return <Notice tone="info">{missing}</Notice>;
    case "away":
      return (
        <div data-away data-refresh={TRY_AGAIN_MS}>
          <Notice tone="warn">{ui.t("ops.away.away")}</Notice>
        </div>
      );
    case "closed":
      return <Notice tone="warn">{ui.t("ops.noKey")}</Notice>;
  }
};
