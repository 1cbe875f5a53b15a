/**
 * Forms. The browser sends one as JSON to the API (browser/lib/forms.ts) and puts what the API says beside the field it is about.
 * A field's `name` is the body's; one that is left empty is left out, or null with `empty="null"`.
 */
import type { Child } from "hono/jsx";
import type { Ui } from "../i18n/ui.ts";
import { type AfterCall, afterAttributes } from "./parts.view.tsx";

export interface ApiFormProps extends AfterCall {
  readonly id: string;
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  /** Fields that the body has beside the form's. */
  readonly fixed?: Readonly<Record<string, unknown>>;
  readonly children?: Child;
}

export const ApiForm = ({ id, method, path, fixed, children, ...after }: ApiFormProps) => (
  <form
    id={id}
    method="post"
    novalidate
    data-form={`${method} ${path}`}
    data-fixed={fixed === undefined ? undefined : JSON.stringify(fixed)}
    {...afterAttributes(after)}
  >
    {children}
    <p class="form-error" role="alert" data-form-error hidden></p>
  </form>
);

/** How a field's text becomes JSON: itself, a number, a decimal string, `true` or `false`, or one of a list. */
export type FieldKind = "text" | "number" | "decimal" | "boolean" | "list";

interface FieldProps {
  readonly ui: Ui;
  readonly name: string;
  readonly label: string;
  readonly hint?: string | undefined;
  readonly optional?: boolean;
  readonly kind?: FieldKind;
  readonly empty?: "omit" | "null" | "keep";
  /** Apart from the others of this name on the page. */
  readonly id?: string;
}

const idOf = ({ id, name }: { readonly id?: string | undefined; readonly name: string }): string => id ?? `f-${name}`;

/** What every control has in common. */
const common = (props: FieldProps) => {
  const id = idOf(props);
  return {
    id,
    name: props.name,
    required: props.optional !== true,
    "aria-describedby": props.hint === undefined ? `${id}-error` : `${id}-hint ${id}-error`,
    "data-kind": props.kind,
    "data-empty": props.empty,
  };
};

const Wrapped = (props: FieldProps & { readonly children?: Child }) => {
  const id = idOf(props);
  return (
    <div class="field">
      <label for={id}>
        {props.label}
        {props.optional ? <span class="optional"> {props.ui.t("app.optional")}</span> : null}
      </label>
      {props.children}
      {props.hint === undefined ? null : (
        <p class="hint" id={`${id}-hint`}>
          {props.hint}
        </p>
      )}
      <p class="error" id={`${id}-error`} data-error hidden></p>
    </div>
  );
};

export interface TextFieldProps extends FieldProps {
  readonly type?: "text" | "email" | "password" | "search" | "date" | "number" | "datetime-local";
  readonly value?: string | undefined;
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly min?: string;
  readonly max?: string;
  readonly pattern?: string;
  readonly autocomplete?: string;
  readonly inputmode?: "text" | "numeric" | "decimal";
  readonly placeholder?: string;
  /** The name of the field that this one must repeat; it is not sent. */
  readonly same?: string;
  readonly autofocus?: boolean;
}

export const TextField = (props: TextFieldProps) => (
  <Wrapped {...props}>
    <input
      {...common(props)}
      type={props.type ?? "text"}
      value={props.value}
      maxlength={props.maxLength}
      minlength={props.minLength}
      min={props.min}
      max={props.max}
      pattern={props.pattern}
      autocomplete={props.autocomplete ?? "off"}
      inputmode={props.inputmode}
      placeholder={props.placeholder}
      autofocus={props.autofocus}
      data-same={props.same}
    />
  </Wrapped>
);

export const TextArea = (
  props: FieldProps & { readonly value?: string; readonly rows?: number; readonly maxLength?: number },
) => (
  <Wrapped {...props}>
    <textarea {...common(props)} rows={props.rows ?? 3} maxlength={props.maxLength}>
      {props.value}
    </textarea>
  </Wrapped>
);

export interface Option {
  readonly value: string;
  readonly label: string;
}

export interface SelectFieldProps extends FieldProps {
  readonly options: readonly Option[];
  readonly value?: string | undefined;
  /** The label of the empty choice; undefined: there is none. */
  readonly blank?: string;
}

export const SelectField = (props: SelectFieldProps) => (
  <Wrapped {...props}>
    <select {...common(props)}>
      {props.blank === undefined ? null : <option value="">{props.blank}</option>}
      {props.options.map(({ value, label }) => (
        <option value={value} selected={value === props.value}>
          {label}
        </option>
      ))}
    </select>
  </Wrapped>
);

export const CheckField = (props: Omit<FieldProps, "kind" | "optional"> & { readonly checked?: boolean }) => {
  const id = idOf(props);
  return (
    <div class="field check">
      <input
        id={id}
        name={props.name}
        type="checkbox"
        checked={props.checked}
        data-kind="boolean"
        aria-describedby={props.hint === undefined ? undefined : `${id}-hint`}
      />
      <label for={id}>{props.label}</label>
      {props.hint === undefined ? null : (
        <p class="hint" id={`${id}-hint`}>
          {props.hint}
        </p>
      )}
    </div>
  );
};

export const Submit = ({ children, danger }: { readonly children?: Child; readonly danger?: boolean }) => (
  <button type="submit" class={danger ? "danger" : "primary"}>
    {children}
  </button>
);

/** Below a form in a dialog: away from it, or on. */
export const FormButtons = ({
  ui,
  action,
  danger = false,
}: {
  readonly ui: Ui;
  readonly action: string;
  readonly danger?: boolean;
}) => (
  <div class="actions end">
    <button type="button" class="plain" data-close>
      {ui.t("app.cancel")}
    </button>
    <Submit danger={danger}>{action}</Submit>
  </div>
);

/** A form that asks for a list: its fields stand in the address, so that the list can be kept and sent. Nothing personal goes here. */
export const FilterForm = ({
  path,
  ui,
  action = ui.t("app.apply"),
  children,
}: {
  readonly path: string;
  readonly ui: Ui;
  /** What the button says. */
  readonly action?: string;
  readonly children?: Child;
}) => (
  <search>
    <form class="filters" method="get" action={path} data-filter>
      {children}
      <button type="submit" class="plain">
        {action}
      </button>
    </form>
  </search>
);

export const FilterSelect = (props: Pick<SelectFieldProps, "name" | "label" | "options" | "value" | "blank">) => (
  <label class="filter">
    <span>{props.label}</span>
    <select name={props.name}>
      {props.blank === undefined ? null : <option value="">{props.blank}</option>}
      {props.options.map(({ value, label }) => (
        <option value={value} selected={value === props.value}>
          {label}
        </option>
      ))}
    </select>
  </label>
);

export const FilterText = (props: {
  readonly name: string;
  readonly label: string;
  readonly value: string | undefined;
  readonly type?: "search" | "date";
  readonly placeholder?: string;
}) => (
  <label class="filter">
    <span>{props.label}</span>
    <input
      name={props.name}
      type={props.type ?? "search"}
      value={props.value}
      placeholder={props.placeholder}
      autocomplete="off"
      maxlength={100}
    />
  </label>
);
