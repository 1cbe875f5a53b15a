export async function readFlag(db: D1Database, name: string): Promise<boolean> {
  const value = await db
    .prepare("SELECT value FROM hub_settings WHERE key = ?")
    .bind(`flag.${name}`)
    .first<string>("value");
  return value === "true";
}
