import { TextField } from "../../components/form.view.tsx";
import type { Ui } from "../../i18n/ui.ts";

/** Why an operator does it: a ticket's or a rule's name, never a sentence, since it may be kept for ever. */
export const ReasonField = (props: {
  readonly ui: Ui;
  readonly label: string;
  readonly hint: string;
  readonly id?: string;
}) => <TextField {...props} name="reason" pattern="[A-Z0-9\-]+" maxLength={40} />;
