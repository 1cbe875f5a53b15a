/** The parts that pages are made of. Each takes `ui`, says nothing of its own but through it, and knows no page. */
import type { Child } from "hono/jsx";
import type { Ui } from "../i18n/ui.ts";
import { Icon, type IconName } from "./icon.view.tsx";

export interface PageHeadProps {
  readonly title: string;
  readonly lead?: string | undefined;
  /** The pages above this one, from the top. */
  readonly trail?: readonly { readonly href: string; readonly label: string }[];
  readonly ui: Ui;
  /** Buttons and links. */
  readonly children?: Child;
}

export const PageHead = ({ title, lead, trail = [], ui, children }: PageHeadProps) => (
  <div class="page-head">
    {trail.length === 0 ? null : (
      <nav class="trail" aria-label={ui.t("app.breadcrumb")}>
        {trail.map(({ href, label }) => (
          <>
            <a href={href}>{label}</a>
            <Icon name="chevron" size={14} />
          </>
        ))}
      </nav>
    )}
    <div class="head-row">
      <div>
        <h1>{title}</h1>
        {lead === undefined ? null : <p class="lead">{lead}</p>}
      </div>
      {children === undefined ? null : <div class="actions">{children}</div>}
    </div>
  </div>
);

export interface CardProps {
  readonly title?: string | undefined;
  readonly lead?: string | undefined;
  /** To the right of the title. */
  readonly aside?: Child;
  /** Replaced by the live refresh under this id: see `Live`. */
  readonly id?: string;
  readonly flush?: boolean;
  readonly children?: Child;
}

/** @param props.flush for content that brings its own edges, such as a table. */
export const Card = ({ title, lead, aside, id, flush = false, children }: CardProps) => (
  <section class={flush ? "card flush" : "card"} id={id}>
    {title === undefined ? null : (
      <div class="card-head">
        <div>
          <h2>{title}</h2>
          {lead === undefined ? null : <p class="lead">{lead}</p>}
        </div>
        {aside}
      </div>
    )}
    {children}
  </section>
);

export type Tone = "neutral" | "info" | "good" | "warn" | "bad";

/** A state in one or two words. */
export const Badge = ({ tone, children }: { readonly tone: Tone; readonly children?: Child }) => (
  <span class={`badge ${tone}`}>{children}</span>
);

const NOTICE_ICONS: Readonly<Record<Tone, IconName>> = {
  neutral: "info",
  info: "info",
  good: "check",
  warn: "alert",
  bad: "alert",
};

export interface NoticeProps {
  readonly tone: Tone;
  readonly title?: string;
  readonly id?: string;
  readonly hidden?: boolean;
  readonly children?: Child;
}

/** What someone should know before they go on. */
export const Notice = ({ tone, title, id, hidden, children }: NoticeProps) => (
  <div class={`notice ${tone}`} id={id} hidden={hidden}>
    <Icon name={NOTICE_ICONS[tone]} />
    <div>
      {title === undefined ? null : <strong>{title}</strong>}
      {children}
    </div>
  </div>
);

export interface EmptyProps {
  readonly icon: IconName;
  readonly title: string;
  /** What to do next. */
  readonly text?: string;
  readonly children?: Child;
}

/** Where a list has nothing to show. */
export const Empty = ({ icon, title, text, children }: EmptyProps) => (
  <div class="empty">
    <Icon name={icon} size={30} />
    <p class="empty-title">{title}</p>
    {text === undefined ? null : <p>{text}</p>}
    {children}
  </div>
);

/** A moment: the day and time in the viewer's zone, how long ago, and the exact time as a tooltip. The browser keeps the distance fresh. */
export const Time = ({ ui, at, both = false }: { readonly ui: Ui; readonly at: number; readonly both?: boolean }) => (
  <time datetime={new Date(at).toISOString()} title={ui.exactTime(at)}>
    {both ? (
      <>
        {ui.dateTime(at)}
        {" · "}
        <span class="ago" data-ago={at}>
          {ui.ago(at)}
        </span>
      </>
    ) : (
      <span data-ago={at}>{ui.ago(at)}</span>
    )}
  </time>
);

/** An id or hash: short to the eye, whole to the clipboard. */
export const Code = ({ ui, value, keep = 12 }: { readonly ui: Ui; readonly value: string; readonly keep?: number }) => (
  <span class="code">
    <code title={value}>{value.length > keep + 2 ? `${value.slice(0, keep)}…` : value}</code>
    <button type="button" class="copy" data-copy={value} title={ui.t("app.copy")}>
      <Icon name="copy" size={14} />
      <span class="sr">{ui.t("app.copy")}</span>
    </button>
  </span>
);

/** Names and values, side by side. */
export const Facts = ({ rows }: { readonly rows: readonly (readonly [string, Child])[] }) => (
  <dl class="facts">
    {rows.map(([name, value]) => (
      <div>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);

export interface StatProps {
  readonly label: string;
  readonly value: Child;
  readonly note?: Child;
  readonly tone?: Tone;
  readonly href?: string;
}

/** One figure. */
export const Stat = ({ label, value, note, tone = "neutral", href }: StatProps) => {
  const body = (
    <>
      <span class="label">{label}</span>
      <span class="value">{value}</span>
      {note === undefined ? null : <span class="note">{note}</span>}
    </>
  );
  return href === undefined ? (
    <div class={`stat ${tone}`}>{body}</div>
  ) : (
    <a class={`stat ${tone}`} href={href}>
      {body}
    </a>
  );
};

export interface Column<Row> {
  readonly label: string;
  readonly cell: (row: Row) => Child;
  /** Numbers and amounts stand right. */
  readonly align?: "right";
  /** The cell that names the row: its heading, and its title on a phone. */
  readonly heading?: boolean;
  /** For a column of buttons: its label is read, not shown. */
  readonly quiet?: boolean;
}

export interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** Shown instead of a table without rows. */
  readonly empty: Child;
}

/** On a phone each row is a card, and each cell carries its column's label. */
export function Table<Row>({ caption, columns, rows, empty }: TableProps<Row>) {
  if (rows.length === 0) return <>{empty}</>;
  return (
    <div class="table-box">
      <table>
        <caption class="sr">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ label, align, quiet }) => (
              <th scope="col" class={align}>
                {quiet ? <span class="sr">{label}</span> : label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {columns.map(({ label, cell, align, heading, quiet }) =>
                heading ? (
                  <th scope="row">{cell(row)}</th>
                ) : (
                  <td class={align} data-label={quiet ? "" : label}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export interface PagerProps {
  readonly ui: Ui;
  readonly path: string;
  /** The list's filters; those that are undefined or empty are left out. */
  readonly query: Readonly<Record<string, string | undefined>>;
  /** The cursor of the page that is shown. */
  readonly cursor: string | undefined;
  readonly nextCursor: string | undefined;
}

/** The address of a list with these filters. */
export function listHref(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") search.set(name, value);
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Keyset pages go forward, and back to the first. */
export const Pager = ({ ui, path, query, cursor, nextCursor }: PagerProps) =>
  cursor === undefined && nextCursor === undefined ? null : (
    <nav class="pager" aria-label={ui.t("app.pages")}>
      {cursor === undefined ? null : (
        <a class="button" href={listHref(path, query)}>
          {ui.t("app.newer")}
        </a>
      )}
      {nextCursor === undefined ? null : (
        <a class="button" href={listHref(path, { ...query, cursor: nextCursor })} rel="next">
          {ui.t("app.older")}
        </a>
      )}
    </nav>
  );

/** Tabs that are links: each is a page of its own. */
export const Tabs = ({
  label,
  items,
}: {
  readonly label: string;
  readonly items: readonly { readonly href: string; readonly label: string; readonly current: boolean }[];
}) => (
  <nav class="tabs" aria-label={label}>
    {items.map((item) => (
      <a href={item.href} aria-current={item.current ? "page" : undefined}>
        {item.label}
      </a>
    ))}
  </nav>
);

/** What the browser asks the API for, when a button is pressed. */
export interface ApiCall {
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** What happens once the API has said yes. */
export interface AfterCall {
  /** Said in a toast; on the next page, if there is one. */
  readonly toast?: string;
  /** `reload`, or a path; `{name}` in it is the answer's field of that name. */
  readonly go?: string;
  /** Said instead of the usual words for a problem of this code. */
  readonly problems?: Readonly<Record<string, string>>;
  /** Said as a failure when this field of the answer is false: a check that was made, and did not go well. */
  readonly unless?: { readonly field: string; readonly text: string };
  /** The answer's field that is shown this one time, and the id of the `ShownOnce` that shows it. */
  readonly once?: { readonly field: string; readonly dialog: string };
}

export const afterAttributes = ({ toast, go, problems, once, unless }: AfterCall) => ({
  "data-unless": unless === undefined ? undefined : JSON.stringify(unless),
  "data-toast": toast,
  "data-go": go,
  "data-once": once === undefined ? undefined : `${once.field} ${once.dialog}`,
  "data-problems": problems === undefined ? undefined : JSON.stringify(problems),
});

export interface ActionProps extends AfterCall {
  readonly call: ApiCall;
  readonly tone?: "primary" | "danger" | "plain" | "ghost";
  readonly small?: boolean;
  readonly icon?: IconName;
  readonly disabled?: boolean;
  /** The id of a `Confirm` to ask first. */
  readonly confirm?: string;
  readonly children?: Child;
}

/** A button that calls the API. */
export const Action = ({ call, tone = "plain", small, icon, disabled, confirm, children, ...after }: ActionProps) => (
  <button
    type="button"
    class={`${tone}${small ? " small" : ""}`}
    disabled={disabled}
    data-call={`${call.method} ${call.path}`}
    data-body={call.body === undefined ? undefined : JSON.stringify(call.body)}
    data-confirm={confirm}
    {...afterAttributes(after)}
  >
    {icon === undefined ? null : <Icon name={icon} />}
    {children}
  </button>
);

export interface DialogProps {
  readonly id: string;
  readonly title: string;
  readonly ui: Ui;
  readonly children?: Child;
}

/** Opened by a button with `data-open={id}`; closed by Escape, its cross and `data-close`. */
export const Dialog = ({ id, title, ui, children }: DialogProps) => (
  <dialog id={id} aria-labelledby={`${id}-title`}>
    <div class="dialog-head">
      <h2 id={`${id}-title`}>{title}</h2>
      <button type="button" class="ghost square" data-close>
        <Icon name="close" />
        <span class="sr">{ui.t("app.close")}</span>
      </button>
    </div>
    {children}
  </dialog>
);

export interface ConfirmProps {
  readonly id: string;
  readonly ui: Ui;
  readonly title: string;
  /** What will happen, and whether it can be undone. */
  readonly text: string;
  /** The verb. */
  readonly action: string;
  readonly danger?: boolean;
}

/** Asks before an `Action` that names it. */
export const Confirm = ({ id, ui, title, text, action, danger = false }: ConfirmProps) => (
  <dialog id={id} class="confirm" aria-labelledby={`${id}-title`} aria-describedby={`${id}-text`}>
    <h2 id={`${id}-title`}>{title}</h2>
    <p id={`${id}-text`}>{text}</p>
    <div class="actions end">
      <button type="button" class="plain" data-close>
        {ui.t("app.cancel")}
      </button>
      <button type="button" class={danger ? "danger" : "primary"} data-confirmed>
        {action}
      </button>
    </div>
  </dialog>
);

/** The browser reads the page again this often and replaces it where it changed, while it is looked at. */
export const Live = ({
  id,
  everyMs,
  children,
}: {
  readonly id: string;
  readonly everyMs: number;
  readonly children?: Child;
}) => (
  <div id={id} data-live={everyMs}>
    {children}
  </div>
);

/** A placeholder of a given number of lines, for what the browser fetches itself. */
export const Loading = ({ ui, lines = 3 }: { readonly ui: Ui; readonly lines?: number }) => (
  <div class="skeleton" role="status">
    <span class="sr">{ui.t("app.loading")}</span>
    {Array.from({ length: lines }, () => (
      <span class="bar" />
    ))}
  </div>
);

/** Shows what an answer holds this one time, to be copied; then the page is read again. Needs the script `shown-once`. */
export const ShownOnce = (props: {
  readonly id: string;
  readonly ui: Ui;
  readonly title: string;
  readonly text: string;
}) => (
  <Dialog id={props.id} ui={props.ui} title={props.title}>
    <p id={`${props.id}-text`}>{props.text}</p>
    <div class="with-button">
      <input readonly aria-labelledby={`${props.id}-title`} aria-describedby={`${props.id}-text`} data-once-value />
      <button type="button" class="primary" data-once-copy>
        {props.ui.t("app.copy")}
      </button>
    </div>
  </Dialog>
);
