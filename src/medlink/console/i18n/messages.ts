/**
 * Text in two languages. An area's English is `as const`, so that a key and its `{placeholders}` are types; its French is
 * `Translation<typeof english>`, so that a missing string does not compile. A test compares the placeholders.
 */
export type Translation<Area> = { readonly [Key in keyof Area]: string };

type NamesIn<Text> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;

/** What a message's placeholders are filled with: none, or one object. */
export type Values<Text> = [NamesIn<Text>] extends [never] ? [] : [Readonly<Record<NamesIn<Text>, string | number>>];

/** @param values of the placeholders; one without a value stays as it is written. */
export const fill = (text: string, values: Readonly<Record<string, string | number>> = {}): string =>
  text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
