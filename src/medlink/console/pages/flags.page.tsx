import * as z from "zod";
import { FLAG_NAMES } from "../../flags/flag.ts";
import { flagAsSet } from "../../flags/flags.edge.ts";
import { countExposures, readFlags } from "../../flags/flags.store.ts";
import { accountPage } from "../page.edge.tsx";
import { FlagsView } from "./flags.view.tsx";

const DAYS = 30;

/** A clinic's administrators see the flags; operators change them. */
export const flagsPage = accountPage({ path: "/admin/flags", params: z.object({}) }, async ({ hub, ui, signedIn }) => {
  const { role } = signedIn.user;
  if (role !== "admin" && role !== "operator") return { type: "error", status: 403 };
  const operator = role === "operator";
  const stored = await readFlags(hub.db);
  const flags = await Promise.all(
    FLAG_NAMES.map(async (name) => {
      const days = operator ? await countExposures(hub.db, name, DAYS) : undefined;
      const seen = days?.reduce((sum, { on, off }) => ({ on: sum.on + on, off: sum.off + off }), { on: 0, off: 0 });
      return { name, ...flagAsSet(hub, stored, name), updatedAt: stored.get(name)?.updatedAt, seen };
    }),
  );
  return { type: "page", title: ui.t("flags.title"), body: <FlagsView ui={ui} flags={flags} mayChange={operator} /> };
});
