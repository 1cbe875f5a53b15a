import * as z from "zod";
import { safePath } from "../navigation.ts";
import { openPage } from "../page.edge.tsx";
import { SignInView } from "./sign-in.view.tsx";

export const signInPage = openPage(
  { path: "/sign-in", params: z.object({ next: z.string().max(500).optional().catch(undefined) }) },
  async ({ ui, signedIn, params }) => {
    const next = safePath(params.next);
    if (signedIn !== undefined) return { type: "redirect", to: next };
    return {
      type: "page",
      title: ui.t("signIn.title"),
      body: <SignInView ui={ui} next={next} />,
      scripts: ["sign-in"],
    };
  },
);
