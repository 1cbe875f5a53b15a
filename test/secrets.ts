/** Fixed secrets for tests: strong enough for the checks, worth nothing anywhere else. */
const shared = {
  workflowApiKey: "workflow-key-for-tests-7f3a91c2",
  claimsApiKey: "claims-key-for-tests-b81e04d6",
  providerSecret: "provider-signature-for-tests-2c9d55e0aa17",
  webhookSecret: "webhook-signing-for-tests-93f6b7710c4e",
  scrapeToken: "metrics-scrape-for-tests-a94c02e7",
  operatorKey: "operator-key-for-tests-41d7c8aa",
  backupKey: "backup-encryption-for-tests-7d0c33e9a1b2",
  wrappingKey: "destination-wrapping-for-tests-58aa6d13e2",
};

export const TEST_SECRETS = {
  core: {
    WORKFLOW_API_KEY: shared.workflowApiKey,
    CLAIMS_API_KEY: shared.claimsApiKey,
    OPERATOR_API_KEY: shared.operatorKey,
    METRICS_SCRAPE_TOKEN: shared.scrapeToken,
    PROVIDER_SIGNATURE_HMAC_SECRET: shared.providerSecret,
    PAYLOAD_MASTER_KEY: "payload-master-for-tests-e1b0c4f2d96a7738",
    BACKUP_ENCRYPTION_KEY: shared.backupKey,
    EVM_PRIVATE_KEY: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    LEDGER_SIGNING_KEY: "9hZ0rQx7T2mVb1cYw4uNsKdE8pLgAi5oJfR6tXyHvUk",
    AUDITOR_TOKEN: "auditor-token-for-tests-5e20c7b9",
    DESTINATION_WRAPPING_KEY: shared.wrappingKey,
    OPERATOR_HMAC_SECRET: "operator-signing-for-tests-83ac5f0b9d21",
  },
  relay: {
    METRICS_SCRAPE_TOKEN: shared.scrapeToken,
    DESTINATION_WRAPPING_KEY: shared.wrappingKey,
    RELAY_WEBHOOK_SIGNING_SECRET: shared.webhookSecret,
  },
  hub: {
    SESSION_SECRET: "session-for-tests-0fa2c1b49e7d6635d8e1",
    ENCRYPTION_KEY: "field-encryption-for-tests-6b21a9f0c3d4",
    BACKUP_ENCRYPTION_KEY: shared.backupKey,
    HASH_KEY: "equality-hash-for-tests-77c0e5d1b2a94f38",
    HUB_OPERATOR_API_KEY: "hub-operator-for-tests-c6e1937fb02d44a8",
    METRICS_SCRAPE_TOKEN: shared.scrapeToken,
    ITRANS_OPERATOR_API_KEY: shared.operatorKey,
    ITRANS_WORKFLOW_API_KEY: shared.workflowApiKey,
    ITRANS_CLAIMS_API_KEY: shared.claimsApiKey,
    ITRANS_PROVIDER_SIGNATURE_HMAC_SECRET: shared.providerSecret,
    ITRANS_WEBHOOK_SIGNING_SECRET: shared.webhookSecret,
  },
} as const;
