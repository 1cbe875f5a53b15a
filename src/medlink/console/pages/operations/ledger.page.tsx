import * as z from "zod";
import { type Asked, askedValue } from "../../../operations/asked.ts";
import { askCore, type CoreAsker } from "../../../operations/core-answer.edge.ts";
import { operatorPage } from "../../page.edge.tsx";
import { readLogKeys } from "../log-keys.edge.ts";
import { entryShape, inclusionShape, type LedgerEntry, verificationShape } from "./core-shapes.ts";
import { EntryView, LedgerView } from "./ledger.view.tsx";

/** Entries on a page; each is asked for by itself. */
const ROWS = 20;

const seq = z.string().regex(/^\d{1,15}$/);

export const ledgerPage = operatorPage(
  {
    path: "/operations/ledger",
    params: z.object({ cursor: seq.optional().catch(undefined), seq: seq.optional().catch(undefined) }),
  },
  async ({ hub, ui, params, correlationId }) => {
    if (params.seq !== undefined) return { type: "redirect", to: `/operations/ledger/${Number(params.seq)}` };
    const asker = { hub, correlationId };
    // It answers 503 with its findings when there are any.
    const verification = await askCore(asker, "/ledger/verify", verificationShape, 503);
    const size = askedValue(verification)?.size ?? 0;
    const end = Math.min(params.cursor === undefined ? size : Number(params.cursor), size);
    const entries = await readEntries(asker, Math.max(0, end - ROWS), end);
    return {
      type: "page",
      title: ui.t("ops.ledger.title"),
      body: (
        <LedgerView
          ui={ui}
          verification={verification}
          entries={entries}
          cursor={params.cursor}
          nextCursor={end > ROWS ? String(end - ROWS) : undefined}
        />
      ),
    };
  },
);

/** Newest first; the first refusal stands for all. @param to not in it. */
async function readEntries(asker: CoreAsker, from: number, to: number): Promise<Asked<readonly LedgerEntry[]>> {
  const asked = await Promise.all(
    Array.from({ length: to - from }, (_, i) => askCore(asker, `/ledger/entries/${to - 1 - i}`, entryShape)),
  );
  const refused = asked.find(({ type }) => type === "away" || type === "closed");
  if (refused !== undefined && refused.type !== "ok") return refused;
  return { type: "ok", value: asked.flatMap((one) => (one.type === "ok" ? [one.value] : [])) };
}

export const entryPage = operatorPage(
  { path: "/operations/ledger/{seq}", params: z.object({ seq }) },
  async ({ hub, ui, params, correlationId }) => {
    const asker = { hub, correlationId };
    const number = Number(params.seq);
    const [entry, inclusion, logKeys] = await Promise.all([
      askCore(asker, `/ledger/entries/${number}`, entryShape),
      askCore(asker, `/ledger/proof/inclusion?seq=${number}`, inclusionShape),
      readLogKeys(hub, correlationId),
    ]);
    if (entry.type === "missing") return { type: "error", status: 404 };
    const title = ui.t("ops.entry.title", { seq: ui.number(number) });
    return {
      type: "page",
      title,
      scripts: ["verify-proof"],
      body: <EntryView ui={ui} title={title} entry={entry} inclusion={inclusion} logKeys={logKeys} />,
    };
  },
);
