/** Where deliveries are shown, and where the relay is controlled. */
export const DELIVERIES_PATH = "/operations/deliveries";
export const RELAY_API = "/api/operations/relay";
