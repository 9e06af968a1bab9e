/** The page's style sheet, put here when the widget is built. */
export declare const STYLE: string;
