/** How a claim shows wherever it is named. */
import type { ClaimStatus, ClaimType } from "../../claims/claim.ts";
import type { Ui } from "../i18n/ui.ts";
import { Badge, type Tone } from "./parts.view.tsx";

const TONES: Readonly<Record<ClaimStatus, Tone>> = {
  draft: "neutral",
  submitted: "info",
  pending: "info",
  infoRequested: "warn",
  paid: "good",
  denied: "bad",
};

/** Nothing is paid for a pre-authorization: what the API calls paid is an approval. */
export const ClaimBadge = (props: { readonly ui: Ui; readonly status: ClaimStatus; readonly type: ClaimType }) => {
  const { ui, status, type } = props;
  const approved = status === "paid" && type === "preauth";
  return <Badge tone={TONES[status]}>{ui.t(approved ? "status.approved" : `status.${status}`)}</Badge>;
};

/** The beginning of a claim's id, as people read it out. */
export const shortId = (claimId: string): string => (claimId.length > 14 ? `${claimId.slice(0, 12)}…` : claimId);

export const ClaimLink = (props: { readonly ui: Ui; readonly claimId: string; readonly type?: ClaimType }) => (
  <a class="claim-link" href={`/claims/${props.claimId}`}>
    <span class="mono">{shortId(props.claimId)}</span>
    {props.type === "preauth" ? <small> {props.ui.t("type.preauth")}</small> : null}
  </a>
);
