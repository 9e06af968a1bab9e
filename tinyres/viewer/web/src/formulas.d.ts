/** MathML by "primitive argument" (the definition: "primitive "), made from formulas.json when the page is built. */
export declare const FORMULAS: Record<string, string>;
/** What the characters from FIRST on stand for; a fragment may hold some itself. */
export declare const FRAGMENTS: string[];
export declare const FIRST: number;
