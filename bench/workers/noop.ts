/** The least a worker can do. */
export default { fetch: () => Response.json({ ok: true }) } satisfies ExportedHandler;
