import { COLUMNS, MAX_ROWS } from "../../bulk/bulk-file.ts";
import { Card, Empty, PageHead } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

/** A file is checked by a dry run, its report read, and then filed (browser/bulk.ts). */
export const BulkView = ({ ui, on }: { readonly ui: Ui; readonly on: boolean }) => (
  <>
    <PageHead
      ui={ui}
      title={ui.t("bulk.title")}
      lead={ui.t("bulk.lead")}
      trail={[{ href: "/claims", label: ui.t("claims.title") }]}
    />
    {on ? (
      <>
        <Card>
          <form id="bulk-form" class="form" novalidate>
            <div class="field">
              <label for="bulk-file">{ui.t("bulk.file")}</label>
              <input
                id="bulk-file"
                type="file"
                name="file"
                accept=".csv,text/csv"
                required
                aria-describedby="bulk-hint bulk-error"
              />
              <p class="hint" id="bulk-hint">
                {ui.t("bulk.columns", { columns: COLUMNS.join(", "), max: ui.number(MAX_ROWS) })}
              </p>
              <p class="error" id="bulk-error" data-error hidden></p>
            </div>
            <div class="actions">
              <button type="submit" class="plain" data-dry-run="true">
                {ui.t("bulk.check")}
              </button>
              <button type="submit" class="primary" data-dry-run="false" disabled>
                {ui.t("bulk.submit")}
              </button>
            </div>
          </form>
        </Card>
        <div id="bulk-report" class="spaced" role="status"></div>
      </>
    ) : (
      <Card>
        <Empty icon="flag" title={ui.t("bulk.off")} text={ui.t("bulk.offNext")}>
          <a class="button" href="/claims/new">
            {ui.t("claims.new")}
          </a>
        </Empty>
      </Card>
    )}
  </>
);
