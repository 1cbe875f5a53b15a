import * as z from "zod";
import { flagIsOn } from "../../flags/flags.edge.ts";
import { page } from "../page.edge.tsx";
import { BulkView } from "./bulk.view.tsx";

export const bulkPage = page(
  { path: "/claims/bulk", params: z.object({}), roles: ["billing", "admin"] },
  async ({ hub, ui, user }) => ({
    type: "page",
    title: ui.t("bulk.title"),
    scripts: ["bulk"],
    body: <BulkView ui={ui} on={await flagIsOn(hub, user, "FEATURE_FLAG_BULK_OPERATIONS")} />,
  }),
);
