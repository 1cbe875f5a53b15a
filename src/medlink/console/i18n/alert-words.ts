/** What alerts say of themselves, in French. Core writes them in English and may know some that are not here. */
import type { Ui } from "./ui.ts";

interface Words {
  readonly title: string;
  readonly says: string;
}

export const ALERTS_IN_FRENCH: Readonly<Record<string, Words>> = {
  "hub-unhealthy": {
    title: "MedLink va mal",
    says: "/api/health de MedLink ne répond pas 200 : les cliniques ne peuvent pas travailler, ou MedLink n’atteint pas sa base de données ou le registre.",
  },
  "ledger-integrity": {
    title: "Le registre ne se vérifie pas",
    says: "/ledger/verify a des constats : ce qui est conservé diffère de ce qui a été inscrit. Arrêtez les changements et regardez-les d’abord.",
  },
  "relay-down": {
    title: "Le relais est en panne",
    says: "L’état du relais n’est pas 200, ou des livraisons sont dues et aucune n’est tentée : aucun rappel ne part.",
  },
  "dead-letters": {
    title: "Il y a des livraisons abandonnées",
    says: "Une livraison a été abandonnée et retient sa file jusqu’à ce qu’elle soit renvoyée ou écartée.",
  },
  "dead-letters-accumulating": {
    title: "Les livraisons abandonnées s’accumulent",
    says: "Plus de cinq livraisons ont été abandonnées en 15 minutes.",
  },
  "server-errors": {
    title: "Des requêtes échouent de notre côté",
    says: "Plus de 1 % des requêtes ont reçu une réponse 5xx en 5 minutes.",
  },
  "server-errors-critical": {
    title: "Beaucoup de requêtes échouent de notre côté",
    says: "Plus de 5 % des requêtes ont reçu une réponse 5xx en 2 minutes.",
  },
  latency: {
    title: "Les requêtes sont lentes",
    says: "Le p95 des requêtes ou du cycle des réclamations dépasse 3 s sur 5 minutes.",
  },
  "latency-critical": {
    title: "Les requêtes sont très lentes",
    says: "Le p95 des requêtes ou du cycle des réclamations dépasse 5 s sur 2 minutes.",
  },
  "auto-submit-backlog": {
    title: "Des réclamations attendent d’être envoyées",
    says: "Plus de 100 réclamations attendent depuis 10 minutes dans la file d’envoi automatique.",
  },
  "auto-submit-failed": {
    title: "Des envois ont échoué",
    says: "Trois envois ou plus ont échoué pour de bon en 15 minutes.",
  },
  "auto-submit-failed-critical": {
    title: "Beaucoup d’envois ont échoué",
    says: "Dix envois ou plus ont échoué pour de bon en 15 minutes.",
  },
  callbacks: {
    title: "Des rappels échouent",
    says: "Moins de 99 % des essais de livrer un rappel ont réussi en 15 minutes.",
  },
  "callbacks-critical": {
    title: "Beaucoup de rappels échouent",
    says: "Moins de 95 % des essais de livrer un rappel ont réussi en 5 minutes.",
  },
  "ledger-slow": {
    title: "Le registre accepte moins que d’habitude",
    says: "Les écritures des 10 dernières minutes sont moins de la moitié de la moyenne de la dernière journée, ou de ce qui en a été vu.",
  },
  "ledger-stalled": {
    title: "Le registre n’accepte rien",
    says: "Des envois sont arrivés pendant 5 minutes et rien n’a été inscrit.",
  },
  "webhook-intake": {
    title: "MedLink refuse des rappels",
    says: "MedLink a répondu 401 ou 5xx à dix rappels ou plus en 5 minutes : comparez d’abord les secrets de signature.",
  },
  "database-unreachable": {
    title: "La base de données est hors d’atteinte",
    says: "La base de données du registre ne répond pas depuis 2 minutes : rien n’est accepté ni livré.",
  },
  "anchor-late": {
    title: "Le registre n’est pas ancré",
    says: "Des écritures présentes il y a trois intervalles n’ont pas encore d’ancrage confirmé.",
  },
  "anchor-stuck": {
    title: "Un ancrage est bloqué",
    says: "Un ancrage envoyé attend au-delà de son seuil : frais, fonds ou nœud.",
  },
  "settlements-stuck": {
    title: "Des règlements sont bloqués",
    says: "Plus de dix règlements ne sont pas terminés cinq minutes après leur création.",
  },
  "settlement-errors": {
    title: "Des règlements échouent",
    says: "Plus de 5 % des règlements terminés en 15 minutes ont échoué pour des raisons techniques.",
  },
  "operator-errors": {
    title: "L’opérateur du payeur est en défaut",
    says: "Plus de 10 % des appels à l’opérateur du payeur ont reçu une réponse 5xx en 15 minutes.",
  },
  "operator-rate-limited": {
    title: "L’opérateur du payeur nous limite",
    says: "L’opérateur du payeur a répondu 429 plus de 50 fois en une heure.",
  },
  "webhook-retries": {
    title: "Beaucoup de rappels sont réessayés",
    says: "Plus de 20 % des essais de livrer un rappel ont dû être refaits en 15 minutes.",
  },
  "reconciliation-failed": {
    title: "Le rapprochement a échoué",
    says: "Le dernier rapprochement n’est pas allé à son terme.",
  },
  "idempotency-collision": {
    title: "Une clé d’idempotence a servi deux fois",
    says: "Un client a renvoyé une clé avec une autre requête : elle a été refusée avec 422.",
  },
  "backup-missing": {
    title: "Il n’y a pas de sauvegarde récente",
    says: "La dernière bonne sauvegarde a plus de 26 heures.",
  },
  "backup-never": {
    title: "Il n’y a aucune sauvegarde",
    says: "Depuis 26 heures, il n’y a pas eu une seule bonne sauvegarde.",
  },
  "backup-damaged": {
    title: "Une sauvegarde est endommagée",
    says: "Un objet d’une sauvegarde a été trouvé perdu ou changé.",
  },
  "hub-backup-missing": {
    title: "MedLink n’a pas de sauvegarde récente",
    says: "La dernière bonne sauvegarde de MedLink a plus de 26 heures.",
  },
  "hub-backup-never": {
    title: "MedLink n’a aucune sauvegarde",
    says: "Depuis 26 heures, il n’y a pas eu une seule bonne sauvegarde de MedLink.",
  },
  "hub-backup-damaged": {
    title: "Une sauvegarde de MedLink est endommagée",
    says: "Un objet d’une sauvegarde de MedLink a été trouvé perdu ou modifié.",
  },
  "restore-drill-never": {
    title: "La restauration n’a jamais été répétée",
    says: "Depuis 90 jours, il n’y a pas eu un seul bon exercice de restauration.",
  },
  "restore-drill-old": {
    title: "La restauration n’a pas été répétée",
    says: "Le dernier bon exercice de restauration a plus de 90 jours.",
  },
  "secret-old": {
    title: "Un secret est à renouveler",
    says: "Un secret du registre ou du relais a la même valeur depuis plus de 90 jours.",
  },
  "hub-secret-old": {
    title: "Un secret de MedLink est à renouveler",
    says: "Un secret de MedLink a la même valeur depuis plus de 90 jours.",
  },
  "bucket-growth": {
    title: "Un compartiment grandit trop vite",
    says: "En un jour, un compartiment a grandi de plus de trois fois ce qu’il prend d’habitude, et de plus de BUCKET_DAILY_BYTES.",
  },
  "core-database-size": {
    title: "La base de données du registre est presque pleine",
    says: "D1 itrans dépasse 85 % de ce qu’elle peut contenir : ouvrez le registre suivant avant que les écritures n’échouent.",
  },
  "hub-database-size": {
    title: "La base de données de MedLink est presque pleine",
    says: "D1 medlink dépasse 85 % de ce qu’elle peut contenir.",
  },
  "hub-metrics-missing": {
    title: "MedLink ne peut être surveillé",
    says: "/metrics de MedLink n’a pu être lu pendant 5 minutes : les alertes qui le concernent ne peuvent s’ouvrir.",
  },
  "hub-cron-silent": {
    title: "La tâche planifiée de MedLink ne tourne pas",
    says: "Elle n’a pas tourné depuis plus de cinq minutes : rien n’y est balayé ni sauvegardé, et personne ne surveille le registre.",
  },
  "cron-silent": {
    title: "La tâche planifiée du registre ne tourne pas",
    says: "Elle n’a pas tourné depuis plus de cinq minutes : rien n’est balayé, ancré ni sauvegardé.",
  },
};

/** An alert in the viewer's language, where there are words for it. */
export function alertWords(ui: Ui, alert: { readonly name: string } & Words): Words {
  const own = ui.locale === "fr" ? ALERTS_IN_FRENCH[alert.name] : undefined;
  return own ?? { title: alert.title, says: alert.says };
}
