/** The document around every page: with navigation for those who are signed in, plain for those who are not. */
import type { Child } from "hono/jsx";
import type { AccountRole } from "../../accounts/user.ts";
import { paths } from "../assets.generated.js";
import type { PlainKey } from "../i18n/catalogue.ts";
import { LOCALES } from "../i18n/locale.ts";
import type { Ui } from "../i18n/ui.ts";
import { currentItem, navigationFor } from "../navigation.ts";
import type { ScriptName } from "../scripts.ts";
import { Icon } from "./icon.view.tsx";

export type Theme = "auto" | "light" | "dark";

export interface Person {
  readonly name: string;
  readonly role: AccountRole;
  readonly clinicName: string | undefined;
}

interface DocumentProps {
  readonly ui: Ui;
  readonly theme: Theme;
  readonly title: string;
  readonly scripts: readonly ScriptName[];
  readonly children?: Child;
}

const pathOf = (name: string): string => {
  const path = paths[name];
  if (path === undefined) throw new Error(`scripts/build-console.ts made no ${name}`);
  return path;
};

const Document = ({ ui, theme, title, scripts, children }: DocumentProps) => (
  <html lang={ui.language} data-theme={theme} data-zone={ui.timeZone}>
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="robots" content="noindex" />
      <title>{`${title} · ${ui.t("app.name")}`}</title>
      <link rel="icon" href={pathOf("icon.svg")} type="image/svg+xml" />
      <link rel="stylesheet" href={pathOf("console.css")} />
      {(["app", ...scripts] as const).map((name) => (
        <script type="module" src={pathOf(`${name}.js`)}></script>
      ))}
    </head>
    <body>
      <a class="skip" href="#content">
        {ui.t("app.skip")}
      </a>
      {children}
      <div class="toasts" role="status" aria-live="polite" aria-label={ui.t("app.messages")} data-toasts></div>
      <noscript>
        <p class="noscript">{ui.t("app.needsScript")}</p>
      </noscript>
    </body>
  </html>
);

const THEMES: readonly (readonly [Theme, PlainKey])[] = [
  ["auto", "app.theme.auto"],
  ["light", "app.theme.light"],
  ["dark", "app.theme.dark"],
];

const Preferences = ({ ui, theme }: { readonly ui: Ui; readonly theme: Theme }) => (
  <div class="preferences">
    <label>
      <span class="sr">{ui.t("app.language")}</span>
      <select data-locale-switch>
        {LOCALES.map((locale) => (
          <option value={locale} selected={locale === ui.locale} lang={locale}>
            {ui.t(`app.language.${locale}`)}
          </option>
        ))}
      </select>
    </label>
    <label>
      <span class="sr">{ui.t("app.theme")}</span>
      <select data-theme-switch>
        {THEMES.map(([value, label]) => (
          <option value={value} selected={value === theme}>
            {ui.t(label)}
          </option>
        ))}
      </select>
    </label>
  </div>
);

export const Brand = ({ ui }: { readonly ui: Ui }) => (
  <span class="brand">
    <img src={pathOf("icon.svg")} alt="" width={26} height={26} />
    {ui.t("app.name")}
  </span>
);

export interface ShellProps extends DocumentProps {
  readonly person: Person;
  readonly path: string;
}

export const Shell = ({ person, path, children, ...document }: ShellProps) => {
  const { ui, theme } = document;
  const groups = navigationFor(person.role);
  const current = currentItem(groups, path);
  return (
    <Document {...document}>
      <div class="frame">
        <header class="topbar">
          <button
            type="button"
            class="ghost square menu-button"
            data-menu
            aria-expanded="false"
            aria-controls="sidebar"
          >
            <Icon name="menu" />
            <span class="sr">{ui.t("app.menu")}</span>
          </button>
          <Brand ui={ui} />
        </header>
        <aside class="sidebar" id="sidebar" aria-label={ui.t("app.menu")}>
          <a class="home" href="/">
            <Brand ui={ui} />
          </a>
          {person.clinicName === undefined ? null : <p class="clinic">{person.clinicName}</p>}
          <nav aria-label={ui.t("app.navigation")}>
            {groups.map(({ label, items }) => (
              <>
                <h2>{ui.t(label)}</h2>
                <ul>
                  {items.map((item) => (
                    <li>
                      <a href={item.href} aria-current={item === current ? "page" : undefined}>
                        <Icon name={item.icon} />
                        {ui.t(item.label)}
                      </a>
                    </li>
                  ))}
                </ul>
              </>
            ))}
          </nav>
          <div class="person">
            <a class="who" href="/settings" aria-current={path.startsWith("/settings") ? "page" : undefined}>
              <strong>{person.name}</strong>
              <small>{ui.t(`role.${person.role}`)}</small>
            </a>
            <button type="button" class="ghost square" data-sign-out>
              <Icon name="signOut" />
              <span class="sr">{ui.t("app.signOut")}</span>
            </button>
          </div>
          <Preferences ui={ui} theme={theme} />
        </aside>
        <main id="content" tabindex={-1}>
          {children}
        </main>
      </div>
    </Document>
  );
};

/** Before signing in, and where something is wrong. */
export const PlainShell = ({ children, ...document }: DocumentProps) => (
  <Document {...document}>
    <main class="plain" id="content" tabindex={-1}>
      <Brand ui={document.ui} />
      <div class="card">{children}</div>
      <Preferences ui={document.ui} theme={document.theme} />
    </main>
  </Document>
);
