/** Imported before anything that holds a schema: zod would otherwise try whether it may compile code, which the page's policy refuses. */
import * as z from "zod";

z.config({ jitless: true });
