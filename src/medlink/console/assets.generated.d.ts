/** What scripts/build-console.ts writes into assets.generated.js: the browser's scripts and styles, as strings. */
export interface Asset {
  readonly type: string;
  readonly body: string;
}

/** By path: `/assets/<name>-<hash of the content>.<ext>`. */
export declare const files: Readonly<Record<string, Asset>>;
/** Path by name: `app.js`, `console.css`. */
export declare const paths: Readonly<Record<string, string>>;
