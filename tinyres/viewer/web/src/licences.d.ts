/** The notices of what is bundled, read from the packages when the page is built. */
export declare const LICENCES: string;
