/** The report of a file of claims, which the browser shows. */
import type { Translation } from "../messages.ts";

export const bulkEn = {
  "bulkReport.caption": "Report by row of the file",
  "bulkReport.row": "Row",
  "bulkReport.result": "Result",
  "bulkReport.what": "What",
  "bulkReport.valid": "Good",
  "bulkReport.filed": "Filed",
  "bulkReport.filed_before": "Filed before",
  "bulkReport.duplicate": "Same as row {row}",
  "bulkReport.invalid": "Wrong",
  "bulkReport.checked": "Good rows: {good}. Wrong or double: {bad}. Nothing is filed yet.",
  "bulkReport.done": "Claims filed: {filed}. On their way: {queued}.",
  "bulkReport.noFile": "The file is no CSV with the columns that are asked for. Check its first line.",
} as const;

export const bulkFr: Translation<typeof bulkEn> = {
  "bulkReport.caption": "Rapport par ligne du fichier",
  "bulkReport.row": "Ligne",
  "bulkReport.result": "Résultat",
  "bulkReport.what": "Quoi",
  "bulkReport.valid": "Bonne",
  "bulkReport.filed": "Présentée",
  "bulkReport.filed_before": "Déjà présentée",
  "bulkReport.duplicate": "Comme la ligne {row}",
  "bulkReport.invalid": "Inexacte",
  "bulkReport.checked": "Lignes bonnes : {good}. Inexactes ou doubles : {bad}. Rien n’est encore présenté.",
  "bulkReport.done": "Réclamations présentées : {filed}. En route : {queued}.",
  "bulkReport.noFile": "Le fichier n’est pas un CSV aux colonnes demandées. Vérifiez sa première ligne.",
};
