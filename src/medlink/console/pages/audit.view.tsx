import { FilterForm, FilterSelect } from "../components/form.view.tsx";
import { Empty, PageHead, Pager, Table, Time } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

export interface AuditLine {
  readonly at: number;
  /** A name where it is one of the clinic's people, else what is recorded. */
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: string | null;
}

export interface AuditViewProps {
  readonly ui: Ui;
  readonly events: readonly AuditLine[];
  readonly changesOnly: boolean;
  readonly cursor: string | undefined;
  readonly nextCursor: string | undefined;
}

export const AuditView = ({ ui, events, changesOnly, cursor, nextCursor }: AuditViewProps) => (
  <>
    <PageHead ui={ui} title={ui.t("audit.title")} lead={ui.t("audit.lead")} />
    <FilterForm ui={ui} path="/admin/audit">
      <FilterSelect
        name="changes"
        label={ui.t("audit.changesOnly")}
        value={changesOnly ? "only" : ""}
        blank={ui.t("audit.everything")}
        options={[{ value: "only", label: ui.t("audit.changes") }]}
      />
    </FilterForm>
    <section class="card flush">
      <Table
        caption={ui.t("audit.caption")}
        rows={events}
        columns={[
          { label: ui.t("audit.action"), heading: true, cell: ({ action }) => <code>{action}</code> },
          { label: ui.t("audit.when"), cell: ({ at }) => <Time ui={ui} at={at} both /> },
          { label: ui.t("audit.actor"), cell: ({ actor }) => actor },
          { label: ui.t("audit.subject"), cell: ({ subject }) => <SubjectLink subject={subject} /> },
          { label: ui.t("audit.detail"), cell: ({ detail }) => detail ?? "" },
        ]}
        empty={<Empty icon="history" title={ui.t("audit.empty")} />}
      />
      <Pager
        ui={ui}
        path="/admin/audit"
        query={{ changes: changesOnly ? "only" : undefined }}
        cursor={cursor}
        nextCursor={nextCursor}
      />
    </section>
  </>
);

const SubjectLink = ({ subject }: { readonly subject: string }) => {
  const folder = subject.startsWith("clm_") ? "claims" : subject.startsWith("pat_") ? "patients" : undefined;
  const text = <span class="mono">{subject.length > 22 ? `${subject.slice(0, 20)}…` : subject}</span>;
  return folder === undefined ? text : <a href={`/${folder}/${subject}`}>{text}</a>;
};
