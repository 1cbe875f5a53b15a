import * as z from "zod";
import { openPage } from "../page.edge.tsx";
import { LinkView } from "./link.view.tsx";

export const acceptInvitationPage = openPage({ path: "/accept-invitation", params: z.object({}) }, async ({ ui }) => ({
  type: "page",
  title: ui.t("invitation.title"),
  body: <LinkView ui={ui} kind="invitation" />,
  scripts: ["link-token"],
}));

export const resetPasswordPage = openPage({ path: "/reset-password", params: z.object({}) }, async ({ ui }) => ({
  type: "page",
  title: ui.t("reset.title"),
  body: <LinkView ui={ui} kind="reset" />,
  scripts: ["link-token"],
}));
