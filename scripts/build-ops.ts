/**
 * `npm run build:ops`: writes what is made from the catalogue of metrics and the alerts: the Grafana dashboard,
 * the Prometheus rules and the tables of docs/metrics.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./lib/bundle.ts";
import { dashboardJson } from "./lib/dashboard.ts";
import { answerHelp } from "./lib/help.ts";
import { withTables } from "./lib/metrics-doc.ts";
import { prometheusRules } from "./lib/ops-files.ts";

answerHelp(import.meta.filename);

const page = join(projectRoot, "docs", "metrics.md");
writeFileSync(page, withTables(readFileSync(page, "utf8")));
writeFileSync(join(projectRoot, "ops", "grafana-dashboard.json"), dashboardJson());
writeFileSync(join(projectRoot, "ops", "prometheus-rules.yml"), prometheusRules());
