/** The console: its pages and what they load. */
import type { Operation } from "../operation.edge.ts";
import { assets } from "./assets.route.ts";
import { signInPage } from "./pages/sign-in.page.tsx";

export const CONSOLE: readonly Operation[] = [assets, signInPage];
